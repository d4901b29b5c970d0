"""Evaluation on fresh tasks: the query error before and after every gradient step."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int

from mmaml.core.inner import Loss
from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.core.task import Task
from mmaml.regression.bayes import posterior_mean, query_mse
from mmaml.regression.build import Sources, make_sources, make_trainer, mean_squared_error
from mmaml.regression.presets import RegressionConfig
from mmaml.runs.environment import provenance
from mmaml.runs.files import write_json
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import read_metrics
from mmaml.runs.training import restore_learner


EVALUATION_SEED = 20191208
"""Learners are compared on tasks that are the same for all of them, whatever a run's own seed."""


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
    def stage_losses(task: Task) -> Float[Array, " stages"]:
        path = learner.adapt(task.support, task.mode, loss, steps=steps)
        return jnp.stack([loss(model(task.query.inputs), task.query.targets) for model in path])

    return jax.lax.map(stage_losses, tasks, batch_size=at_once)


def validation_numbers(losses: Float[np.ndarray, "tasks stages"]) -> dict[str, float]:
    """What is logged while training: the query loss before (`prior_loss`) and after adaptation."""
    after = mean_and_ci(losses[:, -1])
    return {
        "query_loss": after["mean"],
        "query_ci95": after["ci95"],
        "prior_loss": float(losses[:, 0].mean()),
    }


def mean_and_ci(values: Float[np.ndarray, " tasks"]) -> dict[str, float]:
    """Mean over tasks and half the width of its 95 % confidence interval (normal approximation)."""
    values = values.astype(np.float64)
    return {"mean": float(values.mean()), "ci95": float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))}


def evaluation_tasks(sources: Sources, count: int) -> Task:
    """The tasks on which all learners of one setting are compared."""
    return eqx.filter_jit(sources.held_out.sample)(jr.key(EVALUATION_SEED), count)


def evaluate_run(
    folder: RunFolder, config: RegressionConfig, *, tasks: int | None = None, steps: int | None = None
) -> dict[str, Any]:
    """Evaluate the newest checkpoint of a run, write its `result.json` and return what is in it.

    Errors are in the user's units. For the published families, `reference` is the Bayes-optimal predictor on the
    same tasks, and `excess` the mean difference to it, task by task.
    """
    sources = make_sources(config)
    iterations, learner = restore_learner(folder, make_trainer(config))
    batch = evaluation_tasks(sources, tasks or config.final_tasks)
    modes, names = np.asarray(batch.mode), sources.held_out.modes
    losses = sources.scaler.y_std**2 * evaluate(learner, batch, mean_squared_error, steps=steps)
    result = {
        "preset": config.preset,
        "learner": config.learner,
        "modulation": config.modulation if isinstance(learner, MMAML) else None,
        "budget": config.budget,
        "metric": "mse",
        "lower_is_better": True,
        "tasks": len(losses),
        "seed": config.seed,
        "meta_iterations": iterations,
        "train_seconds": read_metrics(folder.metrics_path)[-1]["seconds"],
        **provenance(),
        "stages": [{"steps": step, **_by_mode(losses[:, step], modes, names)} for step in range(losses.shape[1])],
    }
    if config.data is None:
        optimal = np.asarray(query_mse(posterior_mean(batch, config.families, key=jr.key(0)), batch))
        result["reference"] = {"name": "bayes-optimal", **_by_mode(optimal, modes, names)}
        result["excess"] = mean_and_ci(losses[:, -1] - optimal)
    write_json(folder.result_path, result)
    return result


def _by_mode(
    losses: Float[np.ndarray, " tasks"], modes: Int[np.ndarray, " tasks"], names: tuple[str, ...]
) -> dict[str, Any]:
    per_mode = {name: mean_and_ci(losses[modes == i]) for i, name in enumerate(names)}
    return {**mean_and_ci(losses), "per_mode": per_mode}
