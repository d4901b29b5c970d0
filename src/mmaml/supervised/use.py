"""A trained learner on one new task: adapt it, then compute outputs."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from mmaml.core.inner import Loss
from mmaml.core.learners import AbstractLearner, MultiMAML
from mmaml.core.network import TaskModel
from mmaml.core.task import Samples


def adapt_to(
    learner: AbstractLearner, support: Samples, loss: Loss, *, steps: int | None, mode: str | None, modes: Sequence[str]
) -> TaskModel:
    """The task's model after `steps` gradient steps (default: as in meta-training).

    Raises `ValueError` if `steps` is negative, or the learner is Multi-MAML and `mode` is none of `modes`.
    """
    if steps is not None and steps < 0:
        raise ValueError(f"a task is adapted to in {steps} gradient steps; it must be 0 or more.")
    if isinstance(learner, MultiMAML) and mode not in modes:
        raise ValueError(f"Multi-MAML must be told the task's mode, one of {', '.join(modes)}; got {mode!r}.")
    index = modes.index(mode) if mode in modes else 0
    return _adapt(learner, support, jnp.asarray(index), loss, steps)


@eqx.filter_jit
def _adapt(
    learner: AbstractLearner, support: Samples, mode: Int[Array, ""], loss: Loss, steps: int | None
) -> TaskModel:
    *_, model = learner.adapt(support, mode, loss, steps=steps)
    return model


@eqx.filter_jit
def outputs(model: TaskModel, inputs: PyTree) -> PyTree:
    """What the task's model says about a set of examples."""
    return model(inputs)
