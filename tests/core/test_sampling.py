"""Drawing without replacement, against counting all that can be drawn."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

from mmaml.core.sampling import distinct, require_pure


def test_every_sequence_is_equally_likely():
    draw = jax.jit(jax.vmap(lambda key, count: distinct(key, count, 3)))
    drawn = np.asarray(draw(jr.split(jr.key(0), 24_000), jnp.full(24_000, 5)))
    seen, counts = np.unique(drawn, axis=0, return_counts=True)
    assert {tuple(row) for row in seen.tolist()} == set(itertools.permutations(range(5), 3))
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_all_may_be_drawn_and_counts_may_differ():
    counts = jnp.array([4, 5, 2_000_000_000])
    drawn = np.asarray(jax.vmap(lambda key, count: distinct(key, count, 4))(jr.split(jr.key(1), 3), counts))
    assert sorted(drawn[0].tolist()) == [0, 1, 2, 3] and len(set(drawn[1].tolist())) == 4 and drawn[1].max() < 5
    assert drawn.min() >= 0 and drawn[2].max() > 1_000_000 and distinct(jr.key(0), 1, 1).tolist() == [0]


def test_what_draws_with_numpy_is_refused():
    rng, table = np.random.default_rng(0), np.arange(3.0)
    for sample in (lambda key: jr.normal(key) + rng.normal(size=3), lambda key: jr.normal(key) * float(rng.normal())):
        with pytest.raises(ValueError, match="tasks of the same key are not the same"):
            require_pure(sample, jr.key(0))
    require_pure(lambda key: jax.nn.relu(jr.normal(key)) + table + np.linspace(0, 1, 3), jr.key(0))
    jax.jit(lambda key, more: require_pure(lambda k: jr.normal(k) + more, key))(jr.key(0), jnp.ones(3))
