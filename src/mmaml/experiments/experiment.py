"""What a domain makes of a configuration, to be trained, judged and shown."""

import abc
import operator
from collections.abc import Mapping
from typing import ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int

from mmaml.core.learners import AbstractLearner
from mmaml.core.meta import AbstractTrainer
from mmaml.experiments.config import ExperimentConfig
from mmaml.runs.folder import RunFolder
from mmaml.runs.result import More
from mmaml.runs.training import Schedule


EVALUATION_SEED = 20191208
"""Learners are compared on tasks that are the same for all of them, whatever a run's own seed."""


class Evaluation(NamedTuple):
    """`values[i, s]` is the metric on task `i` after `s` gradient steps; `more` goes into result.json as it is.

    Tasks that are drawn from one and the same thing, as from a file of the user's, are of one of the `groups`.
    `reference` is the name of another predictor and its values on the same tasks.
    """

    values: Float[np.ndarray, "tasks stages"]
    modes: Int[np.ndarray, " tasks"]
    more: More
    groups: Int[np.ndarray, " tasks"] | None = None
    reference: tuple[str, Float[np.ndarray, " tasks"]] | None = None


Config = TypeVar("Config", bound=ExperimentConfig)


class AbstractExperiment(abc.ABC, Generic[Config]):
    """What a domain makes of a configuration: data read once, an untrained learner, and how to judge and show it.

    `config` is what is stored with the run; it may say more exactly what the given one left open.
    With `keep_best` the run's result is the checkpoint with the best validation, else the last one.
    """

    metric: ClassVar[str]
    lower_is_better: ClassVar[bool]
    keep_best: ClassVar[bool]
    config: Config
    trainer: AbstractTrainer
    schedule: Schedule
    modulated_from: int = 0
    """Stages of the evaluation before this one are those of unmodulated networks."""

    def better(self, numbers: Mapping[str, float | int], than: Mapping[str, float | int]) -> bool:
        """Whether the numbers of one validation are better than those of another."""
        beats = operator.lt if self.lower_is_better else operator.gt
        return beats(numbers["query"], than["query"])

    @property
    @abc.abstractmethod
    def modes(self) -> tuple[str, ...]:
        """Names of the kinds of task it is judged on."""

    @property
    @abc.abstractmethod
    def data(self) -> str:
        """What the tasks are really made of, for the record."""

    @abc.abstractmethod
    def validate(self, learner: AbstractLearner) -> dict[str, float]:
        """Numbers to follow the training by, if the trainer's own do not suffice.

        In the end there must be `query`, the metric after adaptation, `query_ci95` and `query_before`.
        """

    @abc.abstractmethod
    def evaluate(self, learner: AbstractLearner, tasks: int, steps: int | None) -> Evaluation:
        """Judge the learner on `tasks` fresh tasks, the same for every learner."""

    @abc.abstractmethod
    def save_model(self, learner: AbstractLearner, folder: RunFolder) -> None:
        """Write the trained model, ready for use, to the run's `model_path`."""

    @abc.abstractmethod
    def draw(self, learner: AbstractLearner, folder: RunFolder) -> None:
        """Write pictures to the run's `figures_path`."""
