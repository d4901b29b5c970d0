"""Training states on disk, by Orbax: written whole or not at all, the last few kept."""

import logging
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from mmaml.runs.errors import UserError


logging.getLogger("absl").setLevel(logging.ERROR)

KEEP_LAST = 2


class Checkpoints:
    """The last `keep` checkpoints in the folder `path`."""

    def __init__(self, path: Path, keep: int = KEEP_LAST):
        try:
            self._manager = ocp.CheckpointManager(
                path.absolute(),
                options=ocp.CheckpointManagerOptions(
                    max_to_keep=keep,
                    cleanup_tmp_directories=True,
                    enable_async_checkpointing=False,
                ),
            )
        except OSError as error:
            raise UserError(f"cannot use {path}: {error.strerror}. Choose a folder you may write to.") from error
        self._path = path

    def latest(self) -> int | None:
        """Step of the newest checkpoint, `None` if there is none."""
        return self._manager.latest_step()

    def save(self, step: int, state: PyTree) -> None:
        """Save `state`. Raises `UserError` if the disk does not take it; older checkpoints stay as they are."""
        try:
            self._manager.save(step, args=ocp.args.StandardSave(state), force=True)
            self._manager.wait_until_finished()
        except Exception as error:
            raise UserError(
                f"cannot save the checkpoint of iteration {step} in {self._path}: {error}. Older checkpoints are "
                "untouched; free some space, then `mmaml resume`."
            ) from error

    def restore(self, step: int, like: PyTree) -> Any:
        """The state saved at `step`, with the structure, shapes and devices of `like`.

        Raises `UserError` if it is damaged or belongs to another configuration.
        """
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        try:
            return self._manager.restore(step, args=ocp.args.StandardRestore(target))
        except Exception as error:
            raise self._damaged(step, error) from error

    def _damaged(self, step: int, error: Exception) -> UserError:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return UserError(
            f"the checkpoint {self._path / str(step)} cannot be restored ({reason}). It is damaged or was made "
            "with another configuration. Delete that folder to go on from an older checkpoint."
        )

    def close(self) -> None:
        """Finish what is being written."""
        self._manager.close()
