from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.task import AbstractTaskSource, Samples, Task
from mmaml.regression.augment import Varied
from mmaml.regression.presets import PRESETS
from mmaml.runs.errors import UserError


TASKS = 2000


class Planes(AbstractTaskSource):
    """Always the points of y = 1 + x1 + 2 x2."""

    modes = ("planes",)

    def sample(self, key, n):
        x = jr.uniform(jr.key(0), (n, 8, 2), minval=-1, maxval=1)
        y = 1 + x @ jnp.array([[1.0], [2.0]])
        return Task(Samples(x[:, :5], y[:, :5]), Samples(x[:, 5:], y[:, 5:]), jnp.arange(n) % 2, jnp.arange(n))


def test_each_task_is_moved_and_stretched_as_a_whole():
    plain = Planes().sample(jr.key(1), TASKS)
    tasks = eqx.filter_jit(Varied(Planes(), 0.3).sample)(jr.key(1), TASKS)
    moves = tasks.support.inputs - plain.support.inputs
    np.testing.assert_allclose(moves, jnp.broadcast_to(moves[:, :1], moves.shape), atol=1e-6)
    np.testing.assert_allclose(tasks.query.inputs - plain.query.inputs, moves[:, :3], atol=1e-6)
    # Two support points tell stretch and lift; all others obey them.
    before, after = (np.concatenate([t.support.targets, t.query.targets], 1)[..., 0] for t in (plain, tasks))
    ends = before.argmax(1), before.argmin(1)
    high, low = (np.take_along_axis(before, end[:, None], 1)[:, 0] for end in ends)
    new_high, new_low = (np.take_along_axis(after, end[:, None], 1)[:, 0] for end in ends)
    stretch = (new_high - new_low) / (high - low)
    lift = new_low - stretch * low
    np.testing.assert_allclose(after, stretch[:, None] * before + lift[:, None], atol=1e-4)
    numbers = np.column_stack([moves[:, 0], np.log(stretch), lift])
    np.testing.assert_allclose(numbers.std(0), 0.3, rtol=0.1)
    np.testing.assert_allclose(np.corrcoef(numbers.T), np.eye(4), atol=0.1)


def test_without_an_amount_nothing_changes_and_the_rest_of_a_task_never_does():
    source = Varied(Planes(), 0.0)
    assert source.modes == ("planes",)
    assert eqx.tree_equal(source.sample(jr.key(0), 4), Planes().sample(jr.key(0), 4))
    tasks = Varied(Planes()).sample(jr.key(0), 4)
    np.testing.assert_array_equal(tasks.mode, [0, 1, 0, 1])
    np.testing.assert_array_equal(tasks.origin, range(4))
    jax.tree.map(np.testing.assert_array_equal, tasks, Varied(Planes()).sample(jr.key(0), 4))


def test_published_families_are_not_augmented():
    with pytest.raises(UserError, match="--augment is True, but must be left out"):
        replace(PRESETS["regression-2"], augment=True).check()
