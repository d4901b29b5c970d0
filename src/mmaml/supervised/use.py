"""A trained learner in use: what goes into its file, and what it is on one new task."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from mmaml.core.adapt import adapt_in_a_loop
from mmaml.core.inner import Loss, whole_steps
from mmaml.core.learners import MMAML, AbstractLearner, MultiMAML
from mmaml.core.network import TaskModel
from mmaml.core.task import AbstractTaskSource, Samples, mode_index
from mmaml.experiments.neighbours import EmbeddedTasks
from mmaml.supervised.embed import embed_tasks


LANDMARKS = 300
"""Training tasks that a model remembers, to say what a new one is like."""


def landmarks(learner: AbstractLearner, source: AbstractTaskSource) -> EmbeddedTasks | None:
    """Some training tasks as the modulator sees them; `None` for learners that do not modulate."""
    return embed_tasks(learner, source, jr.key(0), LANDMARKS) if isinstance(learner, MMAML) else None


def landmark_tensors(known: EmbeddedTasks | None) -> dict[str, np.ndarray]:
    """As they stand in a model's file."""
    return {} if known is None else {"landmarks.points": known.points, "landmarks.modes": known.modes}


def read_landmarks(tensors: dict[str, np.ndarray]) -> EmbeddedTasks | None:
    """Those of a model's file, if it has any."""
    if "landmarks.points" not in tensors:
        return None
    return EmbeddedTasks(tensors["landmarks.points"], tensors["landmarks.modes"])


class AdaptedTask:
    """The model of one task.

    - `embedding`: the task embedding υ.
    - `mode_neighbours`: the share of each kind among the training tasks nearest to this one in embedding, the commonest
      first: what kind of task the learner takes it for.

    Both are `None` for learners that do not modulate, the second also for models that remember no tasks.
    """

    def __init__(self, model: TaskModel, known: EmbeddedTasks | None, modes: Sequence[str]):
        self._model = model
        self.embedding: Float[np.ndarray, " embedding"] | None = None
        self.mode_neighbours: dict[str, float] | None = None
        if model.embedding is not None:
            self.embedding = np.asarray(model.embedding)
            self.mode_neighbours = None if known is None else known.near(self.embedding, modes)


def adapt_to(
    learner: AbstractLearner, support: Samples, loss: Loss, *, steps: int | None, mode: str | None, modes: Sequence[str]
) -> TaskModel:
    """The task's model after `steps` gradient steps (default: as in meta-training).

    Raises `ValueError` if `steps` is no whole number or less than 0, `mode` is none of `modes`, or the learner is
    Multi-MAML and not told it.
    """
    steps = learner.inner.steps if steps is None else whole_steps(steps)
    index = mode_index(mode, modes, needed=isinstance(learner, MultiMAML))
    return _adapt(learner, support, jnp.asarray(index or 0), loss, jnp.asarray(steps))


@eqx.filter_jit
def _adapt(
    learner: AbstractLearner, support: Samples, mode: Int[Array, ""], loss: Loss, steps: Int[Array, ""]
) -> TaskModel:
    return adapt_in_a_loop(learner.inner_for(mode), learner.condition(support, mode), support, loss, steps)


@eqx.filter_jit
def outputs(model: TaskModel, inputs: PyTree) -> PyTree:
    """What the task's model says about a set of examples."""
    return model(inputs)
