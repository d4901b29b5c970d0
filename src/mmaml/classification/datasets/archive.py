"""The files in a zip, a tar or a folder, one after the other, without unpacking."""

import lzma
import os
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path, PurePath, PurePosixPath

from mmaml.runs.errors import Note, UserError


ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

File = tuple[PurePosixPath, Callable[[], bytes]]
"""A file's name in the archive or folder, and how to read it. It has to be read before the next one is asked for."""


def files_in(path: Path, *, nested: bool = False) -> Iterator[File]:
    """Every file in an archive or a folder, and in the archives that lie in it, at any depth; hidden ones are left out.

    A file in an inner archive has the name it has there; if `nested`, below a folder called like that archive.

    Raises `UserError` if `path` is neither, or an archive turns out to be damaged.
    """
    if path.is_dir():
        for folder, inner, names in os.walk(path):
            inner.sort()
            for name in sorted(names):
                file = Path(folder, name)
                inside = PurePosixPath(file.relative_to(path).as_posix())
                if _wanted(inside) and _ends_as_archive(name):
                    yield from _members(str(file), partial(open, file, "rb"), _below(inside, nested))
                elif _wanted(inside):
                    yield inside, partial(read_file, file)
    elif is_archive(path):
        yield from _members(str(path), partial(open, path, "rb"), PurePosixPath() if nested else None)
    else:
        what = "is not of that kind" if path.exists() else "does not exist"
        raise UserError(f"{path} {what}: what is needed is a folder or an archive ({', '.join(ARCHIVES)}).")


def is_archive(path: Path) -> bool:
    """Whether there is a file that ends as archives do."""
    return path.is_file() and _ends_as_archive(path.name)


def _ends_as_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def archive_stem(path: PurePath) -> str:
    """An archive's name without its ending; the whole name of anything else."""
    ending = next((ending for ending in ARCHIVES if path.name.lower().endswith(ending)), "")
    return path.name[: len(path.name) - len(ending)]


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """A folder for a while with what is in an archive, below the folders that all folders in it lie in.

    In messages of warnings and of a `UserError` raised meanwhile the archive stands for that folder. Raises one, too,
    if the archive is damaged, or the disk does not take it.
    """
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings(record=True) as notes:
        folder = Path(temporary)
        try:
            for name, read in files_in(archive, nested=True):
                _write(folder / name, read(), archive)
            while len(inner := [p for p in folder.iterdir() if p.is_dir()]) == 1 and _has_folders(inner[0]):
                if beside := sorted(p.name for p in folder.iterdir() if p not in inner):
                    message = f"{archive}: what lies beside {inner[0].name} is left out: {', '.join(beside[:3])}"
                    warnings.warn(message, Note, stacklevel=2)
                folder = inner[0]
            yield folder
        except UserError as error:
            raise UserError(str(error).replace(temporary, str(archive))) from error
    for note in notes:
        warnings.warn(str(note.message).replace(temporary, str(archive)), note.category, stacklevel=3)


def _has_folders(path: Path) -> bool:
    return any(inner.is_dir() for inner in path.iterdir())


def _write(path: Path, content: bytes, archive: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UserError(
            f"{archive} cannot be unpacked to {tempfile.gettempdir()}: {error.strerror}. Free some space, set TMPDIR "
            "to a folder with more, or unpack it yourself and give the folder."
        ) from error


def read_file(path: Path) -> bytes:
    """The content of a file. Raises `UserError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def decode_text(data: bytes, name: str) -> str:
    """The text in a file's content. Raises `UserError` that gives `name` if it is not UTF-8."""
    try:
        return data.decode("utf-8-sig")  # spreadsheet programs put a mark in front
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is not text in UTF-8: {error.reason} 0x{error.object[error.start]:02x} at byte {error.start}. "
            "Save it as UTF-8, or take the file as its authors published it."
        ) from error


def _below(archive: PurePosixPath, nested: bool) -> PurePosixPath | None:
    return archive.with_name(archive_stem(archive)) if nested else None


def _members(archive: str, open_archive: Callable, below: PurePosixPath | None) -> Iterator[File]:
    """The files in an archive, with names `below` a folder if there is one."""
    with _naming(archive), open_archive() as file:
        if archive.lower().endswith(".zip"):
            with zipfile.ZipFile(file) as packed:
                files = [info for info in packed.infolist() if not info.is_dir()]
                # Some programs for Windows write names with its separators.
                backslashes = not any("/" in info.filename for info in files)
                for info in files:
                    name = info.filename.replace("\\", "/") if backslashes else info.filename
                    if not name.endswith("/"):
                        yield from _member(archive, name, partial(packed.open, info), below)
        else:
            with tarfile.open(fileobj=file) as packed:
                for info in packed:
                    try:
                        content = packed.extractfile(info)  # that of what it links to, if it is a link
                    except KeyError:
                        message = f"{archive}: {info.name} is left out, a link to what is not in the archive"
                        warnings.warn(f"{message}.", Note, stacklevel=2)
                        continue
                    if content is not None:
                        yield from _member(archive, info.name, partial(nullcontext, content), below)


def _member(archive: str, name: str, open_member: Callable, below: PurePosixPath | None) -> Iterator[File]:
    inside = PurePosixPath(name)
    inside = (below or PurePosixPath()) / inside.relative_to(inside.anchor)
    if _wanted(inside) and _ends_as_archive(name):
        yield from _members(f"{archive}: {name}", open_member, _below(inside, below is not None))
    elif _wanted(inside):
        yield inside, partial(_read, archive, open_member)


def _wanted(name: PurePosixPath) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def _read(archive: str, open_member: Callable) -> bytes:
    with _naming(archive), open_member() as file:
        return file.read()


@contextmanager
def _naming(archive: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise UserError(f"{archive} cannot be read: {error.strerror}.") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError) as error:
        what = str(error).partition(":\n")[0]  # tarfile goes on with a line for each compression it tried
        raise UserError(
            f"{archive} cannot be read to its end: {what}. It is damaged or incomplete: delete it and download it "
            "again."
        ) from error
