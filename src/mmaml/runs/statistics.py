"""Means over tasks, with their uncertainty."""

import numpy as np
from jaxtyping import ArrayLike, Float, Int
from scipy.special import stdtrit

from mmaml.runs.result import Mean, MeanByMode


def mean_and_ci(values: Float[np.ndarray, " tasks"], groups: Int[np.ndarray, " tasks"] | None = None) -> Mean:
    """Mean over tasks and half the width of its 95 % confidence interval (normal approximation).

    Tasks of one of the `groups` are alike, so that the interval is that of as many independent values as there are
    groups; it allows for their being few (Student's t). With equally many tasks in each it is that of their means.
    """
    values = values.astype(np.float64)
    mean = values.mean()
    if groups is None:
        return {"mean": float(mean), "ci95": float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))}
    _, member = np.unique(groups, return_inverse=True)
    sums = np.bincount(member, values - mean)
    error = np.sqrt(len(sums) / (len(sums) - 1) * np.sum(sums**2)) / len(values)
    return {"mean": float(mean), "ci95": float(stdtrit(len(sums) - 1, 0.975) * error)}


def by_mode(
    values: Float[np.ndarray, " tasks"],
    modes: Int[np.ndarray, " tasks"],
    names: tuple[str, ...],
    groups: Int[np.ndarray, " tasks"] | None = None,
) -> MeanByMode:
    """`mean_and_ci` of all tasks, and under `per_mode` of those of each mode; `names[i]` is the name of mode `i`.

    A mode with fewer than two tasks, or groups of them, has no interval and is left out.
    """
    independent = np.arange(len(values)) if groups is None else groups
    per_mode = {
        name: mean_and_ci(values[modes == i], None if groups is None else groups[modes == i])
        for i, name in enumerate(names)
        if len(np.unique(independent[modes == i])) > 1
    }
    return {**mean_and_ci(values, groups), "per_mode": per_mode}


def percentiles(values: Float[ArrayLike, " tasks"]) -> dict[str, float]:
    """The smallest of some values, the first and the fifth percentile, and the median."""
    names = {"minimum": 0, "1 %": 1, "5 %": 5, "median": 50}
    return dict(zip(names, np.percentile(np.asarray(values), [*names.values()]).tolist(), strict=True))


def progress_numbers(
    values: Float[np.ndarray, "tasks stages"], groups: Int[np.ndarray, " tasks"] | None = None
) -> dict[str, float]:
    """What a learning curve shows of a metric on validation tasks, before and after each gradient step."""
    after = mean_and_ci(values[:, -1], groups)
    return {"query": after["mean"], "query_ci95": after["ci95"], "query_before": float(values[:, 0].mean())}
