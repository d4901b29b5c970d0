"""Charts of runs: how they learnt, how they adapt, and how they fare on every kind of task.

All take runs of one setting and return a figure, or `None` if there is nothing to draw. The i-th run has the i-th
colour throughout, also in the page around the charts, so that these need no legends. A dashed line in ink is the
reference, if the results have one.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mmaml.report.drawing import INK, STYLE, colour, line_style, plain_log_scale
from mmaml.report.read import Run, final, finished, metric_name, mode_names, references


_REFERENCE_LINE = {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 3))}


@matplotlib.rc_context(STYLE)
def learning_curves(runs: Sequence[Run]) -> Figure | None:
    """Validation after adaptation against meta-iterations, with its 95 % confidence band."""
    figure, axes = _chart(width=9.6)
    lowest, highest = np.inf, -np.inf
    for i, run in enumerate(runs):
        rows = [row for row in run.metrics if "query" in row]
        if not rows:
            continue
        step, loss, ci95 = (np.array([row[key] for row in rows]) for key in ("step", "query", "query_ci95"))
        # A lone point has no line to be seen by.
        axes.plot(step, loss, color=colour(i), linestyle=line_style(i), marker="o" if len(rows) == 1 else "")
        axes.fill_between(step, loss - ci95, loss + ci95, color=colour(i), alpha=0.15, linewidth=0)
        lowest, highest = min(lowest, np.min(loss)), max(highest, np.max(loss))
    if not axes.lines:
        return None
    for reference in references(runs):
        axes.axhline(reference["mean"], **_REFERENCE_LINE)
        lowest = min(lowest, reference["mean"])
    if lowest > 0 and highest > 4 * lowest:
        plain_log_scale(axes)
        axes.set_ylim(bottom=0.8 * lowest)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set(xlabel="meta-iterations", ylabel="on validation tasks", xlim=(0, None))
    return figure


@matplotlib.rc_context(STYLE)
def adaptation_curves(runs: Sequence[Run]) -> Figure | None:
    """Result against the number of gradient steps, with 95 % confidence intervals.

    A stage without modulation stands before step 0.
    """
    results = finished(runs)
    if not results:
        return None
    figure, axes = _chart()
    for i, _, result in results:
        stages = result["stages"]
        x = [stage["steps"] if stage.get("modulated", True) else -1 for stage in stages]
        mean, ci95 = (np.array([stage[key] for stage in stages]) for key in ("mean", "ci95"))
        axes.errorbar(x, mean, ci95, color=colour(i), linestyle=line_style(i), marker="o", markersize=4, capsize=3)
    for reference in references(runs):
        axes.axhline(reference["mean"], **_REFERENCE_LINE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "unmodulated" if x == -1 else f"{x:g}"))
    if axes.dataLim.y0 >= 0:
        axes.set_ylim(bottom=0)
    axes.set(xlabel="gradient steps on a new task", ylabel=metric_name(results[0][2]))
    return figure


@matplotlib.rc_context(STYLE)
def mode_bars(runs: Sequence[Run]) -> Figure | None:
    """Final result on every kind of task, with 95 % confidence intervals."""
    results = finished(runs)
    if not results:
        return None
    figure, axes = _chart()
    names = mode_names(runs)
    centres = np.arange(len(names))
    width = 0.8 / len(results)
    for place, (i, _, result) in enumerate(results):
        x = centres + (place - (len(results) - 1) / 2) * width
        mean, ci95 = _of_modes(final(result), names)
        axes.bar(x, mean, 0.9 * width, color=colour(i))
        axes.errorbar(x, mean, ci95, fmt="none", ecolor=INK, elinewidth=1, capsize=min(3, 12 * width))
    for reference in references(runs):
        axes.hlines(_of_modes(reference, names)[0], centres - 0.45, centres + 0.45, **_REFERENCE_LINE)
    axes.set_xticks(centres, names)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set(ylabel=metric_name(results[0][2]))
    return figure


def _chart(width: float = 4.7, height: float = 3.1) -> tuple[Figure, Axes]:
    figure = Figure((width, height))
    return figure, figure.add_subplot()


def _of_modes(stage: dict, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Means and intervals in the order of `names`, NaN where there is none."""
    modes = [stage["per_mode"].get(name, {}) for name in names]
    mean, ci95 = (np.array([mode.get(key, np.nan) for mode in modes]) for key in ("mean", "ci95"))
    return mean, ci95
