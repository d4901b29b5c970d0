"""Few-shot regression in a run folder: what is trained, validated, evaluated and drawn."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.evaluate import evaluate_tasks
from mmaml.core.learners import AbstractLearner
from mmaml.core.task import Task, groups_of
from mmaml.experiments.experiment import EVALUATION_SEED, AbstractExperiment, Evaluation
from mmaml.regression import gaussian_process
from mmaml.regression.augment import Varied
from mmaml.regression.bayes import posterior_mean, query_mse
from mmaml.regression.config import RegressionConfig
from mmaml.regression.figures import write_figures
from mmaml.regression.learner import make_learner
from mmaml.regression.loss import mean_squared_error
from mmaml.regression.model import RegressionModel
from mmaml.regression.sources import make_sources
from mmaml.runs.folder import RunFolder
from mmaml.runs.statistics import percentiles, progress_numbers
from mmaml.runs.training import Schedule
from mmaml.supervised.build import make_trainer
from mmaml.supervised.use import landmarks


VALIDATION_TASKS = 1000

REFERENCES = {
    "bayes-optimal": "knows how tasks are distributed, but not which it faces: on average, nothing can do better",
    "bayes-optimal, told": "is the limit of those who are told what kind of task each is, as Multi-MAML is",
    "Gaussian process": "is one fitted to each task's support points alone, with the kernel that suits the training "
    "tasks best",
}
"""What stands beside a result, by name."""


class RegressionExperiment(AbstractExperiment[RegressionConfig]):
    """Few-shot regression; raises `UserError` if the user's own data cannot be used."""

    metric: ClassVar[str] = "mse"
    lower_is_better: ClassVar[bool] = True
    keep_best: ClassVar[bool] = False

    def __init__(self, config: RegressionConfig):
        learner_key, task_key, self._validation_key = jr.split(jr.key(config.seed), 3)
        # A run goes on wherever it is resumed from.
        config = config if config.data is None else replace(config, data=str(Path(config.data).resolve()))
        self.sources = make_sources(config)
        self.config = replace(config, data_files=self.sources.files)
        modes = len(self.sources.train.modes)
        make = eqx.filter_jit(make_learner)  # many small programs otherwise
        learner = make(config, in_size=len(self.sources.scaler.x_mean), modes=modes, key=learner_key)
        count = config.tasks_per_mode * modes
        source = Varied(self.sources.train) if config.augment else self.sources.train
        self.trainer = make_trainer(
            config,
            source,
            learner,
            mean_squared_error,
            tasks_per_step=count,
            key=task_key,
            pretraining=config.pretraining_iterations,
        )
        save_every = max(min(1000, config.iterations // 10), 1)
        dispatch = min(50, save_every)
        self.schedule = Schedule(config.iterations, save_every, dispatch, pretraining=config.pretraining_iterations)

    @property
    def data(self) -> str:
        """The families of functions, or the user's folder."""
        return self.config.data or f"function families: {', '.join(self.config.families)}"

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the families, or of the user's sub-folders."""
        return self.sources.held_out.modes

    def validate(self, learner: AbstractLearner) -> dict[str, float]:
        """Query error in the user's units on held-out tasks that the run's seed fixes."""
        tasks = self._held_out(self._validation_key, min(VALIDATION_TASKS, self.config.final_tasks))
        return progress_numbers(self._errors(learner, tasks, ends=True), groups_of(tasks.mode, tasks.origin))

    def evaluate(self, learner: AbstractLearner, tasks: int, steps: int | None) -> Evaluation:
        """Query error in the user's units.

        On the user's own data tasks are grouped by file, and the reference is a Gaussian process. For the published
        families it is the Bayes-optimal predictor, which is told the modes where Multi-MAML is judged.
        """
        batch = self._held_out(jr.key(EVALUATION_SEED), tasks)
        modes = np.asarray(batch.mode)
        errors = self._errors(learner, batch, steps)
        if (files := groups_of(batch.mode, batch.origin)) is None:
            prediction = posterior_mean(batch, self.config.families, key=jr.key(0))
            told = self.config.learner == "multi-maml"
            optimal = np.asarray(query_mse(prediction, batch, told=told))
            reference = "bayes-optimal, told" if told else "bayes-optimal", optimal
            return Evaluation(errors, modes, {"effective_samples": percentiles(prediction.ess)}, reference=reference)
        count = len(np.unique(files))
        note = f"Tasks are drawn from {count} held-out files; intervals take these, not the tasks, to be independent."
        return Evaluation(errors, modes, {"held_out_files": count, "note": note}, files, self._alone(batch))

    def save_model(self, learner: AbstractLearner, folder: RunFolder) -> None:
        """Write the trained model with the scale of its numbers."""
        train, scaler = self.sources.train, self.sources.scaler
        model = RegressionModel(self.config, learner, scaler, train.modes, landmarks(learner, train))
        model.save(folder.model_path)

    def draw(self, learner: AbstractLearner, folder: RunFolder) -> None:
        """Write Figures 2 and 3a of this run."""
        write_figures(folder, learner, self.sources, self.config)

    def _alone(self, tasks: Task) -> tuple[str, Float[np.ndarray, " tasks"]]:
        """Name and errors of a predictor that learns each task from its support points alone."""
        kernel = gaussian_process.fit_kernel(self.sources.train)
        return "Gaussian process", self._in_units(gaussian_process.query_mse(tasks, kernel))

    def _held_out(self, key: PRNGKeyArray, count: int) -> Task:
        return eqx.filter_jit(self.sources.held_out.sample)(key, count)

    def _errors(
        self, learner: AbstractLearner, tasks: Task, steps: int | None = None, *, ends: bool = False
    ) -> Float[np.ndarray, "tasks stages"]:
        return self._in_units(evaluate_tasks(learner, tasks, mean_squared_error, steps=steps, ends=ends))

    def _in_units(self, errors: Float[np.ndarray | Array, "*axes"]) -> Float[np.ndarray, "*axes"]:
        return self.sources.scaler.y_std**2 * np.asarray(errors, np.float64)
