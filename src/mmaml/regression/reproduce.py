"""The paper's Table 1 from our own runs, its numbers beside ours."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from mmaml.regression.presets import PRESETS, Budget, RegressionConfig
from mmaml.regression.run import complete_run
from mmaml.runs.config import require, to_dict
from mmaml.runs.errors import UserError
from mmaml.runs.files import read_json, write_atomically, write_json
from mmaml.runs.folder import RunFolder
from mmaml.runs.trackers import no_tracker


SETTINGS = {"2 modes": "regression-2", "3 modes": "regression-3", "5 modes": "regression-5"}

METHODS: dict[str, dict[str, Any]] = {
    "maml": {"learner": "maml"},
    "multi-maml": {"learner": "multi-maml"},
    "lstm": {"learner": "lstm"},
    "mmaml-softmax": {"learner": "mmaml", "modulation": "softmax"},
    "mmaml-sigmoid": {"learner": "mmaml", "modulation": "sigmoid"},
    "mmaml-film": {"learner": "mmaml", "modulation": "film"},
}

PAPER: dict[tuple[str, str], dict[str, float]] = {
    ("maml", "post-adaptation"): {"2 modes": 1.085, "3 modes": 1.231, "5 modes": 1.668},
    ("multi-maml", "post-adaptation"): {"2 modes": 0.433, "3 modes": 0.713, "5 modes": 1.082},
    ("lstm", "post-modulation"): {"2 modes": 0.362, "3 modes": 0.548, "5 modes": 0.898},
    ("mmaml-softmax", "post-modulation"): {"2 modes": 1.548, "3 modes": 2.213, "5 modes": 2.421},
    ("mmaml-softmax", "post-adaptation"): {"2 modes": 0.361, "3 modes": 0.444, "5 modes": 0.939},
    ("mmaml-film", "post-modulation"): {"2 modes": 2.421, "3 modes": 1.923, "5 modes": 2.166},
    ("mmaml-film", "post-adaptation"): {"2 modes": 0.336, "3 modes": 0.444, "5 modes": 0.868},
}
"""Query MSE in Table 1 of the paper (NeurIPS 2019); it has no row for the sigmoid gate."""

WORKSHOP: dict[str, dict[str, float]] = {
    "maml": {"2 modes": 1.0852, "3 modes": 1.1633},
    "multi-maml": {"2 modes": 0.4330, "3 modes": 0.7791},
    "mmaml-film": {"2 modes": 0.3125, "3 modes": 0.4048},
}
"""Query MSE after adaptation in the workshop paper (MuMoMAML)."""


def reproduce_table1(
    out: Path,
    *,
    budget: Budget,
    settings: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    console: Console,
) -> list[dict[str, Any]]:
    """Do the runs of Table 1 that are not done yet, resuming what is half done; return the table's cells.

    Runs lie in `out/runs`. `out/table1.json` and `out/table1.md` are written anew after each of them, from all
    finished runs of the budget that are there. Raises `UserError` for unknown settings or methods.
    """
    for option, given, known in (("settings", settings, SETTINGS), ("methods", methods, METHODS)):
        for name in given:
            require(name in known, option, name, f"one of {', '.join(known)}")
    for setting in settings:
        for method in methods:
            for seed in seeds:
                _finish(_run_path(out, setting, method, budget, seed), setting, method, budget, seed, console)
                write_table1(out, budget)
    return write_table1(out, budget)


def write_table1(out: Path, budget: Budget) -> list[dict[str, Any]]:
    """Collect the finished runs of `budget` in `out/runs` into `table1.json` and `table1.md`."""
    cells = [cell for setting in SETTINGS for cell in _cells_of_setting(out, setting, budget)]
    if not cells:
        raise UserError(f"{out} has no finished run of the budget {budget!r}.")
    write_json(out / "table1.json", {"table": "table1", "metric": "mse", "lower_is_better": True, "cells": cells})
    write_atomically(out / "table1.md", "\n".join(_markdown(cells)) + "\n")
    return cells


def _run_path(out: Path, setting: str, method: str, budget: str, seed: int) -> Path:
    return out / "runs" / f"{SETTINGS[setting]}-{method}-{budget}-seed{seed}"


def _finish(path: Path, setting: str, method: str, budget: Budget, seed: int, console: Console) -> None:
    if (path / "result.json").is_file():
        return
    config = replace(PRESETS[SETTINGS[setting]], budget=budget, seed=seed, **METHODS[method])
    if (path / "config.json").is_file():
        folder = RunFolder.open(path)
        if folder.read_config()["config"] != _as_stored(config):
            raise UserError(f"{path} holds a run with other options than this table's; move it away.")
    else:
        folder = RunFolder.create(path, "regression", to_dict(config))
    with no_tracker() as track:
        complete_run(folder, config, console, track)


def _cells_of_setting(out: Path, setting: str, budget: str) -> Iterator[dict[str, Any]]:
    optimal: dict[str, Any] | None = None
    for method in METHODS:
        paths = sorted((out / "runs").glob(f"{SETTINGS[setting]}-{method}-{budget}-seed*/result.json"))
        results = [read_json(path) for path in paths]
        if not results:
            continue
        folders = [str(path.parent.relative_to(out)) for path in paths]
        by_stage = {"post-modulation": 0, "post-adaptation": -1}
        if method == "lstm":  # takes no gradient step
            del by_stage["post-adaptation"]
        for stage, index in by_stage.items():
            paper = PAPER.get((method, stage), {}).get(setting)
            yield _cell(setting, method, stage, [r["stages"][index] for r in results], results, folders, paper)
        optimal = optimal or _cell(
            setting, "bayes-optimal", "post-adaptation", [results[0]["reference"]], results[:1], folders[:1], None
        )
    if optimal:
        yield optimal


def _cell(
    setting: str,
    method: str,
    stage: str,
    estimates: list[dict[str, Any]],
    results: list[dict[str, Any]],
    runs: list[str],
    paper: float | None,
) -> dict[str, Any]:
    """One cell: the mean over seeds; the interval is over tasks, the widest of any seed (all see the same tasks)."""
    first = results[0]
    return {
        "setting": setting,
        "method": method,
        "stage": stage,
        "mean": sum(e["mean"] for e in estimates) / len(estimates),
        "ci95": max(e["ci95"] for e in estimates),
        "tasks": first["tasks"],
        "seeds": [result["seed"] for result in results],
        "paper": paper,
        "workshop": WORKSHOP.get(method, {}).get(setting) if stage == "post-adaptation" else None,
        "budget": first["budget"],
        "meta_iterations": first["meta_iterations"],
        "data": "function families of the paper",
        "command": first["command"],
        "commit": first["commit"],
        "run": runs[0] if len(runs) == 1 else runs,
    }


def _markdown(cells: list[dict[str, Any]]) -> Iterator[str]:
    settings = [s for s in SETTINGS if any(c["setting"] == s for c in cells)]
    columns = [(s, stage) for s in settings for stage in ("post-modulation", "post-adaptation")]
    tasks, budget = cells[0]["tasks"], cells[0]["budget"]
    yield f"Query MSE, mean ± 95 % interval over {tasks} tasks (the paper's number), budget `{budget}`."
    yield ""
    yield "| method | " + " | ".join(f"{s}, {stage}" for s, stage in columns) + " |"
    yield "| --- |" + " --- |" * len(columns)
    for method in (*METHODS, "bayes-optimal"):
        found = {(c["setting"], c["stage"]): c for c in cells if c["method"] == method}
        if found:
            shown = [_shown(found[column]) if column in found else "–" for column in columns]
            yield f"| {method} | " + " | ".join(shown) + " |"


def _shown(cell: dict[str, Any]) -> str:
    paper = "" if cell["paper"] is None else f" ({cell['paper']:.3f})"
    return f"{cell['mean']:.3f} ± {cell['ci95']:.3f}{paper}"


def _as_stored(config: RegressionConfig) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in to_dict(config).items()}
