"""Runs and trained models by path, for the command line and for Python."""

import difflib
import warnings
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from mmaml.domains import DOMAINS, GLOSSARY, PRESETS, open_experiment
from mmaml.experiments.config import ExperimentConfig
from mmaml.experiments.evaluate import evaluate_run
from mmaml.experiments.experiment import AbstractExperiment
from mmaml.experiments.modelfile import read_model
from mmaml.experiments.run import complete_run
from mmaml.report.html import write_report
from mmaml.runs import trackers
from mmaml.runs.config import from_dict, to_dict
from mmaml.runs.console import progress_console
from mmaml.runs.devices import prepare_jax
from mmaml.runs.errors import Note, UserError, command
from mmaml.runs.folder import RunFolder
from mmaml.runs.result import Result, read_result


def train(
    preset: str,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    tensorboard: bool = False,
    **options: Any,
) -> Any:
    """Meta-train, evaluate and write a report, as `mmaml train PRESET` does; returns the trained model, as `load` does.

    `options` are those of the preset, with underscores; several values are a list. The run is kept in the folder
    `out` (default: runs/<setting>-<learner>-<budget>), from where `resume` goes on with it. On CPUs tasks are shared
    out over all cores, unless JAX was in use before: then over the devices it has.

    Raises `UserError` for an unknown preset, an option or a value that cannot be, data that cannot be used, or a folder
    that holds a run already, unless it is to `overwrite` it; `Interrupted` after Ctrl-C; `RunFailed` if the training
    diverges.
    """
    folder, experiment = begin(_configure(preset, options), None if out is None else Path(out), overwrite)
    complete(folder, experiment, tensorboard=tensorboard)
    return load(folder.path)


def resume(run: str | Path, *, tensorboard: bool = False) -> Any:
    """Go on with the run in the folder `run`, as `mmaml resume` does; returns the trained model.

    A `Note` says so if JAX was in use before with another number of devices than the run's, on which it goes on.

    Raises what `train` raises.
    """
    folder, experiment = reopen(Path(run))
    complete(folder, experiment, tensorboard=tensorboard)
    return load(folder.path)


def evaluate(run: str | Path, *, tasks: int | None = None, steps: int | None = None) -> Result:
    """Evaluate the run in the folder `run`, as `mmaml evaluate` does, and return what its `result.json` holds.

    Its `stages` are the results after 0, 1, … gradient steps: the `mean` over tasks, `ci95`, half the width of its 95 %
    interval, and the same `per_mode`. The tasks are the same for every learner; how many, and how many gradient steps,
    is up to the run's budget, and `result.json` and report are written anew; of a run that was stopped the model, too,
    so that it can be used as it is. With `tasks` or `steps` of your own nothing is written, so that a run can be looked
    at while it trains.

    Raises `UserError` for `tasks` or `steps` that are no whole numbers or too few (at least 2 and 0), a run that has no
    checkpoint yet, or one that is being trained, unless nothing is to be written.
    """
    folder = RunFolder.open(Path(run))
    prepare_jax()
    result = evaluate_run(folder, open_experiment(folder), tasks=tasks, steps=steps)
    if tasks is None and steps is None:
        report([folder], folder.report_path)
    return result


def begin(config: ExperimentConfig, out: Path | None, overwrite: bool) -> tuple[RunFolder, AbstractExperiment]:
    """A new run's folder and what is to be trained in it. Nothing is written if the options or the data cannot be used.

    Raises `UserError` for those, and for a folder that holds a run already.
    """
    prepare_jax()
    config.check()
    name = f"{config.short_name}-{config.learner}-{config.budget}"
    path = out or Path("runs", name.translate({ord("["): "(", ord("]"): ")"}))  # no checkpoints below brackets
    RunFolder.require_free(path, overwrite=overwrite)  # data take a while to read
    experiment = DOMAINS[config.DOMAIN].experiment(config)
    stored = to_dict(experiment.config)
    return RunFolder.create(path, config.DOMAIN, config.short_name, stored, overwrite=overwrite), experiment


def reopen(run: Path) -> tuple[RunFolder, AbstractExperiment]:
    """The folder of a run that was begun, and what is trained in it. Raises `UserError` if there is none."""
    folder = RunFolder.open(run)
    prepare_jax(folder.read_config()["devices"])
    return folder, open_experiment(folder)


def complete(
    folder: RunFolder,
    experiment: AbstractExperiment,
    console: Console | None = None,
    *,
    tensorboard: bool = False,
) -> Result:
    """Do what is left to do of a run, report included, with progress on `console`; returns its result."""
    with trackers.tensorboard(folder.path / "tensorboard") if tensorboard else nullcontext() as track:
        result = complete_run(folder, experiment, console or progress_console(), track)
    report([folder], folder.report_path)
    return result


def require_preset(name: str) -> None:
    """Raise `UserError` if there is no preset of that name, with those that are spelt like it."""
    if name not in PRESETS:
        raise UserError(_unknown("preset", name, PRESETS))


def _configure(preset: str, options: dict[str, Any]) -> ExperimentConfig:
    require_preset(preset)
    config = PRESETS[preset]
    values = to_dict(config)
    for name, given in options.items():
        if name not in values:
            raise UserError(_unknown(f"option of {preset}", name, values))
        value = _plain(given)
        alone = isinstance(values[name], tuple) and not isinstance(value, tuple)
        values[name] = (value,) if alone else value
    return from_dict(type(config), values)


def _plain(value: Any) -> Any:
    """As a configuration holds it: paths as strings, sequences as tuples, numbers of NumPy as Python's."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(map(_plain, value)) if several else value


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."
    return f"{name!r} is no {what}; {hint}"


def load(path: str | Path) -> Any:
    """A trained model from a run's folder, or from a file that `mmaml export` made.

    It is a `RegressionModel`, a `ClassificationModel` or a `PolicyModel`. Raises `UserError` if there is none, or it is
    damaged.
    """
    path = Path(path)
    if path.is_dir():
        folder = RunFolder.open(path)
        if not folder.model_path.is_file():
            if not folder.result_path.is_file():
                raise UserError(
                    f"{path} is not trained to its end yet; finish it with {command('resume', path)}, or make a model "
                    f"of what it has learnt so far with {command('evaluate', path)}."
                )
            raise UserError(
                f"{path} holds no model, only how it was evaluated. If its checkpoints are there, make one of them "
                f"with {command('evaluate', path)}, or go on with {command('resume', path)}."
            )
        if (result := read_result(folder)) and result["trained"] < result["planned"]:
            message = f"{path} was stopped at {result['trained']} of {result['planned']} meta-iterations"
            warnings.warn(f"{message}; go on with {command('resume', path)}.", Note, stacklevel=2)
        of_run, path = folder.read_config()["domain"], folder.model_path
    else:
        of_run = None
    if not path.exists():
        raise UserError(f"there is nothing at {path}; a model is the folder of a run, or a file of `mmaml export`.")
    header, tensors = read_model(path)
    if header["domain"] not in DOMAINS:
        raise UserError(
            f"{path} is a model of the domain {header['domain']!r}; this mmaml knows: {', '.join(DOMAINS)}."
        )
    if of_run not in (None, header["domain"]):
        raise UserError(f"{path} is a model of {header['domain']} in a run of {of_run}. Put the run's own back.")
    return DOMAINS[header["domain"]].model(header, tensors, path)


def report(folders: Sequence[RunFolder], page: Path) -> None:
    """Write one page about one run or several, with what their domains know of them.

    Raises `UserError` if there is no run, a file of one is broken, or the page cannot be written.
    """
    write_report(folders, page, GLOSSARY, _compare)


def _compare(folders: dict[str, RunFolder]) -> dict[str, Figure]:
    """Pictures of finished runs of one setting, by label, side by side, as far as their domain has any.

    There are none, and a `Note` says so, where the tasks to draw cannot be had any more.
    """
    domain = DOMAINS.get(next(iter(folders.values())).read_config()["domain"])
    if domain is None or domain.compare is None:
        return {}
    try:
        return domain.compare({label: load(folder.path) for label, folder in folders.items()})
    except UserError as error:
        warnings.warn(f"the report has no picture of the runs side by side: {error}", Note, stacklevel=2)
        return {}
