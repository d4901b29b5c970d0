"""A learner on tasks it has not seen, against a plain loop over them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml import evaluate_tasks
from tests.core.problems import PlanesAndWaves, learner, mse


TASKS, LEARNER = PlanesAndWaves().sample(jr.key(0), 5), learner("multi-maml")


def largest_error(outputs, targets):
    return jnp.abs(outputs - targets).max()


@pytest.fixture(scope="module")
def expected():
    """The largest query error of each task after 0, 1 and 2 steps."""

    @eqx.filter_jit
    def errors(task):
        path = LEARNER.adapt(task.support, task.mode, mse)
        return [largest_error(model(task.query.inputs), task.query.targets) for model in path]

    return np.array([errors(jax.tree.map(lambda a, i=i: a[i], TASKS)) for i in range(5)])


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_values_are_those_of_the_query_set_at_every_stage(expected, at_once):
    values = evaluate_tasks(LEARNER, TASKS, mse, largest_error, at_once=at_once)
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_the_ends_are_the_first_stage_and_the_last(expected):
    values = evaluate_tasks(LEARNER, TASKS, mse, largest_error, ends=True)
    np.testing.assert_allclose(values, expected[:, [0, -1]], rtol=1e-4)
