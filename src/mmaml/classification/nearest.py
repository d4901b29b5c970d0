"""Pictures compared pixel by pixel: what a run on one's own images has to beat."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mmaml.core.task import Task


@partial(jax.jit, static_argnums=1)
def nearest_mean(tasks: Task, way: int) -> Float[Array, " tasks"]:
    """The share of each task's query images that are nearest to the mean support image of their own class.

    Labels are 0 … `way` − 1, each with as many support images as the others.
    """
    return jax.vmap(lambda task: _accuracy(task, way))(tasks)


def _accuracy(task: Task, way: int) -> Float[Array, ""]:
    support, query = (samples.inputs.reshape(len(samples.targets), -1) for samples in (task.support, task.query))
    means = jax.ops.segment_sum(support, task.support.targets, way) / (len(support) / way)
    distances = jnp.sum((query[:, None] - means) ** 2, axis=-1)
    return jnp.mean(distances.argmin(-1) == task.query.targets)
