"""metrics.jsonl: one JSON object a line, appended while training."""

import json
from pathlib import Path
from typing import Any

from mmaml.runs.errors import UserError
from mmaml.runs.files import write_atomically


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All rows; a last line cut short by a crash is left out. Raises `UserError` for another line that is no row."""
    if not path.is_file():
        return []
    rows = []
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if not (isinstance(row, dict) and isinstance(row.get("step"), int)):
                raise ValueError("no row")
            rows.append(row)
        except (ValueError, RecursionError):
            if number < len(lines):
                seen = line[:80].decode(errors="replace")
                raise UserError(
                    f"{path}, line {number} is not a JSON object with a whole number `step`: {seen!r}. Put the file "
                    "back from a copy."
                ) from None
    return rows


def append_metrics(path: Path, row: dict[str, Any]) -> None:
    """Append one row."""
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}. Free some space, then `mmaml resume`.") from error


def drop_metrics_after(path: Path, step: int) -> None:
    """Forget rows later than `step`: a resumed run writes them again."""
    rows = [row for row in read_metrics(path) if row["step"] <= step]
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
