"""Training states on disk, by Orbax: written whole or not at all, the last few kept."""

import io
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from mmaml.runs.errors import UserError
from mmaml.runs.files import refuse_unreadable_names


KEEP_LAST = 2

LONGEST_REASON = 300
"""Letters of what Orbax says."""


class Checkpoints:
    """The last `keep` checkpoints in the folder `path`; a context manager.

    With `read_only` nothing is made or deleted, also not what another process is writing.
    """

    def __init__(self, path: Path, keep: int = KEEP_LAST, *, read_only: bool = False):
        if not read_only:
            refuse_unusable(path)
        try:
            with _quiet():
                self._manager = ocp.CheckpointManager(
                    path.absolute(),
                    options=ocp.CheckpointManagerOptions(
                        max_to_keep=None if read_only else keep,
                        create=not read_only,
                        cleanup_tmp_directories=not read_only,
                        read_only=read_only,
                        enable_async_checkpointing=False,
                    ),
                )
        except OSError as error:
            raise UserError(f"cannot use {path}: {error.strerror}. Choose a folder you may write to.") from error
        self._path = path

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self._manager.close()

    def latest(self) -> int | None:
        """Step of the newest checkpoint, `None` if there is none."""
        return self._manager.latest_step()

    def save(self, step: int, state: PyTree, seconds: float) -> None:
        """Save `state`, and how many seconds of training are behind it.

        Raises `UserError` if the disk does not take it; older checkpoints stay as they are.
        """
        behind = {"seconds": seconds}
        try:
            with _quiet():
                self._manager.save(step, args=ocp.args.StandardSave(state), custom_metadata=behind, force=True)
                self._manager.wait_until_finished()
        except Exception as error:
            raise UserError(
                f"cannot save the checkpoint of iteration {step} in {self._path}: {_reason(error)}. Older checkpoints "
                "are untouched; free some space, then `mmaml resume`."
            ) from error

    def restore(self, step: int, like: PyTree) -> Any:
        """The state saved at `step`, with the structure, shapes and devices of `like`.

        Raises `UserError` if it is damaged or belongs to another configuration.
        """
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        try:
            with _quiet():
                return self._manager.restore(step, args=ocp.args.StandardRestore(target))
        except Exception as error:
            raise self._damaged(step, error) from error

    def seconds(self, step: int) -> float | None:
        """The seconds of training behind a checkpoint; `None` where it does not say, being older or damaged."""
        try:
            with _quiet():
                return self._manager.metadata(step).custom_metadata.get("seconds")
        except Exception:  # Orbax reads all there is about it, and what matters is restored already
            return None

    def _damaged(self, step: int, error: Exception) -> UserError:
        older = any(other < step for other in self._manager.all_steps())
        remedy = "Delete that folder to go on from an older checkpoint" if older else "Put it back from a copy"
        return UserError(
            f"the checkpoint {self._path / str(step)} cannot be restored ({_reason(error)}). It is damaged or was made "
            f"with another configuration or version of mmaml. {remedy}, or train another run with --out."
        )


def refuse_unusable(path: Path) -> None:
    """Raise `UserError` for a place where Orbax cannot write, or would lose what it writes.

    It takes `[…]` in a path for a pattern, and knows names in UTF-8 only.
    """
    refuse_unreadable_names([path.absolute(), *path.absolute().parents])
    if "[" in str(path.absolute()):
        raise UserError(
            f"checkpoints cannot be kept in {path.absolute()}, since there is a [ in its name or that of a folder "
            "above it. Choose another folder with --out, or rename that one."
        )


def newest(path: Path) -> int | None:
    """Step of the newest checkpoint in a folder, which another process may be writing; `None` if there is none."""
    with Checkpoints(path, read_only=True) as checkpoints:
        return checkpoints.latest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Orbax logs what it does, and its threads print tracebacks of what it raises; ours is the one message about it."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """A few words: the system's own, which Orbax's story of a failed write has at its end, or the first line."""
    if number := re.search(r"os_error_code='(\d+)'", str(error)):
        return os.strerror(int(number[1]))
    first = str(error).split("\n")[0].split(" [tensorstore_spec")[0]
    return first[:LONGEST_REASON] or type(error).__name__
