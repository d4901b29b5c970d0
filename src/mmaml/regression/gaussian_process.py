"""A Gaussian process for each task: what a run on one's own data has to beat.

It learns a task from the support points alone. Only its kernel comes from the training tasks.
"""

import itertools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from mmaml.core.task import AbstractTaskSource, Task


LENGTHS = 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0
NOISES = 1e-3, 1e-2, 1e-1, 1.0
TASKS = 1000
"""Training tasks by which a kernel is chosen."""


class Kernel(NamedTuple):
    """k(a, b) = 1 + exp(−‖a − b‖² / 2 `length`²), and the variance of the noise; all of scaled numbers."""

    length: float
    noise: float


def fit_kernel(source: AbstractTaskSource) -> Kernel:
    """The kernel of a grid with which query points of the source's tasks are predicted best."""
    tasks = eqx.filter_jit(source.sample)(jr.key(0), TASKS)
    grid = itertools.starmap(Kernel, itertools.product(LENGTHS, NOISES))
    return min(grid, key=lambda kernel: float(query_mse(tasks, kernel).mean()))


@jax.jit
def query_mse(tasks: Task, kernel: Kernel) -> Float[Array, " tasks"]:
    """Mean squared error of the posterior mean at each task's query points."""
    return jax.vmap(lambda task: jnp.mean((_posterior_mean(task, kernel) - task.query.targets) ** 2))(tasks)


def _posterior_mean(task: Task, kernel: Kernel) -> Float[Array, "queries 1"]:
    def covariance(a: Float[Array, "m in"], b: Float[Array, "n in"]) -> Float[Array, "m n"]:
        squares = jnp.sum((a[:, None] - b) ** 2, axis=-1)
        return 1 + jnp.exp(-squares / (2 * kernel.length**2))

    x, y = task.support.inputs, task.support.targets
    gram = covariance(x, x) + kernel.noise * jnp.eye(len(x))
    return covariance(task.query.inputs, x) @ jnp.linalg.solve(gram, y)
