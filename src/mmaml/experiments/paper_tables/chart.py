"""A table as a picture: for each setting, what every method achieved beside what the paper says."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmaml.experiments.paper_tables.cells import Cell, last_stages, was_stopped
from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.report.drawing import INK, MUTED, PAPER, STYLE, colour


_IN_A_ROW = 3

_LEARNERS = ("maml", "multi-maml", "mmaml", "lstm")
"""In the order of their colours."""

_POINT: dict[str, Any] = {"marker": "o", "markersize": 5, "linestyle": ""}
_HOLLOW: dict[str, Any] = {"markerfacecolor": PAPER}
_PAPER_S: dict[str, Any] = {"marker": "D", "markersize": 5, "color": INK, "linestyle": "", "zorder": 1.5, **_HOLLOW}
"""Behind our own points where they meet."""


@matplotlib.rc_context(STYLE)
def chart(spec: TableSpec, cells: Sequence[Cell]) -> Figure:
    """A panel for each setting and a line in it for each method: its last stage, with the interval over tasks.

    Diamonds are the paper's numbers, vertical lines references, hollow points runs that were stopped. Methods with the
    same learner have the same colour.
    """
    last = last_stages(cells)
    settings = list(dict.fromkeys(setting for setting, _ in last))
    methods = [method for method in spec.methods if any(of == method for _, of in last)]
    references = list(dict.fromkeys(of for _, of in last if of not in spec.methods))
    columns = min(_IN_A_ROW, len(settings))
    rows = math.ceil(len(settings) / columns)
    figure = Figure((9.6, 0.8 + rows * (0.6 + 0.2 * len(methods))))
    better = "less" if cells[0]["lower_is_better"] else "more"
    figure.suptitle(f"{spec.caption} after adaptation ({better} is better)", x=0.01, ha="left", fontsize=9.5)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    for setting, panel in zip(settings, panels, strict=False):
        panel.set(title=setting, ylim=(len(methods) - 0.5, -0.5))
        panel.set_yticks(range(len(methods)), methods)
        for place, method in enumerate(methods):
            if cell := last.get((setting, method)):
                _draw(spec, panel, place, cell)
        for i, name in enumerate(references):
            if cell := last.get((setting, name)):
                panel.axvline(cell["mean"] * spec.scale, **_reference(i))
    for panel in panels[len(settings) :]:
        panel.set_axis_off()
    _explain(figure, list(last.values()), references)
    return figure


def _draw(spec: TableSpec, panel: Axes, place: int, cell: Cell) -> None:
    learner = spec.config(cell["setting"], cell["method"], "cpu", 0).learner
    look = {"color": colour(_LEARNERS.index(learner)), **_POINT, **(_HOLLOW if was_stopped(cell) else {})}
    panel.errorbar(
        cell["mean"] * spec.scale, place, xerr=cell["ci95"] * spec.scale, capsize=2.5, elinewidth=1.2, **look
    )
    if cell["paper"] is not None:
        panel.plot(cell["paper"] * spec.scale, place, **_PAPER_S)


def _reference(i: int) -> dict[str, Any]:
    return {"color": INK, "linewidth": 1.2, "linestyle": (0, ((4, 3), (1, 2))[i % 2])}


def _explain(figure: Figure, cells: Collection[Cell], references: Sequence[str]) -> None:
    """A legend for all but the methods, whose names stand beside their lines."""
    marks = []
    if any(cell["paper"] is not None for cell in cells):
        marks.append(Line2D([], [], label="the paper", **_PAPER_S))
    if any(map(was_stopped, cells)):
        marks.append(Line2D([], [], label="training was stopped", color=MUTED, **_POINT, **_HOLLOW))
    marks += [Line2D([], [], label=name, **_reference(i)) for i, name in enumerate(references)]
    if marks:
        figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
