"""Runs of one setting against each other, task by task: what tells them apart sooner than two means can."""

from collections.abc import Sequence

from mmaml.report.estimate import Estimate
from mmaml.report.read import Run
from mmaml.runs.statistics import mean_and_ci
from mmaml.runs.values import Values, read_values


def differences(runs: Sequence[Run]) -> list[str]:
    """What each run achieves minus what the first does, in words, if both were judged on the same tasks.

    Raises `UserError` if a run's values are broken.
    """
    judged = [(run, values) for run in runs if run.result is not None and (values := read_values(run.folder))]
    return [words for other in judged[1:] if (words := _difference(other, judged[0]))]


def _difference(one: tuple[Run, Values], first: tuple[Run, Values]) -> str | None:
    (run, ours), (baseline, theirs) = one, first
    of_groups = any("held_out_files" in each.result for each in (run, baseline) if each.result)
    if len(ours.final) != len(theirs.final) or (of_groups and ours.groups is None):
        return None
    difference = mean_and_ci(ours.final - theirs.final, ours.groups)
    shown = Estimate(difference["mean"], difference["ci95"], signed=True)
    return f"{run.label} minus {baseline.label}, task by task: {shown}."
