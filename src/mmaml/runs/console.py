"""Where a run says how far it is. A run goes on where nobody can read that any more."""

import contextlib
import os
import sys
from typing import Any

from rich.console import Console


class OutputConsole(Console):
    """For what a command is asked for: a reader who has seen enough is the caller's to handle, not an exit."""

    def on_broken_pipe(self) -> None:
        """Raise the `BrokenPipeError` again."""
        raise  # rich calls this where it has caught it


def progress_console(*, stderr: bool = False) -> Console:
    """For what is said along the way: where that cannot be written, because the pipe or terminal is closed or the disk
    of a log is full, it is left out, and so is all that comes after it."""
    stream: Any = _Dispensable(sys.stderr if stderr else sys.stdout)
    return Console(file=stream)


def discard(stream: Any) -> None:
    """Let a stream end in nothing, with what lies in its buffer, which would fail at every later attempt."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Dispensable:
    """A stream that ends in nothing from the first failure on."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._give_up()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        with contextlib.suppress(OSError):
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
