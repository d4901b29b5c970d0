"""Charts of runs: how they learnt, how they adapt, and how they fare on every kind of task.

All take runs of one setting and return a figure, or `None` if there is nothing to draw. The i-th run has the i-th
colour throughout, also in the page around the charts, so that these need no legends. A dashed line in ink is the
reference, if the results have one.
"""

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mmaml.report.drawing import INK, PAPER, STYLE, colour, line_style, plain_log_scale
from mmaml.report.read import Run, final, finished, metric_name, mode_names, references
from mmaml.runs.result import MeanByMode, Result


_LETTERS = 50
"""So many have room below a narrow chart."""

_REFERENCE_LINE = {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 3))}


@matplotlib.rc_context(STYLE)
def learning_curves(runs: Sequence[Run]) -> Figure | None:
    """Results on fresh tasks against meta-iterations, after adaptation with a 95 % confidence band, and before it."""
    figure = Figure((9.6, 3.1))
    after, before = figure.subplots(1, 2, width_ratios=(2, 1))
    measured = [metric_name(result) for *_, result in finished(runs)]
    after.set(title="after adaptation", ylabel=measured[0] if measured else "on validation tasks")
    before.set(title="before any gradient step")
    for i, run in enumerate(runs):
        rows = [row for row in run.metrics if "query" in row]
        if not rows:
            continue
        columns = ("step", "query", "query_ci95", "query_before")
        step, query, ci95, query_before = (np.array([row[key] for row in rows]) for key in columns)
        # A lone point has no line to be seen by.
        look = {"color": colour(i), "linestyle": line_style(i), "marker": "o" if len(rows) == 1 else ""}
        after.plot(step, query, **look)
        after.fill_between(step, query - ci95, query + ci95, color=colour(i), alpha=0.15, linewidth=0)
        before.plot(step, query_before, **look)
    if not after.lines:
        return None
    for reference in references(runs):
        after.axhline(reference["mean"], **_REFERENCE_LINE)
    for panel, ticks in ((after, 8), (before, 4)):
        values = np.concatenate([np.asarray(line.get_ydata(), float) for line in panel.lines])
        if values.min() > 0 and values.max() > 4 * values.min():
            plain_log_scale(panel)
            panel.set_ylim(bottom=0.8 * values.min())
        panel.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        panel.set(xlabel="meta-iterations", xlim=(0, None))
    return figure


@matplotlib.rc_context(STYLE)
def adaptation_curves(runs: Sequence[Run]) -> Figure | None:
    """Result against the number of gradient steps, with 95 % confidence intervals."""
    results = finished(runs)
    if not results:
        return None
    figure, axes = _chart()
    for i, _, result in results:
        stages = result["stages"]
        x, mean, ci95 = (np.array([stage[key] for stage in stages]) for key in ("steps", "mean", "ci95"))
        axes.errorbar(x, mean, ci95, color=colour(i), linestyle=line_style(i), marker="o", markersize=4, capsize=3)
    for reference in references(runs):
        axes.axhline(reference["mean"], **_REFERENCE_LINE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _clip_below_zero(axes, results)
    axes.set(xlabel="gradient steps on a new task", ylabel=metric_name(results[0][2]))
    return figure


@matplotlib.rc_context(STYLE)
def mode_bars(runs: Sequence[Run]) -> Figure | None:
    """Final result on every kind of task, with 95 % confidence intervals."""
    results, names = finished(runs), mode_names(runs)
    if not names:
        return None
    figure, axes = _chart()
    centres = np.arange(len(names))
    width = 0.8 / len(results)
    for place, (i, _, result) in enumerate(results):
        x = centres + (place - (len(results) - 1) / 2) * width
        mean, ci95 = _of_modes(final(result), names)
        hatch = "///" if line_style(i)[1] else None  # runs may have to share a colour
        axes.bar(x, mean, 0.9 * width, color=colour(i), hatch=hatch, edgecolor=PAPER, linewidth=0)
        axes.errorbar(x, mean, ci95, fmt="none", ecolor=INK, elinewidth=1, capsize=min(3, 12 * width))
    for reference in references(runs):
        axes.hlines(_of_modes(reference, names)[0], centres - 0.45, centres + 0.45, **_REFERENCE_LINE)
    room = max(_LETTERS // len(names), 1)
    axes.set_xticks(centres, [textwrap.fill(name, room, break_long_words=False) for name in names])
    _clip_below_zero(axes, results)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set(ylabel=metric_name(results[0][2]))
    return figure


def _chart() -> tuple[Figure, Axes]:
    figure = Figure((4.7, 3.1))
    return figure, figure.add_subplot()


def _clip_below_zero(axes: Axes, results: Sequence[tuple[int, str, Result]]) -> None:
    """Leave out what wide intervals have below zero, where all results are above it."""
    if all(stage["mean"] >= 0 for *_, result in results for stage in result["stages"]):
        axes.set_ylim(bottom=0)


def _of_modes(stage: MeanByMode, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Means and intervals in the order of `names`, NaN where there is none."""
    modes = [stage["per_mode"].get(name, {}) for name in names]
    mean, ci95 = (np.array([mode.get(key, np.nan) for mode in modes]) for key in ("mean", "ci95"))
    return mean, ci95
