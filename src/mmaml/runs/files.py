"""Files that are either whole or not there."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mmaml.runs.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` at the end; after an error or a crash what was there is untouched.

    It may be read by whom the old one, or else any new file, may. A link stays one, and what is no file, like a pipe,
    is written to.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        with open(path, "wb") as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.is_file():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def refuse_to_replace(path: Path | None, overwrite: bool) -> None:
    """Raise `UserError` if there is a file at `path` that is not to be overwritten; a pipe may be written to."""
    if path is None:
        return
    if path.is_dir():
        raise UserError(f"{path} is a folder. Name a file.")
    if path.is_file() and not overwrite:
        raise UserError(f"{path} is there already. Replace it with --overwrite, or name another file.")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that a crash or a full disk leaves the old file or the new one, never a part.

    Raises `UserError` if the disk or the folder does not take it.
    """
    try:
        with replacing(path) as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "free some space" if full else "choose a folder you may write to"
        raise UserError(
            f"cannot write {path}: {error.strerror}. What was there before is untouched; {advice}."
        ) from error


def refuse_unreadable_names(paths: Iterable[Path]) -> None:
    """Raise `UserError` for a name that is not UTF-8, as from an old archive: no picture or table could show it."""
    for path in paths:
        try:
            path.name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(path).decode(errors="backslashreplace")
            raise UserError(f"the name of {shown} is not text in UTF-8. Rename it.") from None


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `UserError` naming the file if it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}.") from error
