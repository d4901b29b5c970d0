"""How every chart looks, and how it becomes SVG.

Charts are made with Matplotlib's `Figure` inside `matplotlib.rc_context(STYLE)`: no pyplot, no window, no state
left behind. Their few fixed colours are known by name, so that a page can replace them (see `inline_svg`).
"""

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


INK, MUTED, GRID, PAPER = "#1f2328", "#6b7280", "#e3e6ea", "#ffffff"

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe & Ito's palette, safe for colour-blind readers, without its black and its yellow (too pale on white)."""

DASHES = ("", "5 2", "1.5 2")
"""Line patterns as SVG has them: series that must share a colour differ in these."""

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "font.size": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "mmaml",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}
"""Matplotlib settings. Text stays text (any sans-serif font will do), names are never read as formulas, and the
same figure always gives the same bytes."""


def colour(series: int) -> str:
    """Colour of the i-th series."""
    return COLOURS[series % len(COLOURS)]


def dashes(series: int) -> str:
    """Line pattern of the i-th series, as in SVG's `stroke-dasharray`; empty for a solid line."""
    return DASHES[series // len(COLOURS) % len(DASHES)]


def line_style(series: int) -> tuple[float, tuple[float, ...] | None]:
    """The same pattern as Matplotlib's `linestyle`."""
    return 0, tuple(map(float, dashes(series).split())) or None


def plain_log_scale(axes: Axes) -> None:
    """A logarithmic y axis with numbers as people write them: 0.2, 0.5, 1, 2."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def to_svg(figure: Figure) -> str:
    """A complete SVG file."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    return buffer.getvalue()


def inline_svg(figure: Figure) -> str:
    """An `<svg>` element to put into a page, which scales to its container and takes its colours from there.

    Ink, grid and series become the CSS variables `--ink`, `--muted`, `--grid`, `--paper` and `--series-0`, …
    """
    svg = to_svg(figure)
    svg = svg[svg.index("<svg") :]
    start, rest = svg.split(">", 1)
    view_box = start.split('viewBox="')[1].split('"')[0]
    names = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"}
    names |= {hexadecimal: f"series-{i}" for i, hexadecimal in enumerate(COLOURS)}
    for hexadecimal, name in names.items():
        rest = rest.replace(hexadecimal, f"var(--{name})")
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view_box}" aria-hidden="true">{rest}'
