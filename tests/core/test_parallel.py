"""Means over tasks, however these are dealt out."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.parallel import all_devices, devices_for, mean_over_tasks, mean_value_and_grad, tasks_at_once, useful


@pytest.mark.parametrize("microbatch", [None, 1, 2])
def test_means_are_those_of_numpy_for_values_of_any_shape(microbatch):
    tasks = jr.normal(jr.key(0), (3, 3, 2))
    means = mean_over_tasks(
        lambda scale, task: {"whole": scale * task, "one": task.sum()}, 2.0, tasks, all_devices(), microbatch
    )
    np.testing.assert_allclose(means["whole"], 2 * np.mean(tasks, 0), rtol=1e-6)
    np.testing.assert_allclose(means["one"], np.sum(tasks) / 3, rtol=1e-6)


def test_gradient_is_that_of_the_mean():
    tasks = jr.normal(jr.key(0), (5, 4))
    slope = jnp.arange(4.0)
    value, gradient = mean_value_and_grad(lambda w, x: (w @ x) ** 2, slope, tasks, all_devices(), 2)
    expected = jax.value_and_grad(lambda w: jnp.mean((tasks @ w) ** 2))(slope)
    np.testing.assert_allclose(value, expected[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-5)


def test_no_tasks_at_a_time_are_refused():
    with pytest.raises(ValueError, match="0 tasks are to be worked on at a time"):
        mean_over_tasks(lambda scale, task: scale * task, 1.0, jnp.ones(3), all_devices(), 0)


@pytest.mark.parametrize(
    ("tasks", "devices", "used"),
    [(10, 1, 1), (10, 2, 2), (10, 4, 4), (10, 8, 5), (10, 64, 10), (125, 64, 63), (1, 2, 1)],
)
def test_no_device_is_used_that_would_not_save_time(tasks, devices, used):
    assert useful(devices, tasks) == used
    assert devices_for(1).size == 1


def test_processors_work_on_one_large_task_at_a_time_and_accelerators_on_all(monkeypatch):
    assert tasks_at_once(10) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert tasks_at_once(10) == 10
