"""Runs of one setting against each other, task by task: what tells them apart sooner than two means can."""

from collections.abc import Sequence

import numpy as np

from mmaml.report.read import Run
from mmaml.runs.statistics import mean_and_ci


def differences(runs: Sequence[Run]) -> list[str]:
    """What each run achieves minus what the first does, in words, if both were judged on the same tasks."""
    judged = [run for run in runs if run.result is not None and run.folder.values_path.is_file()]
    if not judged:
        return []
    first, *others = judged
    return [words for other in others if (words := _difference(other, first))]


def _difference(run: Run, first: Run) -> str | None:
    ours, theirs = (np.load(each.folder.values_path, allow_pickle=False)[:, -1] for each in (run, first))
    groups = _groups(run)
    of_groups = any("held_out_files" in each.result for each in (run, first) if each.result)
    if len(ours) != len(theirs) or (of_groups and groups is None):
        return None
    difference = mean_and_ci(ours - theirs, groups)
    return f"{run.label} minus {first.label}, task by task: {difference['mean']:+.3g} ± {difference['ci95']:.3g}."


def _groups(run: Run) -> np.ndarray | None:
    path = run.folder.groups_path
    return np.load(path, allow_pickle=False) if path.is_file() else None
