"""A run on disk.

```
<run>/  config.json    what was asked for, and everything needed to repeat it
        metrics.jsonl  one object a line: step, seconds, named numbers
        checkpoints/   the last few training states
        best/          the one that did best in validation, where a domain asks for it
        model.safetensors  the trained model, ready for use
        result.json    the final evaluation
        evaluation.npy its values, task by task
        groups.npy     tasks of one file have one number, where they come from files
        figures/       report.html
        tensorboard/   video.gif   where they were asked for
```
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from mmaml.runs.checkpoint import refuse_unusable
from mmaml.runs.errors import UserError, command
from mmaml.runs.files import read_json, refuse_unreadable_names, write_json
from mmaml.runs.provenance import provenance


_OWN = {
    *("config.json", "metrics.jsonl", "model.safetensors", "result.json", "evaluation.npy", "modes.npy", "groups.npy"),
    *("checkpoints", "best", "figures", "report.html", "video.gif", "tensorboard", ".lock"),
}


@dataclass(frozen=True)
class RunFolder:
    """Where the parts of a run lie."""

    path: Path

    @classmethod
    def create(
        cls, path: Path, domain: str, setting: str, config: dict[str, Any], *, overwrite: bool = False
    ) -> "RunFolder":
        """Start a run in `path`; runs with the same `setting` can be compared with each other.

        Raises what `require_free` raises, and `UserError` if the folder cannot be written.
        """
        stored = {"domain": domain, "setting": setting, "config": config, **provenance()}
        folder = cls.require_free(path, overwrite=overwrite)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make {path}: {error.strerror}. Choose another folder with --out.") from error
        with folder.locked():
            # Another process may have begun a run here in the meantime.
            cls.require_free(path, overwrite=overwrite)
            folder._clear()
            write_json(folder.config_path, stored)
        return folder

    @classmethod
    def require_free(cls, path: Path, *, overwrite: bool = False) -> "RunFolder":
        """A place for a new run, before anything is written.

        Raises `UserError` if the folder holds something already, unless it is a run, nothing else and `overwrite` is
        given, if it lies in that of another run, or if checkpoints could not be kept in it.
        """
        refuse_unusable(path)
        for above in path.absolute().parents:
            if cls(above)._is_run():
                raise UserError(f"{path} lies in the run {above}, with which it would go. Choose another with --out.")
        folder = cls(path)
        if folder._is_taken():
            if not folder._is_run():
                raise UserError(f"{path} is not empty and is not a run. Choose another folder with --out.")
            if not overwrite:
                raise UserError(
                    f"{path} already holds a run. Continue it with {command('resume', path)}, replace it with "
                    "--overwrite, or choose another folder with --out."
                )
            folder._refuse_foreign()
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing run. Raises `UserError` if `path` is not one."""
        refuse_unreadable_names(path.absolute().parents)
        folder = cls(path)
        if not folder.config_path.is_file():
            raise UserError(f"{path} is not a run: it has no config.json. Runs are made by `mmaml train`.")
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process alone. Raises `UserError` if another process trains it."""
        lock = filelock.FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise UserError(f"another process is working on {self.path}; wait for it or stop it.") from None
        except OSError as error:
            raise UserError(
                f"cannot write in {self.path}: {error.strerror}. Choose a folder you may write to."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def has_ended(self) -> bool:
        """Whether there are a trained model and its evaluation."""
        return self.model_path.is_file() and self.result_path.is_file()

    def read_config(self) -> dict[str, Any]:
        """The content of config.json: `domain`, `config`, what `provenance` says, and in all but the oldest `setting`.

        Raises `UserError` if some of it is missing or cannot be.
        """
        stored = read_json(self.config_path)
        needed = {"domain", "config", "command", "commit", "versions", "machine", "devices"}
        if missing := needed - set(stored if isinstance(stored, dict) else ()):
            raise UserError(f"{self.config_path} lacks {', '.join(sorted(missing))}: it was not written by mmaml.")
        kinds = {"domain": str, "setting": str, "config": dict, "versions": dict, "devices": int}
        odd = [name for name, kind in kinds.items() if not isinstance(stored.get(name, kind()), kind)]
        if odd or stored["devices"] < 1:
            name = odd[0] if odd else "devices"
            raise UserError(f"{self.config_path} is damaged: {name} is {stored[name]!r}. Put it back from a copy.")
        return stored

    def _is_run(self) -> bool:
        try:
            self.read_config()
        except UserError:
            return False
        return True

    def _is_taken(self) -> bool:
        if not self.path.is_dir():
            return self.path.exists()
        return any(entry.name != ".lock" for entry in self.path.iterdir())

    def _refuse_foreign(self) -> None:
        if foreign := [entry.name for entry in sorted(self.path.iterdir()) if not _is_own(entry.name)]:
            raise UserError(
                f"{self.path} holds {foreign[0]!r}, which is no part of a run; --overwrite would delete it. "
                "Move it away, or choose another folder with --out."
            )
        if inner := [found for found in sorted(self.path.rglob("config.json")) if found != self.config_path]:
            raise UserError(
                f"{self.path} holds another run, {inner[0].parent}; --overwrite would delete it. Move it away, or "
                "choose another folder with --out."
            )

    def _clear(self) -> None:
        """Delete the run, whose lock is held."""
        entries = [entry for entry in self.path.iterdir() if entry.name != ".lock"]
        # Without config.json what is left after a crash would not be known for a run.
        for entry in sorted(entries, key=lambda entry: entry == self.config_path):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)

    @property
    def config_path(self) -> Path:
        """What was asked for."""
        return self.path / "config.json"

    @property
    def metrics_path(self) -> Path:
        """Numbers logged while training."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints_path(self) -> Path:
        """Training states."""
        return self.path / "checkpoints"

    @property
    def best_path(self) -> Path:
        """The training state that did best in validation."""
        return self.path / "best"

    @property
    def result_path(self) -> Path:
        """The final evaluation."""
        return self.path / "result.json"

    @property
    def values_path(self) -> Path:
        """The metric on every task of the final evaluation, after each gradient step."""
        return self.path / "evaluation.npy"

    @property
    def modes_path(self) -> Path:
        """The number of each of these tasks' mode."""
        return self.path / "modes.npy"

    @property
    def groups_path(self) -> Path:
        """Which of these tasks are drawn from one and the same thing, if some are: the number of it for each task."""
        return self.path / "groups.npy"

    @property
    def model_path(self) -> Path:
        """The trained model, ready for use."""
        return self.path / "model.safetensors"

    @property
    def figures_path(self) -> Path:
        """Pictures for the report."""
        return self.path / "figures"

    @property
    def report_path(self) -> Path:
        """The report of this run alone."""
        return self.path / "report.html"


def _is_own(name: str) -> bool:
    """Whether it is a part of a run, or `.part.xyz`, what a kill has left of one that was being written."""
    return name in _OWN or (name.startswith(".") and name[1:].rpartition(".")[0] in _OWN)
