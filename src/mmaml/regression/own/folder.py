"""A person's own tasks on disk: a folder with a CSV file for each, or one CSV file of all."""

import warnings
from pathlib import Path

from mmaml.regression.own.points import UNNAMED, Points, read_points, read_tasks_of
from mmaml.runs.errors import Note, UserError
from mmaml.runs.files import refuse_unreadable_names


ByMode = dict[str, dict[str, Points]]
"""Tasks by mode, and in it by name, in alphabetical order."""


def read_tasks(path: Path) -> tuple[ByMode, ByMode]:
    """The tasks at `path`: those to learn from, and those to be judged on, if it is said which.

    In a folder every CSV file is a task, and sub-folders are modes if there are any. If there are two, `train` and
    `test`, each is such a folder itself. In a single file the column `task` tells them apart, and the column `mode` is
    their mode if there is one.

    Raises `UserError`, naming file, row and column, for what cannot be read, and for tasks of different inputs.
    """
    if not path.exists():
        raise UserError(
            f"{path} is neither a folder nor a file. --data takes a folder with one CSV file for each task, or one "
            "CSV file in which a column `task` tells them apart."
        )
    if path.is_dir():
        train, test = _read_split(path) if _is_split(path) else (_read_folder(path), {})
    else:
        train, test = read_tasks_of(path), {}
    first, *others = (table for by_mode in (train, test) for tables in by_mode.values() for table in tables.values())
    for table in others:
        if table.x.shape[1] != first.x.shape[1]:
            raise UserError(
                f"{table.place} has {table.x.shape[1]} input columns, {first.place} has {first.x.shape[1]}; all tasks "
                "must have the same."
            )
    if unread := dict.fromkeys(name for table in (first, *others) for name in table.unread):
        modes = " (in a folder, sub-folders are the modes)" if "mode" in unread else ""
        warnings.warn(f"columns of {path} that are not read: {', '.join(unread)}{modes}.", Note, stacklevel=2)
    return train, test


def _is_split(folder: Path) -> bool:
    inner = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if inner > {"train", "test"}:
        others = ", ".join(sorted(inner - {"train", "test"}))
        raise UserError(
            f"{folder} has train and test, and beside them {others}. Put the tasks there into one of the two, or "
            "rename train or test if all are modes."
        )
    return inner == {"train", "test"}


def _read_split(folder: Path) -> tuple[ByMode, ByMode]:
    if loose := _csv_files(folder, ""):
        raise UserError(f"{folder} has train and test, and beside them {loose[0].name}; put it into one of the two.")
    train, test = (
        {
            mode: {f"{part}/{name}": table for name, table in tables.items()}
            for mode, tables in _read_folder(folder / part).items()
        }
        for part in ("train", "test")
    )
    if train.keys() != test.keys():
        raise UserError(
            f"{folder} has the modes {', '.join(train)} in train and {', '.join(test)} in test. Both must have the "
            "same."
        )
    return train, test


def _read_folder(folder: Path) -> ByMode:
    loose, inner, deeper = (_csv_files(folder, below) for below in ("", "*/", "*/*/**/"))
    if deeper:
        raise UserError(
            f"{deeper[0]} lies too deep: CSV files must lie in {folder} itself, or in its sub-folders, each a mode."
        )
    if inner and loose:
        raise UserError(f"{folder} has both sub-folders and {loose[0].name}; put every CSV file into a sub-folder.")
    if not inner and not loose:
        raise UserError(f"{folder} has no CSV files, neither in itself nor in its sub-folders.")
    if left_out := _others(folder):
        some = ", ".join(map(str, left_out[:3])) + ", …" * (len(left_out) > 3)
        warnings.warn(f"files in {folder} that are left out, since they are no CSV files: {some}.", Note, stacklevel=2)
    by_mode: ByMode = {}
    refuse_unreadable_names([*(path.parent for path in inner), *inner, *loose])
    for path in inner or loose:
        mode = path.parent.name if inner else UNNAMED
        by_mode.setdefault(mode, {})[path.relative_to(folder).as_posix()] = read_points(path)
    return by_mode


def _others(folder: Path) -> list[Path]:
    """Other files in the folder and its sub-folders; hidden ones do not count."""
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return [p for p in files if p.suffix.lower() != ".csv" and not any(part.startswith(".") for part in p.parts)]


def _csv_files(folder: Path, below: str) -> list[Path]:
    """CSV files that lie as the pattern `below` says under `folder`; hidden ones do not count."""
    found = folder.glob(below + "*.[cC][sS][vV]")
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
