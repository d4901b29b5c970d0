"""What a report knows of a run: the content of its folder."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import read_metrics
from mmaml.runs.result import Reference, Result, Stage, read_result


_TASK_OPTIONS = ("data", "families", "datasets", "environment", "way", "shot", "shots", "queries", "image_size")
"""Options that make tasks what they are."""

_METRICS = {"mse": "mean squared error"}


@dataclass(frozen=True)
class Run:
    """A run as read from disk: its `label` in the report, config.json, metrics.jsonl and result.json, if any."""

    label: str
    folder: RunFolder
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    result: Result | None


def read_runs(folders: Sequence[RunFolder]) -> list[Run]:
    """Read several runs; labels are folder names, or whole paths where two folders have the same name.

    Raises `UserError` if a file is missing or broken. Only result.json may be missing: the run is unfinished.
    """
    names = [folder.path.resolve().name for folder in folders]
    return [
        Run(
            label=name if names.count(name) == 1 else str(folder.path),
            folder=folder,
            config=folder.read_config(),
            metrics=read_metrics(folder.metrics_path),
            result=read_result(folder),
        )
        for folder, name in zip(folders, names, strict=True)
    ]


def by_setting(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Runs that can be compared with each other, those of one setting whose tasks are alike, under the setting's name.

    Where the tasks of several have one name, what tells them apart stands behind it.
    Unfinished runs come last, so that the finished have the same colours wherever they are shown.
    """
    settings: dict[tuple[str, tuple[str, ...]], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.result is None):
        name = run.config.get("setting") or run.config["config"]["preset"]
        tasks = (*(plain(run.config["config"].get(option)) for option in _TASK_OPTIONS), _own_data(run))
        settings.setdefault((name, tasks), []).append(run)

    def full_name(name: str, tasks: tuple[str, ...]) -> str:
        others = [other for same, other in settings if same == name]
        apart = [
            f"{option.replace('_', ' ')} {value}"
            for i, (option, value) in enumerate(zip((*_TASK_OPTIONS, "content"), tasks, strict=True))
            if len({other[i] for other in others}) > 1
        ]
        return f"{name} ({'; '.join(apart)})" if apart else name

    return [(full_name(name, tasks), members) for (name, tasks), members in settings.items()]


def within(setting: str, runs: Sequence[Run]) -> list[Run]:
    """The runs of a setting with labels that do not repeat its name, as far as they then still differ."""
    short = [run.label.removeprefix(f"{setting}-") for run in runs]
    if len({*short}) < len(short):
        return list(runs)
    return [replace(run, label=label) for run, label in zip(runs, short, strict=True)]


def _own_data(run: Run) -> str:
    """Short for what was in files of the user's own when the run began."""
    config = run.config["config"]
    held = (config.get("data_digests"), config.get("data_files")) if config.get("data") else ()
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:6]


def plain(value: Any) -> str:
    """A configuration value as a person would write it."""
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return {"None": "–", "True": "yes", "False": "no"}.get(str(value), str(value))


def finished(runs: Sequence[Run]) -> list[tuple[int, str, Result]]:
    """Place among the runs, label and result of those that have a result."""
    return [(i, run.label, run.result) for i, run in enumerate(runs) if run.result is not None]


def references(runs: Sequence[Run]) -> list[Reference]:
    """What the results are compared with: each `reference` once, though several runs of a setting have it."""
    found = [result["reference"] for _, _, result in finished(runs) if "reference" in result]
    return list({reference["name"]: reference for reference in found}.values())


def before_and_after(result: Result) -> tuple[Stage | None, Stage | None]:
    """The stages before any gradient step and after the last one.

    Either is `None` if there is no such stage: a learner that takes no gradient step has none after them.
    """
    before = next((stage for stage in result["stages"] if stage["steps"] == 0), None)
    after = final(result)
    return before, after if after["steps"] > 0 else None


def final(result: Result) -> Stage:
    """The last stage: what the learner achieves."""
    return result["stages"][-1]


def metric_name(result: Result) -> str:
    """What a result measures, in words where its name is an abbreviation."""
    return _METRICS.get(result["metric"], result["metric"])


def mode_names(runs: Sequence[Run]) -> list[str]:
    """Names of all kinds of task, in the order in which the results have them."""
    return list(dict.fromkeys(name for _, _, result in finished(runs) for name in final(result)["per_mode"]))


def duration(seconds: float | int) -> str:
    """A time as people say it: `48 s`, `12 min`, `1 h 05 min`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
