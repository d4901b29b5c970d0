"""Where metrics go besides metrics.jsonl."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmaml.runs.errors import UserError


Track = Callable[[int, dict[str, float]], None]


@contextmanager
def tensorboard(folder: Path) -> Iterator[Track]:
    """Write TensorBoard event files to `folder`. Raises `UserError` if tensorboardX is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise UserError("TensorBoard files need tensorboardX: pip install 'mmaml[tensorboard]'.") from None
    with SummaryWriter(str(folder)) as writer:

        def track(step: int, numbers: dict[str, float]) -> None:
            for name, value in numbers.items():
                writer.add_scalar(name, value, step)

        yield track
