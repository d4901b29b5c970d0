"""The runs of a table: done where they are missing, resumed where they are half done."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from mmaml.experiments.config import Budget, ExperimentConfig
from mmaml.experiments.paper_tables.cells import Cell
from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.experiments.paper_tables.write import write_table
from mmaml.experiments.run import complete_run
from mmaml.runs.config import from_dict, require, to_dict
from mmaml.runs.errors import DataError, UserError
from mmaml.runs.folder import RunFolder
from mmaml.runs.result import read_result


def reproduce_table(
    spec: TableSpec,
    out: Path,
    *,
    budget: Budget,
    settings: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    console: Console,
) -> list[Cell]:
    """Do the runs of a table that are not done yet, resuming what is half done; return the table's cells.

    Runs lie in `out/runs`. The table's files in `out` are written anew after each of them, from all evaluated runs of
    the budget that are there; those that were stopped and evaluated on the way are marked. Without `settings` or
    `methods` all are done. A setting whose data is not here or does not suffice is left out, with a word about it.
    Raises `UserError` for unknown ones.
    """
    for option, given, known in (("settings", settings, spec.settings), ("methods", methods, spec.methods)):
        for name in given:
            require(name in known, option, name, f"one of {', '.join(map(repr, known))}")
    for setting in settings or spec.settings:
        try:
            for method in methods or spec.methods:
                for seed in seeds:
                    config = spec.config(setting, method, budget, seed)
                    config.check()
                    if not _is_done(path := spec.run_path(out, setting, method, budget, seed)):
                        _finish(spec, path, config, console)
                        write_table(spec, out, budget)
        except DataError as error:
            console.print(f"{setting} is left out: {escape(str(error))}", soft_wrap=True, highlight=False)
    return write_table(spec, out, budget)


def _is_done(path: Path) -> bool:
    result = read_result(RunFolder(path))
    return result is not None and result["trained"] == result["planned"]


def _finish(spec: TableSpec, path: Path, config: ExperimentConfig, console: Console) -> None:
    """Do what is left to do of one run."""
    if (path / "config.json").is_file():
        folder = RunFolder.open(path)
        stored = folder.read_config()
        begun = from_dict(type(config), stored["config"])
        # What suits a machine is no part of what is reproduced.
        suited = {name: getattr(begun, name) for name in ("task_microbatch", "precision") if hasattr(begun, name)}
        experiment = spec.experiment(replace(config, **suited))
        if experiment.config != begun:
            raise UserError(f"{path} holds a run with other options than this table's; move it away.")
    else:
        experiment = spec.experiment(config)
        folder = RunFolder.create(path, config.DOMAIN, config.short_name, to_dict(experiment.config))
    complete_run(folder, experiment, console)
