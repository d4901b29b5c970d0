"""Means over tasks, with their uncertainty."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int


def mean_and_ci(values: Float[np.ndarray, " tasks"]) -> dict[str, float]:
    """Mean over tasks and half the width of its 95 % confidence interval (normal approximation)."""
    values = values.astype(np.float64)
    return {"mean": float(values.mean()), "ci95": float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))}


def by_mode(
    values: Float[np.ndarray, " tasks"], modes: Int[np.ndarray, " tasks"], names: tuple[str, ...]
) -> dict[str, Any]:
    """`mean_and_ci` of all tasks, and under `per_mode` of those of each mode; `names[i]` is the name of mode `i`.

    A mode with fewer than two tasks has no interval and is left out.
    """
    groups = {name: values[modes == i] for i, name in enumerate(names)}
    per_mode = {name: mean_and_ci(group) for name, group in groups.items() if len(group) > 1}
    return {**mean_and_ci(values), "per_mode": per_mode}


def progress_numbers(values: Float[np.ndarray, "tasks stages"]) -> dict[str, float]:
    """What a learning curve shows of a metric on validation tasks, before and after each gradient step."""
    after = mean_and_ci(values[:, -1])
    return {"query": after["mean"], "query_ci95": after["ci95"], "query_before": float(values[:, 0].mean())}
