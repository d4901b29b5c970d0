"""How every chart looks, and how it becomes SVG.

Charts are made with Matplotlib's `Figure` inside `matplotlib.rc_context(STYLE)`: no pyplot, no window, no state
left behind.
"""

import io
from collections.abc import Iterable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator


INK, MUTED, GRID, PAPER = "#1f2328", "#6b7280", "#e3e6ea", "#ffffff"

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe & Ito's palette, safe for colour-blind readers, without its black and its yellow (too pale on white)."""

DARK = {
    INK: "#e4e7eb",
    MUTED: "#9aa4af",
    GRID: "#33383f",
    PAPER: "#171717",
    **dict(zip(COLOURS, ("#4ea3dd", "#f0803c", "#2fbf95", "#dd94ba", "#f0b13d", "#86cdf5"), strict=True)),
}
"""What the colours become on a screen that is set to dark."""

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


def line_style(series: int) -> tuple[int, tuple[float, ...] | None]:
    """The same pattern as Matplotlib's `linestyle`."""
    return 0, tuple(map(float, dashes(series).split())) or None


def names_in_row(names: Iterable[str], width: float) -> int:
    """How many names a legend has room for beside each other in a figure of `width` inches, at least one."""
    return max(1, int(width / (0.6 + 0.08 * max(map(len, names)))))


def plain_log_scale(axes: Axes) -> None:
    """A logarithmic y axis with numbers as people write them: 0.2, 0.5, 1, 2."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def to_svg(figure: Figure) -> str:
    """A complete SVG file, which takes darker colours by itself where a dark screen is preferred."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    # The file keeps plain colours, which every program understands; browsers also heed this.
    rules = "".join(
        f'[style*="{part}: {light}"]{{{part}:{dark}!important}}'
        for light, dark in DARK.items()
        for part in ("fill", "stroke")
    )
    style = f"<style>@media screen and (prefers-color-scheme:dark){{{rules}}}</style>"
    head, end, body = buffer.getvalue().rpartition("</svg>")
    return head + style + end + body


def inline_svg(figure: Figure) -> str:
    """An `<svg>` element to put into a page, as wide as what it is put into, but not much wider than drawn."""
    svg = to_svg(figure)
    start, rest = svg[svg.index("<svg") :].split(">", 1)
    view_box = start.split('viewBox="')[1].split('"')[0]
    widest = 1.2 * float(view_box.split()[2])
    return f'<svg viewBox="{view_box}" style="max-width:{widest:.0f}pt" aria-hidden="true">{rest}'
