"""Mixtures of task sources, and modes by name."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaml.core.task import AbstractTaskSource, Mixture, Samples, Task, groups_of, mode_index
from tests.core.problems import PlanesAndWaves


class Numbered(AbstractTaskSource):
    """Tasks that say which source they are of, and which of its tasks they are."""

    source: int

    @property
    def modes(self):
        return (f"source {self.source}",)

    def sample(self, key, n):
        samples = Samples(jnp.full((n, 2, 1), self.source), jnp.tile(jnp.arange(n)[:, None, None], (1, 2, 1)))
        return Task(samples, samples, jnp.zeros(n, int))


def mixture(modes):
    return Mixture(tuple(map(Numbered, range(modes))), tuple(map(str, range(modes))))


@settings(max_examples=15, deadline=None)
@given(modes=st.integers(1, 5), n=st.integers(1, 23), seed=st.integers(0, 100))
def test_shares_differ_by_one_at_most_and_no_task_comes_twice(modes, n, seed):
    tasks = mixture(modes).sample(jr.key(seed), n)
    assert tasks.support.inputs.shape == (n, 2, 1)
    np.testing.assert_array_equal(tasks.support.inputs[:, 0, 0], tasks.mode)
    counts = np.bincount(tasks.mode, minlength=modes)
    assert counts.sum() == n and counts.max() - counts.min() <= 1
    assert len(set(zip(tasks.mode.tolist(), tasks.query.targets[:, 0, 0].tolist(), strict=True))) == n


@settings(max_examples=15, deadline=None)
@given(shares=st.lists(st.integers(1, 4), min_size=1, max_size=3), turns=st.integers(1, 3), seed=st.integers(0, 100))
def test_shares_are_kept_in_every_stretch_and_no_task_comes_twice(shares, turns, seed):
    whole = sum(shares)
    sources, names = tuple(map(Numbered, range(len(shares)))), tuple(map(str, range(len(shares))))
    tasks = Mixture(sources, names, tuple(shares)).sample(jr.key(seed), n := turns * whole + 1)
    np.testing.assert_array_equal(tasks.support.inputs[:, 0, 0], tasks.mode)
    for begin in range(n - whole + 1):
        assert np.bincount(tasks.mode[begin : begin + whole]).tolist() == shares
    assert len(set(zip(tasks.mode.tolist(), tasks.query.targets[:, 0, 0].tolist(), strict=True))) == n


@pytest.mark.parametrize("shares", [(1,), (1, 0), (1, 2, 3), ()])
def test_shares_are_whole_numbers_one_for_each_source(shares):
    with pytest.raises(ValueError, match=r"shares of a mixture of 2 sources are \(.*whole number of at least 1"):
        Mixture((Numbered(0), Numbered(1)), ("a", "b"), shares)


def test_every_mode_takes_its_turn_at_the_remainder():
    source = mixture(3)
    firsts = {int(source.sample(jr.key(seed), 1).mode[0]) for seed in range(30)}
    assert firsts == {0, 1, 2}


def test_a_batch_begins_with_a_mode_as_often_as_its_share_says():
    source = Mixture((Numbered(0), Numbered(1)), ("often", "seldom"), (3, 1))
    firsts = jax.vmap(lambda key: source.sample(key, 1).mode[0])(jr.split(jr.key(0), 1000))
    assert 0.2 < firsts.mean() < 0.3


def test_equal_sources_draw_different_tasks():
    tasks = Mixture((PlanesAndWaves(), PlanesAndWaves()), ("one", "other")).sample(jr.key(0), 8)
    x = np.hstack([tasks.support.inputs, tasks.query.inputs])
    assert len(np.unique(x)) == x.size


@pytest.mark.parametrize(("sources", "names"), [((Numbered(0), Numbered(1)), ("x",)), ((), ())])
def test_a_mixture_needs_sources_and_a_name_for_each(sources, names):
    with pytest.raises(ValueError, match=r"at least one source, and each a name"):
        Mixture(sources, names)


def test_sources_that_draw_tasks_of_other_shapes_are_named():
    class Longer(Numbered):
        def sample(self, key, n):
            task = super().sample(key, n)
            return Task(jax.tree.map(lambda a: jnp.concatenate([a, a], 1), task.support), task.query, task.mode)

    with pytest.raises(ValueError, match=r"long draws tasks of the shapes .*, short of .*; all sources of a mixture"):
        Mixture((Numbered(0), Longer(1)), ("short", "long")).sample(jr.key(0), 4)


def test_tasks_of_a_source_without_origins_are_each_of_their_own():
    class OfOneFile(Numbered):
        def sample(self, key, n):
            task = super().sample(key, n)
            return Task(task.support, task.query, task.mode, jnp.zeros(n, int))

    tasks = Mixture((Numbered(0), OfOneFile(1)), ("each its own", "all of one")).sample(jr.key(0), 8)
    assert len(np.unique(groups_of(tasks.mode, tasks.origin))) == 4 + 1


def test_modes_are_found_by_name():
    assert mode_index("b", ("a", "b")) == 1 and mode_index(None, ("a", "b")) is None
    with pytest.raises(ValueError, match="the task's mode must be one of a, b; got 'c'"):
        mode_index("c", ("a", "b"))
    with pytest.raises(ValueError, match="Multi-MAML must be told the task's mode, one of a, b; got None"):
        mode_index(None, ("a", "b"), needed=True)
