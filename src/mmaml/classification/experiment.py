"""Few-shot image classification in a run folder: what is trained, validated, evaluated and drawn."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Float, PRNGKeyArray, Shaped

from mmaml.classification.config import ClassificationConfig
from mmaml.classification.figures import write_figures
from mmaml.classification.learner import make_learner
from mmaml.classification.loss import accuracy, cross_entropy
from mmaml.classification.model import ClassificationModel
from mmaml.classification.nearest import nearest_mean
from mmaml.classification.sources import data_names, make_sources
from mmaml.classification.tasks import ImageTasks
from mmaml.core.evaluate import evaluate_tasks
from mmaml.core.learners import AbstractLearner
from mmaml.core.parallel import tasks_at_once
from mmaml.core.task import Mixture, Task
from mmaml.experiments.experiment import EVALUATION_SEED, AbstractExperiment, Evaluation
from mmaml.runs.folder import RunFolder
from mmaml.runs.result import More
from mmaml.runs.statistics import progress_numbers
from mmaml.runs.training import Schedule
from mmaml.supervised.build import make_trainer
from mmaml.supervised.use import landmarks


VALIDATION_TASKS = 200
TASKS_AT_ONCE = 20

REFERENCES = {
    "nearest mean picture": "is right where a picture is of the class whose mean support picture differs least from it"
}
"""What stands beside a result, by name."""


class ClassificationExperiment(AbstractExperiment[ClassificationConfig]):
    """Few-shot classification; raises `UserError` if a data set is missing or too small."""

    metric: ClassVar[str] = "accuracy"
    lower_is_better: ClassVar[bool] = False
    keep_best: ClassVar[bool] = True

    def __init__(self, config: ClassificationConfig):
        learner_key, task_key, self._validation_key = jr.split(jr.key(config.seed), 3)
        # A run goes on wherever it is resumed from, and with the data it began with.
        own = tuple(str(Path(path).resolve()) if Path(path).exists() else path for path in config.data)
        config = replace(config, data=own) if own else replace(config, datasets=data_names(config))
        config = replace(
            config,
            image_size=config.side,
            meta_batch=config.tasks_per_step,
            precision=config.rounded_to,
            task_microbatch=config.task_microbatch or tasks_at_once(config.tasks_per_step),
        )
        self.sources = make_sources(config)
        self.config = replace(config, data_digests=self.sources.digests)
        modes = self.sources.train.modes
        make = eqx.filter_jit(make_learner)  # many small programs otherwise
        learner = make(config, channels=self.sources.channels, modes=modes, key=learner_key)
        self.trainer = make_trainer(
            config,
            self.sources.train,
            learner,
            cross_entropy,
            tasks_per_step=config.tasks_per_step,
            key=task_key,
            precision=config.rounded_to,
        )
        save_every = max(min(250, config.iterations // 10), 1)
        self.schedule = Schedule(config.iterations, save_every, dispatch=min(10, save_every))

    @property
    def data(self) -> str:
        """The data sets, by the names they go by here."""
        return ", ".join(self.modes)

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the data sets."""
        return self.sources.test.modes

    def validate(self, learner: AbstractLearner) -> dict[str, float]:
        """Accuracy on tasks of the validation classes that the run's seed fixes."""
        count = min(VALIDATION_TASKS, self.config.final_tasks)
        (values,) = _of_tasks(
            self.sources.validation, self._validation_key, count, self._accuracies(learner, ends=True)
        )
        return progress_numbers(values)

    def evaluate(self, learner: AbstractLearner, tasks: int, steps: int | None) -> Evaluation:
        """Accuracy on tasks of the test classes.

        For the user's own images the reference is the classifier of the nearest mean picture.
        """
        config = self.config
        more: More = {
            "way": config.way,
            "shot": config.shot,
            "queries": config.queries,
            "image_size": config.side,
        }
        judges = [self._accuracies(learner, steps), lambda drawn: np.asarray(drawn.mode)]
        if config.data:
            parts = [part for part in self.sources.test.sources if isinstance(part, ImageTasks)]
            classes = ", ".join(f"{len(part.counts)} of {part.name}" for part in parts)
            more["note"] = f"The test classes are {classes}; intervals do not cover other classes."
            judges.append(lambda drawn: np.asarray(nearest_mean(drawn, config.way), np.float64))
        values, modes, *others = _of_tasks(self.sources.test, jr.key(EVALUATION_SEED), tasks, *judges)
        reference = ("nearest mean picture", others[0]) if others else None
        return Evaluation(values, modes, more, reference=reference)

    def save_model(self, learner: AbstractLearner, folder: RunFolder) -> None:
        """Write the trained model."""
        sources, known = self.sources, landmarks(learner, self.sources.train)
        model = ClassificationModel(self.config, learner, sources.channels, sources.bits, sources.train.modes, known)
        model.save(folder.model_path)

    def draw(self, learner: AbstractLearner, folder: RunFolder) -> None:
        """Write sample episodes with predictions, and Figure 3b."""
        write_figures(folder, learner, self.sources, self.config)

    def _accuracies(
        self, learner: AbstractLearner, steps: int | None = None, *, ends: bool = False
    ) -> Callable[[Task], Float[np.ndarray, "tasks stages"]]:
        at_once = self.config.task_microbatch or TASKS_AT_ONCE
        return lambda tasks: evaluate_tasks(
            learner, tasks, cross_entropy, accuracy, steps=steps, at_once=at_once, ends=ends
        )


def _of_tasks(
    source: Mixture, key: PRNGKeyArray, count: int, *judges: Callable[[Task], Shaped[np.ndarray, "tasks *rest"]]
) -> list[Shaped[np.ndarray, "{count} *rest"]]:
    """What each judge says of `count` tasks, which are drawn a few at a time since images take room."""
    drawn = (_draw(source, jr.fold_in(key, i), TASKS_AT_ONCE) for i in range(-(-count // TASKS_AT_ONCE)))
    said = [[judge(tasks) for judge in judges] for tasks in drawn]
    return [np.concatenate(parts)[:count] for parts in zip(*said, strict=True)]


_draw = eqx.filter_jit(Mixture.sample)
