"""Embeddings of many tasks are those of the tasks one by one."""

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

from mmaml.core.learners import MMAML
from mmaml.regression.learner import make_learner
from mmaml.regression.presets import PRESETS
from mmaml.regression.tasks import mixture
from mmaml.supervised.embed import AT_ONCE, embed_tasks


def test_embeddings_are_those_of_each_task():
    learner = make_learner(PRESETS["regression-2"], in_size=1, modes=2, key=jr.key(0))
    assert isinstance(learner, MMAML)
    source = mixture(["sinusoid", "linear"])
    embedded = embed_tasks(learner, source, jr.key(1), AT_ONCE + 10)
    assert len(embedded.points) == len(embedded.modes) == AT_ONCE + 10
    second = source.sample(jr.fold_in(jr.key(1), 1), AT_ONCE)
    np.testing.assert_array_equal(embedded.modes[AT_ONCE:], second.mode[:10])
    third = jax.tree.map(lambda leaf: leaf[3], second)
    expected = eqx.filter_jit(learner.condition)(third.support, third.mode).embedding
    assert expected is not None
    np.testing.assert_allclose(embedded.points[AT_ONCE + 3], expected, rtol=1e-5, atol=1e-6)
