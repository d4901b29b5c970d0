"""Meta-training of few-shot regression in a run folder."""

from collections.abc import Callable

import equinox as eqx
import jax.random as jr
from rich.console import Console

from mmaml.core.learners import AbstractLearner
from mmaml.regression.build import make_sources, make_trainer, mean_squared_error
from mmaml.regression.evaluate import evaluate, validation_numbers
from mmaml.regression.model import RegressionModel
from mmaml.regression.presets import RegressionConfig
from mmaml.runs.folder import RunFolder
from mmaml.runs.training import Schedule, train


VALIDATION_TASKS = 1000


def train_run(
    folder: RunFolder,
    config: RegressionConfig,
    console: Console,
    track: Callable[[int, dict[str, float]], None],
) -> AbstractLearner:
    """Train, or go on training, the run in `folder`; see `mmaml.runs.training.train`."""
    trainer, sources = make_trainer(config), make_sources(config)
    key = jr.fold_in(jr.key(config.seed), 1)
    tasks = eqx.filter_jit(sources.held_out.sample)(key, min(VALIDATION_TASKS, config.final_tasks))

    def validate(learner: AbstractLearner) -> dict[str, float]:
        return validation_numbers(sources.scaler.y_std**2 * evaluate(learner, tasks, mean_squared_error))

    save_every = max(min(1000, config.iterations // 10), 1)
    schedule = Schedule(config.iterations, save_every, dispatch=min(50, save_every))
    learner = train(
        folder,
        trainer,
        schedule,
        validate,
        title=folder.path.name,
        score="query_loss",
        console=console,
        track=track,
    )
    RegressionModel(config, learner, sources.scaler, sources.train.modes).save(folder.model_path)
    return learner
