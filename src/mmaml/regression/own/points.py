"""Points of functions in CSV files."""

import csv
import hashlib
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mmaml.runs.errors import UserError


LARGEST = 1e70
"""No number in a file is larger."""

UNNAMED = "tasks"
"""The mode of tasks that are all of one."""


@dataclass(frozen=True)
class Points:
    """One task's points: `x` of the shape `(points, in)`, `y` of the shape `(points,)`, NaN where it is not known.

    `place` is where they were read, in words, and `unread` names the columns that do not count.
    """

    place: str
    x: Float[np.ndarray, "points in"]
    y: Float[np.ndarray, " points"]
    unread: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Short for all its numbers."""
        return hashlib.sha256(np.column_stack([self.x, self.y]).tobytes()).hexdigest()[:16]


def input_columns(in_size: int) -> list[str]:
    """The input columns of a file with `in_size` inputs."""
    return ["x"] if in_size == 1 else [f"x{i}" for i in range(1, in_size + 1)]


def read_points(path: Path, *, all_targets: bool = True) -> Points:
    """Read one CSV file with a header: `x` or `x1`, `x2`, …, and `y`; other columns are ignored.

    Without `all_targets`, `y` need not be there, or may have empty cells. Raises `UserError` naming file, row and
    column, also for a file of several tasks.
    """
    header, rows = _read_cells(path)
    if "task" in header and len(tasks := {row[header.index("task")] for row in rows.values()}) > 1:
        raise UserError(
            f"{path} has points of {len(tasks)} tasks, says its column `task`, where those of one are wanted. A file "
            "of many tasks can be given to --data itself, not in a folder; else rename that column."
        )
    return _table(path, str(path), header, rows, ("task",), all_targets=all_targets)


def read_tasks_of(path: Path) -> dict[str, dict[str, Points]]:
    """Read one CSV file of many tasks, which also has a column `task`, and may have one `mode`.

    Returns them by mode, `UNNAMED` if the file has none, and in it by name, in alphabetical order.
    Raises `UserError` naming file, row and column.
    """
    header, rows = _read_cells(path)
    if header.count("task") != 1 or header.count("mode") > 1:
        raise UserError(
            f"{_columns(path, header)}; in a file of many tasks one column `task` must say which of them a row is of, "
            "and one column `mode` may say its kind. Files of single tasks go into a folder, for --data to name."
        )

    def label(column: str, line: int) -> str:
        if not (name := rows[line][header.index(column)]):
            raise UserError(f"{path}, row {line}, column {column} is empty; each row must say which {column} it is of.")
        return name

    has_modes = "mode" in header
    lines: dict[tuple[str, str], list[int]] = {}
    for line in rows:
        mode = label("mode", line) if has_modes else UNNAMED
        lines.setdefault((mode, label("task", line)), []).append(line)
    by_mode: dict[str, dict[str, Points]] = {}
    for mode, task in sorted(lines):
        of_task = {line: rows[line] for line in lines[mode, task]}
        table = _table(path, f"{path}, task {task}", header, of_task, ("task", "mode"))
        name = f"{_without_slash(mode)}/{_without_slash(task)}" if has_modes else task
        by_mode.setdefault(mode, {})[name] = table
    return by_mode


def _without_slash(name: str) -> str:
    """The name as part of a longer one, different for different names."""
    return name.replace("%", "%25").replace("/", "%2F")


def _columns(path: Path, header: list[str]) -> str:
    return f"{path} has the columns {', '.join(header)}"


def _table(
    path: Path,
    place: str,
    header: list[str],
    rows: dict[int, list[str]],
    labels: tuple[str, ...],
    *,
    all_targets: bool = True,
) -> Points:
    """The points in `rows` of the file at `path`; of other columns `labels` have been read already."""
    seen = [name for name in header if re.fullmatch(r"[xX]\d*", name)]
    inputs = ["x"] if seen == ["x"] else [f"x{i}" for i in range(1, len(seen) + 1)]
    if not seen or sorted(seen) != sorted(inputs):
        raise UserError(f"{_columns(path, header)}; the inputs must be x, or x1, x2, … without a gap, each once.")
    if header.count("y") > 1 or (all_targets and "y" not in header):
        raise UserError(f"{_columns(path, header)}; there must be one column y with the targets.")

    def numbers(column: str, may_be_empty: bool = False) -> list[float]:
        cells = {f"{path}, row {line}, column {column}": row[header.index(column)] for line, row in rows.items()}
        return [_number(cell, place) if cell or not may_be_empty else math.nan for place, cell in cells.items()]

    x = np.array([numbers(column) for column in inputs]).T
    y = np.array(numbers("y", not all_targets)) if "y" in header else np.full(len(x), math.nan)
    unread = tuple(name or "one without a name" for name in header if name not in {*inputs, "y", *labels})
    return Points(place, x, y, unread)


def _read_cells(path: Path) -> tuple[list[str], dict[int, list[str]]]:
    """The header, and the rows by the lines they end on; rows with nothing in them do not count.

    Between columns are commas, semicolons or tabs; with the last two, numbers may have a comma for a decimal point.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            text = file.read()
        mark = _mark(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=mark != "\t", strict=True)
        cells = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Give the path of a CSV file.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as CSV: {error}. Save it as CSV in UTF-8.") from error
    rows = {line: row for line, row in cells if any(row)}
    header = rows.pop(next(iter(rows))) if rows else []
    if not rows:
        raise UserError(f"{path} has no rows: it needs a header with the columns x (or x1, x2, …) and y, then points.")
    for line, row in rows.items():
        if len(row) != len(header):
            advice = "numbers have points (1.5, not 1,5)" if mark == "," else "numbers may have commas (1,5)"
            if not any(map(_is_number_column, header)):
                advice = "the first line must name the columns: take away what stands above that"
            raise UserError(
                f"{path}, row {line} has {len(row)} cells ({', '.join(row)}), but the header has {len(header)} "
                f"({', '.join(header)}). Both must have the same; {advice}."
            )
    if mark != ",":
        _with_points(path, header, rows)
    return header, rows


def _mark(text: str) -> str:
    """What stands between columns: with which most names of the header are those of numbers."""
    header = next(iter(text.lstrip().splitlines()), "")

    def names(mark: str) -> int:
        return sum(_is_number_column(cell.strip().strip('"')) for cell in header.split(mark))

    return max((",", ";", "\t"), key=lambda mark: (names(mark), mark in header))


def _with_points(path: Path, header: list[str], rows: dict[int, list[str]]) -> None:
    """Write decimal commas as points. Raises `UserError` if some numbers have commas and others points."""
    numbers = [i for i, name in enumerate(header) if _is_number_column(name)]
    first = {sign: (line, i) for line, row in rows.items() for i in numbers for sign in ".," if sign in row[i]}
    if len(first) > 1:
        cells = " and ".join(f"{rows[line][i]!r} in row {line}" for line, i in dict.fromkeys(first.values()))
        raise UserError(
            f"{path} has {cells}: either commas or points are decimal, not both. Write numbers without marks for "
            "thousands."
        )
    for row in rows.values():
        for i in numbers:
            row[i] = row[i].replace(",", ".")


def _is_number_column(name: str) -> bool:
    return re.fullmatch(r"[xX]\d*|y", name) is not None


def _number(text: str, where: str) -> float:
    # Python would also read 2021_05, and the digits of every script.
    value = float(text) if re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text) else math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {text!r} is not a finite number such as -1.5.")
    if abs(value) > LARGEST:
        raise UserError(f"{where}: {text!r} is beyond ±{LARGEST:g}, where squares have no numbers. Use larger units.")
    return value
