"""The cells of a table, from the runs that are there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NotRequired

import numpy as np

from mmaml.experiments.config import Budget, ExperimentConfig
from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.runs.config import from_dict, to_dict
from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder
from mmaml.runs.result import Mean, MeanByMode, Result, read_result
from mmaml.runs.statistics import mean_and_ci
from mmaml.runs.values import read_values


class Difference(Mean):
    """To the method called `to`, task by task, of means over seeds.

    `seed_std`, where both have the same seeds, is the standard deviation over them of their mean differences.
    """

    to: str
    seed_std: NotRequired[float]


class Cell(MeanByMode):
    """What one method, or a reference, achieved in one setting at one stage, and how.

    - `mean`: over seeds; `ci95` is over tasks, the widest of any seed (all see the same tasks); `seed_std` is the
      standard deviation over seeds of their means, `None` if there is one.
    - `per_mode`: the same for each kind of tasks by its name.
    - `paper`, `workshop`: published numbers, if there are any.
    - `trained`, `planned`, `published`: meta-iterations.
    - `command`, `commit`, `run`: one if there is one seed, else a list.
    - `other_options`: options of the run that are not the table's.
    - `difference`: to the table's baseline, where there is one.
    """

    setting: str
    method: str
    stage: str
    seed_std: float | None
    metric: str
    lower_is_better: bool
    tasks: int
    seeds: list[int]
    paper: float | None
    workshop: float | None
    budget: str
    trained: int
    planned: int
    published: int
    data: str
    image_size: NotRequired[int]
    command: str | list[str]
    commit: str | list[str | None] | None
    run: str | list[str]
    other_options: dict[str, Any]
    difference: Difference | None


def read_cells(spec: TableSpec, out: Path, budget: Budget) -> list[Cell]:
    """All cells that the evaluated runs of `budget` in `out/runs` make.

    Raises `UserError` if there is none, or if the runs of a cell were judged on different tasks.
    """
    cells = [cell for setting in spec.settings for cell in _cells_of_setting(spec, out, setting, budget)]
    if not cells:
        raise UserError(f"{out} has no evaluated run of the budget {budget!r}.")
    return cells


def last_stages(cells: Iterable[Cell]) -> dict[tuple[str, str], Cell]:
    """The last cell of every method in every setting, by setting and method."""
    return {(cell["setting"], cell["method"]): cell for cell in cells}  # of its stages the last one comes last


def was_stopped(cell: Cell) -> bool:
    """Whether a run of it has had fewer meta-iterations than it was to have."""
    return cell["trained"] < cell["planned"]


def _cells_of_setting(spec: TableSpec, out: Path, setting: str, budget: Budget) -> Iterator[Cell]:
    references: dict[str, Cell] = {}
    baseline: dict[int, _Evaluated] = {}
    for method in spec.methods:
        found = _evaluated(spec, out, setting, method, budget)
        if not found:
            continue
        results = [run.result for run in found.values()]
        runs = [str(run.path.relative_to(out)) for run in found.values()]
        _refuse_unlike(results, runs)
        others: dict[str, Any] = {}
        for seed, run in found.items():
            others |= _other_options(spec.config(setting, method, budget, seed), run.path)
        baseline = found if method == spec.baseline else baseline
        for stage, index in spec.stages:
            only_stage = len(results[0]["stages"]) == 1  # takes no gradient step
            if stage == "post-adaptation" and only_stage:
                continue
            cell = _cell(spec, setting, method, stage, [r["stages"][index] for r in results], results, runs)
            cell["other_options"] = others
            if (index == -1 or only_stage) and method != spec.baseline:
                cell["difference"] = _difference(found, baseline, spec.baseline)
            yield cell
        if (reference := results[0].get("reference")) and (name := reference["name"]) not in references:
            references[name] = _cell(spec, setting, name, "post-adaptation", [reference], results[:1], runs[:1])
    yield from references.values()


class _Evaluated(NamedTuple):
    path: Path
    result: Result


def _evaluated(spec: TableSpec, out: Path, setting: str, method: str, budget: Budget) -> dict[int, _Evaluated]:
    """The evaluated runs of one cell, by seed and in that order; a folder with another name is none of them."""
    pattern = spec.run_path(out, setting, method, budget, "*")
    found = {
        result["seed"]: _Evaluated(path, result)
        for path in pattern.parent.glob(pattern.name)
        if (result := read_result(RunFolder(path)))
        and path == spec.run_path(out, setting, method, budget, result["seed"])
    }
    return dict(sorted(found.items()))


def _other_options(config: ExperimentConfig, path: Path) -> dict[str, Any]:
    """Options of the run in `path` that are not the table's."""
    begun = from_dict(type(config), RunFolder.open(path).read_config()["config"])
    asked = to_dict(config)
    return {
        name: value for name, value in to_dict(begun).items() if name not in config.LEFT_OPEN and value != asked[name]
    }


_TASKS = ("data", "tasks", "image_size")
"""What results have in common, as far as they have it, if they are of the same tasks of one setting."""


def _refuse_unlike(results: Sequence[Result], runs: Sequence[str]) -> None:
    """Raise `UserError` if the runs of one cell, which differ in their seeds, were not judged on the same tasks."""
    for result, run in zip(results, runs, strict=True):
        for what in _TASKS:
            if result.get(what) != results[0].get(what):
                raise UserError(
                    f"{runs[0]} and {run} were evaluated on different tasks ({what}: {results[0].get(what)!r} and "
                    f"{result.get(what)!r}), so they have no common mean. Evaluate one again, or move it away."
                )


def _difference(runs: dict[int, _Evaluated], baseline: dict[int, _Evaluated], to: str) -> Difference | None:
    """What runs, by seed, achieve minus what those of the baseline, `to`, do.

    There is none if they were not judged on the same tasks, or the values of single tasks are not there.
    """
    ours, theirs = (
        [values.final for run in found.values() if (values := read_values(RunFolder(run.path)))]
        for found in (runs, baseline)
    )
    complete = len(ours) == len(runs) and len(theirs) == len(baseline) > 0
    judged = [run.result for run in (*runs.values(), *baseline.values())]
    if not complete or len({tuple(result.get(what) for what in _TASKS) for result in judged}) > 1:
        return None
    over_tasks = mean_and_ci(np.mean(ours, 0) - np.mean(theirs, 0))
    difference: Difference = {"to": to, "mean": over_tasks["mean"], "ci95": over_tasks["ci95"]}
    if runs.keys() == baseline.keys() and len(runs) > 1:
        difference["seed_std"] = float(np.std(np.mean(ours, 1) - np.mean(theirs, 1), ddof=1))
    return difference


def _cell(
    spec: TableSpec,
    setting: str,
    method: str,
    stage: str,
    estimates: Sequence[MeanByMode],
    results: list[Result],
    runs: list[str],
) -> Cell:
    first = results[0]
    cell: Cell = {
        "setting": setting,
        "method": method,
        "stage": stage,
        **_over_seeds(estimates),
        "seed_std": float(np.std([e["mean"] for e in estimates], ddof=1)) if len(estimates) > 1 else None,
        "per_mode": {mode: _over_seeds([e["per_mode"][mode] for e in estimates]) for mode in estimates[0]["per_mode"]},
        "metric": first["metric"],
        "lower_is_better": first["lower_is_better"],
        "tasks": first["tasks"],
        "seeds": [result["seed"] for result in results],
        "paper": spec.paper.get((method, stage), {}).get(setting),
        "workshop": spec.workshop.get((method, stage), {}).get(setting),
        "budget": first["budget"],
        "trained": min(result["trained"] for result in results),
        "planned": first["planned"],
        "published": replace(spec.settings[setting], budget="paper").iterations,
        "data": first["data"],
        "command": _of_all([result["command"] for result in results]),
        "commit": _of_all([result["commit"] for result in results]),
        "run": _of_all(runs),
        "other_options": {},
        "difference": None,
    }
    if "image_size" in first:
        cell["image_size"] = first["image_size"]
    return cell


def _over_seeds(estimates: Sequence[Mean]) -> Mean:
    return {"mean": float(np.mean([e["mean"] for e in estimates])), "ci95": max(e["ci95"] for e in estimates)}


def _of_all(values: list[Any]) -> Any:
    """What every seed has of something, without a list if there is one seed."""
    return values[0] if len(values) == 1 else values
