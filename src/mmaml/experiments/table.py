"""A table of runs, the paper's numbers beside ours: what it consists of, its cells and its text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmaml.experiments.config import Budget, ExperimentConfig
from mmaml.experiments.experiment import AbstractExperiment
from mmaml.runs.config import from_dict, to_dict
from mmaml.runs.errors import UserError
from mmaml.runs.files import write_atomically, write_json
from mmaml.runs.folder import RunFolder
from mmaml.runs.result import Mean, Result, read_result
from mmaml.runs.statistics import mean_and_ci
from mmaml.runs.values import read_values


@dataclass(frozen=True)
class TableSpec:
    """What a table consists of.

    - `settings`: columns, and the configuration each begins with.
    - `methods`: rows, and the options by which each differs.
    - `experiment`: what is trained and judged, of a configuration.
    - `paper`, `workshop`: published numbers by method, stage and setting.
    - `baseline`: the method that others are compared with, task by task.
    - `stages`: what is shown of a run, by the places of its stages in the result.
    - `digits`: decimal places in print; `scale` is what a number is multiplied with for that.
    """

    name: str
    caption: str
    settings: dict[str, ExperimentConfig]
    methods: dict[str, dict[str, Any]]
    experiment: Callable[[Any], AbstractExperiment]
    paper: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    workshop: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    baseline: str = "maml"
    stages: tuple[tuple[str, int], ...] = (("post-modulation", 0), ("post-adaptation", -1))
    digits: int = 3
    scale: float = 1.0

    def config(self, setting: str, method: str, budget: Budget, seed: int) -> ExperimentConfig:
        """The configuration of one cell."""
        return replace(self.settings[setting], budget=budget, seed=seed, **self.methods[method])

    def run_path(self, out: Path, setting: str, method: str, budget: str, seed: int | str) -> Path:
        """Where the run of one cell lies under `out`."""
        return out / "runs" / f"{self.settings[setting].short_name}-{method}-{budget}-seed{seed}"


def write_table(spec: TableSpec, out: Path, budget: Budget) -> list[dict[str, Any]]:
    """Collect the evaluated runs of `budget` in `out/runs` into the table's JSON and Markdown."""
    cells = [cell for setting in spec.settings for cell in _cells_of_setting(spec, out, setting, budget)]
    if not cells:
        raise UserError(f"{out} has no evaluated run of the budget {budget!r}.")
    write_json(out / f"{spec.name}.json", {"table": spec.name, "cells": cells})
    write_atomically(out / f"{spec.name}.md", "\n".join(_markdown(spec, cells)) + "\n")
    return cells


def _cells_of_setting(spec: TableSpec, out: Path, setting: str, budget: Budget) -> Iterator[dict[str, Any]]:
    references: dict[str, dict[str, Any]] = {}
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
                cell[f"minus_{spec.baseline}"] = _difference(found, baseline)
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


def _difference(runs: dict[int, _Evaluated], baseline: dict[int, _Evaluated]) -> dict[str, float] | None:
    """What runs, by seed, achieve minus what the baseline's do: mean and interval over tasks of the means over seeds.

    There is none if they were not judged on the same tasks. `seed_std`, where both have the same seeds, is the standard
    deviation over them of their mean differences.
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
    difference = {"mean": over_tasks["mean"], "ci95": over_tasks["ci95"]}
    if runs.keys() == baseline.keys() and len(runs) > 1:
        difference["seed_std"] = float(np.std(np.mean(ours, 1) - np.mean(theirs, 1), ddof=1))
    return difference


def _cell(
    spec: TableSpec,
    setting: str,
    method: str,
    stage: str,
    estimates: Sequence[Mean],
    results: list[Result],
    runs: list[str],
) -> dict[str, Any]:
    """One cell: the mean over seeds; the interval is over tasks, the widest of any seed (all see the same tasks).

    `seed_std` is the standard deviation over seeds of their means.
    """
    first = results[0]
    means = [estimate["mean"] for estimate in estimates]
    return {
        "setting": setting,
        "method": method,
        "stage": stage,
        "mean": float(np.mean(means)),
        "ci95": max(e["ci95"] for e in estimates),
        "seed_std": float(np.std(means, ddof=1)) if len(means) > 1 else None,
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
        **({"image_size": first["image_size"]} if "image_size" in first else {}),
        **{key: _of_all([result[key] for result in results]) for key in ("command", "commit")},
        "run": _of_all(runs),
    }


def _of_all(values: list[Any]) -> Any:
    """What every seed has of something, without a list if there is one seed."""
    return values[0] if len(values) == 1 else values


def _markdown(spec: TableSpec, cells: list[dict[str, Any]]) -> Iterator[str]:
    settings = [s for s in spec.settings if any(c["setting"] == s for c in cells)]
    columns = [(s, stage) for s in settings for stage, _ in spec.stages]
    published = " (the paper's number)" if spec.paper else ""
    yield f"{spec.caption}, mean ± 95 % interval over tasks{published}, budget `{cells[0]['budget']}`."
    yield ""
    yield "| method | " + " | ".join(f"{s}, {stage}" for s, stage in columns) + " |"
    yield "| --- |" + " --- |" * len(columns)
    for method in dict.fromkeys([*spec.methods, *(c["method"] for c in cells)]):
        found = {(c["setting"], c["stage"]): c for c in cells if c["method"] == method}
        if found:
            shown = [_shown(spec, found[column]) if column in found else "–" for column in columns]
            yield f"| {method} | " + " | ".join(shown) + " |"
    yield ""
    alike: dict[str, list[str]] = {}
    for setting in settings:
        rows = [c for c in cells if c["setting"] == setting and c["method"] in spec.methods]
        for effort in dict.fromkeys(map(_effort, rows)):
            methods = dict.fromkeys(c["method"] for c in rows if _effort(c) == effort)
            whole = len(methods) == len({c["method"] for c in rows})
            alike.setdefault(effort, []).append(setting if whole else f"{setting} ({', '.join(methods)})")
    for effort, named in alike.items():
        yield f"- {'; '.join(named)}: {effort}."
    yield ""
    yield _records(spec, cells)


def _effort(cell: dict[str, Any]) -> str:
    """What was spent on a cell, beside what the paper spent."""
    source = "" if cell["data"] == cell["setting"] else f" of {cell['data']}"
    source += f" at {cell['image_size']} pixels" if "image_size" in cell else ""
    planned, published = f"{cell['planned']:,}", f"{cell['published']:,}"
    training = f"{planned} meta-iterations" + ("" if planned == published else f" (published: {published})")
    stopped = "" if cell["trained"] == cell["planned"] else f"stopped at {cell['trained']:,} of "
    others = ", ".join(f"`{name}` {value}" for name, value in cell.get("other_options", {}).items())
    return f"{cell['tasks']:,} tasks{source}; {stopped}{training}" + (f"; with {others}" if others else "")


def _shown(spec: TableSpec, cell: dict[str, Any]) -> str:
    def number(value: float) -> str:
        return f"{value * spec.scale:.{spec.digits}f}"

    published = [] if cell["paper"] is None else [number(cell["paper"])]
    published += [] if cell["workshop"] is None else [f"workshop {number(cell['workshop'])}"]
    paper = f" ({', '.join(published)})" if published else ""
    seeds = "" if cell["seed_std"] is None else f", {len(cell['seeds'])} seeds ± {number(cell['seed_std'])}"
    return f"{number(cell['mean'])} ± {number(cell['ci95'])}{seeds}{paper}"


def _records(spec: TableSpec, cells: list[dict[str, Any]]) -> str:
    """Links to the runs behind the cells, by method and setting."""
    runs = {(c["method"], c["setting"]): c["run"] for c in cells if c["method"] in spec.methods}
    rows = []
    for method in dict.fromkeys(method for method, _ in runs):
        links = [
            f"[{f'seed {i}' if i else setting}]({run})"
            for (of, setting), found in runs.items()
            if of == method
            for i, run in enumerate([found] if isinstance(found, str) else found)
        ]
        rows.append(f"{method}: {', '.join(links)}")
    return f"Records: {'; '.join(rows)}."
