"""Progress of a run: a live bar on a terminal, plain lines anywhere else, and early on what the run will cost."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

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


Work = Callable[[int], float]
"""How much is done with so many iterations, in any unit: not all take as long as each other."""


class Speed(NamedTuple):
    """What is known of how fast a run goes."""

    iterations_a_second: float
    seconds_left: float


class _Pace:
    """Speed without what is only done once: compilation, before the first report and in the first validation."""

    def __init__(self, work: Work, total: int) -> None:
        self._work, self._total = work, total
        self._since: tuple[int, float] | None = None
        self._step, self._speed = 0, None
        self._validated = False

    def at(self, step: int) -> Speed | None:
        """The speed after `step` iterations, which are reported once more when they have been validated."""
        first_validation = step == self._step and not self._validated
        if self._since is None or first_validation:
            self._since = (step, time.monotonic())
            self._validated = first_validation
        elif step > self._since[0]:
            since, then = self._since
            seconds = max((time.monotonic() - then) / (self._work(step) - self._work(since)), 1e-9)
            iteration = seconds * (self._work(step) - self._work(step - 1))
            self._speed = Speed(1 / iteration, seconds * (self._work(self._total) - self._work(step)))
        self._step = step
        return self._speed


def _text(numbers: dict[str, float], speed: Speed | None) -> str:
    fast = {} if speed is None else {"it/s": speed.iterations_a_second}
    first = {name: numbers[name] for name in ("loss", "query") if name in numbers}
    return "  ".join(f"{name} {value:.4g}" for name, value in {**fast, **first, **numbers}.items())


def _cost(iterations: int, seconds: float) -> str:
    return (
        f"{iterations:,} meta-iterations will take about {seconds / 60:,.0f} min; "
        f"memory so far at most {peak_memory() / 2**30:.1f} GiB."
    )


class _BarOverNumbers(Progress):
    """A bar, and in a second line the numbers, cut off where the terminal ends."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        for task in self.tasks:
            yield Text(f"  {task.fields['numbers']}", no_wrap=True, overflow="ellipsis")


@contextmanager
def progress(
    title: str, total: int, start: int, console: Console, work: Work = float, seconds_between: float = 15.0
) -> Iterator[Report]:
    """Show progress from iteration `start` to `total`: speed, time left, and early on what a long run will cost.

    `work` is asked anew at each report, so it need not be right before the first.
    """
    pace = _Pace(work, total)
    last, told = 0.0, False

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    def speed_at(step: int) -> Speed | None:
        """The speed; the first time it is known, also what the run will cost if that is much."""
        nonlocal told
        speed = pace.at(step)
        if speed and not told:
            told = True
            if speed.seconds_left > LONG:
                say(f"{title}  {_cost(total - step, speed.seconds_left)}")
        return speed

    if console.is_terminal:
        room = Column(no_wrap=True, overflow="ellipsis", max_width=max(console.width - BESIDE, 8))
        columns = (
            TextColumn("{task.description}", style="bold", markup=False, table_column=room),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[step]:,}/" + f"{total:,}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with _BarOverNumbers(*columns, console=console, expand=True) as bar:

            def done(step: int) -> dict[str, Any]:
                return {"total": work(total), "completed": work(step), "step": step}

            task = bar.add_task(title, **done(start), numbers="compiling…")

            def live(step: int, numbers: dict[str, float]) -> None:
                bar.update(task, **done(step), numbers=_text(numbers, speed_at(step)))

            yield live
        return

    unsaid = ""

    def lines(step: int, numbers: dict[str, float]) -> None:
        nonlocal last, unsaid
        speed = speed_at(step)
        left = "" if speed is None else f"  left {speed.seconds_left / 60:.1f} min"
        unsaid = f"{title}  {step}/{total}  {_text(numbers, speed)}{left}"
        if time.monotonic() - last >= seconds_between and step < total:
            last = time.monotonic()
            say(unsaid)
            unsaid = ""

    yield lines
    if unsaid:
        say(unsaid)
