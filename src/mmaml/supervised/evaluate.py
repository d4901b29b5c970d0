"""What a learner achieves on tasks it has not seen: a metric on the query set, before and after each gradient step."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mmaml.core.inner import Loss
from mmaml.core.learners import AbstractLearner
from mmaml.core.task import Task


def evaluate(
    learner: AbstractLearner, tasks: Task, loss: Loss, metric: Loss, *, steps: int | None = None, at_once: int = 100
) -> Float[np.ndarray, "tasks stages"]:
    """`metric` on every task's query set after 0, 1, …, `steps` gradient steps (default: those of meta-training).

    The steps lower `loss` on the support set. `at_once` tasks are worked on together, which bounds memory.
    """
    return np.asarray(_stages(learner, tasks, loss, metric, steps, at_once))


@eqx.filter_jit
def _stages(
    learner: AbstractLearner, tasks: Task, loss: Loss, metric: Loss, steps: int | None, at_once: int
) -> Float[Array, "tasks stages"]:
    def stages(task: Task) -> Float[Array, " stages"]:
        path = learner.adapt(task.support, task.mode, loss, steps=steps)
        return jnp.stack([metric(model(task.query.inputs), task.query.targets) for model in path])

    return jax.lax.map(stages, tasks, batch_size=at_once)


def mean_and_ci(values: Float[np.ndarray, " tasks"]) -> dict[str, float]:
    """Mean over tasks and half the width of its 95 % confidence interval (normal approximation)."""
    values = values.astype(np.float64)
    return {"mean": float(values.mean()), "ci95": float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))}


def by_mode(
    values: Float[np.ndarray, " tasks"], modes: Int[np.ndarray, " tasks"], names: tuple[str, ...]
) -> dict[str, Any]:
    """`mean_and_ci` of all tasks, and under `per_mode` of those of each mode; `names[i]` is the name of mode `i`."""
    per_mode = {name: mean_and_ci(values[modes == i]) for i, name in enumerate(names)}
    return {**mean_and_ci(values), "per_mode": per_mode}
