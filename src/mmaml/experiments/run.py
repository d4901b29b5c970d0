"""One run from beginning to end: train, save the model, draw, evaluate."""

import warnings
from typing import Any

from rich.console import Console

from mmaml.core.learners import AbstractLearner
from mmaml.experiments.evaluate import judge, write_result
from mmaml.experiments.experiment import AbstractExperiment
from mmaml.runs.checkpoint import newest
from mmaml.runs.errors import Interrupted, Note, command
from mmaml.runs.folder import RunFolder
from mmaml.runs.provenance import devices_here
from mmaml.runs.result import Result
from mmaml.runs.trackers import Track
from mmaml.runs.training import restore_learner, train


def complete_run(
    folder: RunFolder, experiment: AbstractExperiment, console: Console, track: Track | None = None
) -> Result:
    """Do what is left to do of the run in `folder`, and return its result.

    Raises what `mmaml.runs.training.train` raises, `Interrupted` also after that, and `UserError` if another process
    works on the run. A `Note` says so if the run was begun on other devices.
    """
    begun, here = folder.read_config(), devices_here()
    if any(begun.get(what, value) != value for what, value in here.items()):
        message = f"{folder.path} was begun on {_named(begun)} and goes on with {_named(here)}, so not bit for bit"
        warnings.warn(message, Note, stacklevel=2)
    with folder.locked():
        try:
            iterations, learner = train_run(folder, experiment, console, track)
            with console.status("drawing"):
                experiment.draw(learner, folder)
            # Last, since a run with a result counts as finished.
            with console.status("evaluating"):
                return write_result(folder, *judge(folder, experiment, iterations, learner))
        except KeyboardInterrupt:
            nothing = newest(folder.checkpoints_path) is None
            kept = "nothing was saved yet" if nothing else "all up to the last checkpoint is saved"
            raise Interrupted(f"{kept}. Go on with {command('resume', folder.path)}.") from None


def _named(devices: dict[str, Any]) -> str:
    kind = devices.get("device_kind", "of a kind that old runs do not tell")
    return f"{devices['devices']} devices ({kind})"


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
        better=experiment.better if experiment.keep_best else None,
        console=console,
        track=track,
    )
    iterations, learner = restore_learner(folder, experiment.trainer, best=experiment.keep_best)
    experiment.save_model(learner, folder)
    return iterations, learner
