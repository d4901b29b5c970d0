"""Evaluation on fresh tasks: the query error before and after every gradient step."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmaml.core.inner import Loss
from mmaml.core.learners import AbstractLearner
from mmaml.core.task import Task


EVALUATION_SEED = 20191208
"""The evaluation's tasks are the same for every learner and never depend on a run's own seed."""


def evaluate(
    learner: AbstractLearner, tasks: Task, loss: Loss, *, steps: int | None = None, at_once: int = 100
) -> Float[np.ndarray, "tasks stages"]:
    """Query loss of every task after 0, 1, …, `steps` gradient steps (default: those of meta-training).

    `at_once` tasks are worked on together, which bounds memory.
    """
    return np.asarray(_losses(learner, tasks, loss, steps, at_once))


@eqx.filter_jit
def _losses(
    learner: AbstractLearner, tasks: Task, loss: Loss, steps: int | None, at_once: int
) -> Float[Array, "tasks stages"]:
    def stages(task: Task) -> Float[Array, " stages"]:
        path = learner.adapt(task.support, task.mode, loss, steps=steps)
        return jnp.stack([loss(model(task.query.inputs), task.query.targets) for model in path])

    return jax.lax.map(stages, tasks, batch_size=at_once)


def validation_numbers(losses: Float[np.ndarray, "tasks stages"]) -> dict[str, float]:
    """What is logged while training: query loss before (`prior_loss`) and after adaptation, with 95 % interval."""
    mean, ci95 = mean_and_ci(losses[:, -1])
    return {"query_loss": mean, "query_ci95": ci95, "prior_loss": float(losses[:, 0].mean())}


def mean_and_ci(values: Float[np.ndarray, " tasks"]) -> tuple[float, float]:
    """Mean over tasks and half the width of its 95 % confidence interval (normal approximation)."""
    values = values.astype(np.float64)
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def stages(
    losses: Float[np.ndarray, "tasks stages"], modes: np.ndarray, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The `stages` of a result: for every number of gradient steps the mean, its interval, and both per mode."""

    def summary(values: np.ndarray) -> dict[str, float]:
        return dict(zip(("mean", "ci95"), mean_and_ci(values), strict=True))

    return [
        {
            "steps": step,
            **summary(losses[:, step]),
            "per_mode": {name: summary(losses[modes == i, step]) for i, name in enumerate(names)},
        }
        for step in range(losses.shape[1])
    ]
