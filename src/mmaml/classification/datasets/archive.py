"""The files in a zip, a tar or a folder, one after the other, without unpacking."""

import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from mmaml.runs.errors import UserError


ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

File = tuple[PurePosixPath, Callable[[], bytes]]
"""A file's name in the archive or folder, and how to read it. It has to be read before the next one is asked for."""


def files_in(path: Path) -> Iterator[File]:
    """Every file in an archive or a folder, and in the archives that lie in the folder; hidden ones are left out.

    Raises `UserError` if `path` is neither, or an archive turns out to be damaged.
    """
    if path.is_dir():
        for folder, inner, names in os.walk(path):
            inner.sort()
            for name in sorted(names):
                file = Path(folder, name)
                if name.endswith(ENDINGS):
                    yield from _members(file)
                elif _wanted(inside := PurePosixPath(file.relative_to(path).as_posix())):
                    yield inside, partial(read_file, file)
    elif path.is_file() and path.name.endswith(ENDINGS):
        yield from _members(path)
    else:
        what = "is not of that kind" if path.exists() else "does not exist"
        raise UserError(f"{path} {what}: what is needed is a folder or an archive ({', '.join(ENDINGS)}).")


def read_file(path: Path) -> bytes:
    """The content of a file. Raises `UserError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _members(path: Path) -> Iterator[File]:
    with _naming(path):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if not info.is_dir() and _wanted(name := PurePosixPath(info.filename)):
                        yield name, partial(_read, path, archive.open, info)
        else:
            with tarfile.open(path) as archive:
                for info in archive:
                    if info.isfile() and _wanted(name := PurePosixPath(info.name)):
                        yield name, partial(_read, path, archive.extractfile, info)


def _wanted(name: PurePosixPath) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def _read(path: Path, open_member: Callable, info: zipfile.ZipInfo | tarfile.TarInfo) -> bytes:
    with _naming(path), open_member(info) as file:
        return file.read()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise UserError(
            f"{path} cannot be read to its end: {error}. It is damaged or incomplete: delete it and download it again."
        ) from error
