"""What the modulator makes of many tasks."""

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmaml.core.learners import MMAML
from mmaml.core.task import AbstractTaskSource, groups_of
from mmaml.experiments.neighbours import EmbeddedTasks


AT_ONCE = 50
"""Tasks that are drawn and embedded together: images take room."""


def embed_tasks(learner: MMAML, source: AbstractTaskSource, key: PRNGKeyArray, count: int) -> EmbeddedTasks:
    """What the modulator makes of the support sets of `count` tasks drawn from `source`."""
    chunks = [_embed(learner, source, jr.fold_in(key, i)) for i in range(-(-count // AT_ONCE))]
    points, mode, origin = jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *chunks)
    return EmbeddedTasks(points, mode, groups_of(mode, origin))


@eqx.filter_jit
def _embed(
    learner: MMAML, source: AbstractTaskSource, key: PRNGKeyArray
) -> tuple[Float[Array, "tasks embedding"], Int[Array, " tasks"], Int[Array, " tasks"] | None]:
    tasks = source.sample(key, AT_ONCE)
    return jax.vmap(learner.modulator.encoder)(tasks.support), tasks.mode, tasks.origin
