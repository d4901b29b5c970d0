"""The evaluation of a run: its `result.json` and the values of single tasks beside it."""

from contextlib import nullcontext
from numbers import Integral

import equinox as eqx
import numpy as np
from jaxtyping import Float

from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.experiments.experiment import AbstractExperiment, Evaluation
from mmaml.experiments.modelfile import fill_learner, read_model
from mmaml.runs.checkpoint import newest
from mmaml.runs.config import require
from mmaml.runs.files import write_json
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import read_metrics
from mmaml.runs.provenance import provenance
from mmaml.runs.result import MeanByMode, More, Result, Stage, read_result
from mmaml.runs.statistics import by_mode, mean_and_ci
from mmaml.runs.training import restore_learner
from mmaml.runs.values import Values, write_values


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
    require(tasks is None or _is_whole(tasks, 2), "tasks", tasks, "a whole number, at least 2")
    require(steps is None or _is_whole(steps, 0), "steps", steps, "a whole number, 0 or more")
    # What is written must not be older than what a training has written meanwhile.
    writes = tasks is None and steps is None
    with folder.locked() if writes else nullcontext():
        iterations, learner = _trained_learner(folder, experiment)
        result, evaluation = judge(folder, experiment, iterations, learner, tasks, steps)
        if not writes:
            return result
        if _has_checkpoint(folder, experiment):
            experiment.save_model(learner, folder)
        return write_result(folder, result, evaluation)


def _is_whole(number: object, least: int) -> bool:
    return isinstance(number, Integral) and int(number) >= least


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


def judge(
    folder: RunFolder,
    experiment: AbstractExperiment,
    iterations: int,
    learner: AbstractLearner,
    tasks: int | None = None,
    steps: int | None = None,
) -> tuple[Result, Evaluation]:
    """What goes to `result.json`, and the values of single tasks, of a learner after so many meta-iterations."""
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


def write_result(folder: RunFolder, result: Result, evaluation: Evaluation) -> Result:
    """Write both to the run's folder; with the result in it the run counts as finished."""
    write_values(folder, Values(evaluation.values, evaluation.modes, evaluation.groups))
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
