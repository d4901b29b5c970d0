"""One run from beginning to end: train, save the model, draw, evaluate."""

import abc
import operator
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import ClassVar, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, Int
from rich.console import Console

from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.core.meta import AbstractTrainer
from mmaml.experiments.config import ExperimentConfig
from mmaml.experiments.modelfile import fill_learner, read_model
from mmaml.runs.checkpoint import newest
from mmaml.runs.config import require
from mmaml.runs.errors import Interrupted, Note
from mmaml.runs.files import write_json
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import read_metrics
from mmaml.runs.provenance import provenance
from mmaml.runs.result import MeanByMode, More, Result, Stage, read_result
from mmaml.runs.statistics import by_mode, mean_and_ci
from mmaml.runs.trackers import Track
from mmaml.runs.training import Schedule, restore_learner, train
from mmaml.runs.values import Values, write_values


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


def complete_run(
    folder: RunFolder, experiment: AbstractExperiment, console: Console, track: Track | None = None
) -> Result:
    """Do what is left to do of the run in `folder`, and return its result.

    Raises what `mmaml.runs.training.train` raises, `Interrupted` also after that, and `UserError` if another process
    works on the run. A `Note` says so if the run was begun on another number of devices.
    """
    if (begun := folder.read_config()["devices"]) != (here := jax.device_count()):
        message = f"{folder.path} was begun on {begun} devices and goes on with {here}, so not bit for bit"
        warnings.warn(message, Note, stacklevel=2)
    with folder.locked():
        try:
            iterations, learner = train_run(folder, experiment, console, track)
            with console.status("drawing"):
                experiment.draw(learner, folder)
            # Last, since a run with a result counts as finished.
            with console.status("evaluating"):
                return _write_result(folder, *_judge(folder, experiment, iterations, learner))
        except KeyboardInterrupt:
            nothing = newest(folder.checkpoints_path) is None
            kept = "nothing was saved yet" if nothing else "all up to the last checkpoint is saved"
            raise Interrupted(f"{kept}. Go on with `mmaml resume {folder.path}`.") from None


def train_run(
    folder: RunFolder, experiment: AbstractExperiment, console: Console, track: Track | None = None
) -> tuple[int, AbstractLearner]:
    """Train, or go on training, the run in `folder`; save its model.

    Returns the meta-iterations it had and the learner: the last, or the one that did best in validation.
    """

    train(
        folder,
        experiment.trainer,
        experiment.schedule,
        experiment.validate,
        better=_better(experiment) if experiment.keep_best else None,
        console=console,
        track=track,
    )
    iterations, learner = restore_learner(folder, experiment.trainer, best=experiment.keep_best)
    experiment.save_model(learner, folder)
    return iterations, learner


def _better(experiment: AbstractExperiment) -> Callable[[Mapping[str, float], Mapping[str, float]], bool]:
    """Whether the numbers of one validation are better than those of another."""
    beats = operator.lt if experiment.lower_is_better else operator.gt
    return lambda numbers, than: beats(numbers["query"], than["query"])


def evaluate_run(
    folder: RunFolder, experiment: AbstractExperiment, *, tasks: int | None = None, steps: int | None = None
) -> Result:
    """Evaluate the newest or best checkpoint of a run, write its `result.json` and return what is in it.

    A finished run whose checkpoints are gone, as in a record of it, is evaluated by its model.
    With other `tasks` or `steps` than the run's own nothing is written, since tables are made of what is there; else
    the checkpoint's model is, too, so that a run that was stopped can be used. The result repeats how the run was made,
    and says under `evaluated` how it was evaluated. `meta_iterations` are those of the evaluated learner, `trained` and
    `planned` those of the run. The values of single tasks go to `evaluation.npy`, so that runs can be compared task by
    task. Raises `UserError` for fewer than two `tasks`, which have no interval, or fewer than no `steps`, and for a run
    that is being trained, unless nothing is to be written.
    """
    require(tasks is None or tasks >= 2, "tasks", tasks, "at least 2")
    require(steps is None or steps >= 0, "steps", steps, "0 or more")
    # What is written must not be older than what a training has written meanwhile.
    writes = tasks is None and steps is None
    with folder.locked() if writes else nullcontext():
        iterations, learner = _trained_learner(folder, experiment)
        result, evaluation = _judge(folder, experiment, iterations, learner, tasks, steps)
        if not writes:
            return result
        if _has_checkpoint(folder, experiment):
            experiment.save_model(learner, folder)
        return _write_result(folder, result, evaluation)


def _trained_learner(folder: RunFolder, experiment: AbstractExperiment) -> tuple[int, AbstractLearner]:
    """Meta-iterations and learner: of a checkpoint, or of the model if there is none and the run was finished."""
    if _has_checkpoint(folder, experiment) or not folder.has_ended():
        return restore_learner(folder, experiment.trainer, best=experiment.keep_best)
    _, tensors = read_model(folder.model_path)
    untrained = experiment.trainer.learner
    learner = fill_learner(eqx.filter_eval_shape(lambda: untrained), tensors, folder.model_path)
    result = read_result(folder)
    assert result is not None  # it has ended
    return result["meta_iterations"], learner


def _has_checkpoint(folder: RunFolder, experiment: AbstractExperiment) -> bool:
    return newest(folder.best_path if experiment.keep_best else folder.checkpoints_path) is not None


def _judge(
    folder: RunFolder,
    experiment: AbstractExperiment,
    iterations: int,
    learner: AbstractLearner,
    tasks: int | None = None,
    steps: int | None = None,
) -> tuple[Result, Evaluation]:
    """What goes to `result.json`, and the values of single tasks."""
    config = experiment.config
    stored = folder.read_config()
    # A run that was stopped early has a checkpoint, but may have no metrics yet.
    last = [{"step": 0, "seconds": 0.0}, *read_metrics(folder.metrics_path)][-1]
    evaluation = experiment.evaluate(learner, tasks or config.final_tasks, steps)
    values = evaluation.values
    return {
        "preset": config.preset,
        "learner": config.learner,
        "modulation": config.modulation if isinstance(learner, MMAML) else None,
        "budget": config.budget,
        "data": experiment.data,
        "metric": experiment.metric,
        "lower_is_better": experiment.lower_is_better,
        "tasks": len(values),
        "seed": config.seed,
        "meta_iterations": iterations,
        "trained": max(iterations, last["step"]),
        "planned": config.iterations,
        "train_seconds": last["seconds"],
        "command": stored["command"],
        "commit": stored["commit"],
        "versions": stored["versions"],
        "machine": stored["machine"],
        "devices": stored["devices"],
        "evaluated": provenance(),
        "stages": [_stage(experiment, step, evaluation) for step in range(values.shape[1])],
        **evaluation.more,
        **_beside_reference(experiment, evaluation),
    }, evaluation


def _write_result(folder: RunFolder, result: Result, evaluation: Evaluation) -> Result:
    write_values(folder, Values(evaluation.values, evaluation.groups))
    write_json(folder.result_path, result)
    return result


def _stage(experiment: AbstractExperiment, step: int, evaluation: Evaluation) -> Stage:
    stage: Stage = {"steps": step, **_by_mode(experiment, evaluation, evaluation.values[:, step])}
    if step < experiment.modulated_from:
        stage["modulated"] = False
    return stage


def _beside_reference(experiment: AbstractExperiment, evaluation: Evaluation) -> More:
    """The other predictor's result, and the difference to it task by task."""
    if evaluation.reference is None:
        return {}
    name, values = evaluation.reference
    return {
        "reference": {"name": name, **_by_mode(experiment, evaluation, values)},
        "excess": mean_and_ci(evaluation.values[:, -1] - values, evaluation.groups),
    }


def _by_mode(experiment: AbstractExperiment, evaluation: Evaluation, values: Float[np.ndarray, " tasks"]) -> MeanByMode:
    return by_mode(values, evaluation.modes, experiment.modes, evaluation.groups)
