"""Progress of a run: a live bar on a terminal, plain lines anywhere else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Report(Protocol):
    """Shows how far a run is: `report(step, {"loss": 0.4})`."""

    def __call__(self, step: int, numbers: dict[str, float]) -> None: ...  # noqa: D102


def _text(numbers: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())


@contextmanager
def progress(title: str, total: int, start: int, console: Console, seconds_between: float = 15.0) -> Iterator[Report]:
    """Show progress from iteration `start` to `total`, with speed and time left."""
    began = time.monotonic()

    def speed(step: int) -> float:
        return (step - start) / max(time.monotonic() - began, 1e-9)

    if console.is_terminal:
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total, completed=start, numbers="compiling…")

            def live(step: int, numbers: dict[str, float]) -> None:
                bar.update(task, completed=step, numbers=_text({"it/s": speed(step), **numbers}))

            yield live
        return

    last = 0.0

    def lines(step: int, numbers: dict[str, float]) -> None:
        nonlocal last
        if time.monotonic() - last < seconds_between and step < total:
            return
        last = time.monotonic()
        left = (total - step) / max(speed(step), 1e-9)
        shown = _text({"it/s": speed(step), **numbers})
        console.print(f"{title}  {step}/{total}  {shown}  left {left / 60:.1f} min", highlight=False, soft_wrap=True)

    yield lines
