"""Progress of a run: a live bar on a terminal, plain lines anywhere else, and early on what the run will cost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from mmaml.runs.devices import peak_memory


BESIDE = 50
"""Letters that stand beside the title on a terminal: bar, numbers of iterations and times."""
LONG = 300.0
"""Seconds from which on a run is told what it will cost."""


class Report(Protocol):
    """Shows how far a run is: `report(step, {"loss": 0.4})`."""

    def __call__(self, step: int, numbers: dict[str, float]) -> None: ...  # noqa: D102


class _Pace:
    """Seconds an iteration takes, from the first report on: what comes before it is mostly compilation."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def seconds(self, step: int) -> float | None:
        """Mean seconds of an iteration; `None` in the first report."""
        self._first = self._first or (step, time.monotonic())
        first, then = self._first
        return (time.monotonic() - then) / (step - first) if step > first else None


def _text(numbers: dict[str, float], seconds: float | None) -> str:
    speed = {} if seconds is None else {"it/s": 1 / max(seconds, 1e-9)}
    first = {name: numbers[name] for name in ("loss", "query") if name in numbers}
    return "  ".join(f"{name} {value:.4g}" for name, value in {**speed, **first, **numbers}.items())


def _cost(iterations: int, seconds: float) -> str:
    return (
        f"{iterations:,} meta-iterations will take about {iterations * seconds / 60:,.0f} min; "
        f"memory so far at most {peak_memory() / 2**30:.1f} GiB."
    )


class _BarOverNumbers(Progress):
    """A bar, and in a second line the numbers, cut off where the terminal ends."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        for task in self.tasks:
            yield Text(f"  {task.fields['numbers']}", no_wrap=True, overflow="ellipsis")


@contextmanager
def progress(title: str, total: int, start: int, console: Console, seconds_between: float = 15.0) -> Iterator[Report]:
    """Show progress from iteration `start` to `total`: speed, time left, and early on what a long run will cost."""
    pace = _Pace()
    last, told = 0.0, False

    def tell_cost(step: int, seconds: float | None) -> None:
        nonlocal told
        if seconds is None or told:
            return
        told = True
        if (total - step) * seconds > LONG:
            console.print(f"{title}  {_cost(total - step, seconds)}", highlight=False, markup=False, soft_wrap=True)

    if console.is_terminal:
        room = Column(no_wrap=True, overflow="ellipsis", max_width=max(console.width - BESIDE, 8))
        columns = (
            TextColumn("{task.description}", style="bold", markup=False, table_column=room),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with _BarOverNumbers(*columns, console=console, expand=True) as bar:
            task = bar.add_task(title, total=total, completed=start, numbers="compiling…")

            def live(step: int, numbers: dict[str, float]) -> None:
                seconds = pace.seconds(step)
                tell_cost(step, seconds)
                bar.update(task, completed=step, numbers=_text(numbers, seconds))

            yield live
        return

    unsaid = ""

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def lines(step: int, numbers: dict[str, float]) -> None:
        nonlocal last, unsaid
        seconds = pace.seconds(step)
        tell_cost(step, seconds)
        left = "" if seconds is None else f"  left {(total - step) * seconds / 60:.1f} min"
        unsaid = f"{title}  {step}/{total}  {_text(numbers, seconds)}{left}"
        if time.monotonic() - last >= seconds_between and step < total:
            last = time.monotonic()
            say(unsaid)
            unsaid = ""

    yield lines
    if unsaid:
        say(unsaid)
