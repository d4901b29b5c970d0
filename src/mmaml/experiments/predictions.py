"""What `mmaml adapt` found out about a task's queries, ready to be written."""

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple


class Score(NamedTuple):
    """The `value` of the measure `name` over the `queries` whose true answers are known."""

    name: str
    value: float
    queries: int


class Predictions(NamedTuple):
    """What is said of each query, the task's `mode_neighbours`, and the `score` if queries had answers.

    All `rows` have the same keys. A value may be a dictionary, whose entries are columns in CSV; one that is named like
    another column has the dictionary's name before its own.
    """

    rows: Sequence[dict[str, Any]]
    mode_neighbours: dict[str, float] | None
    score: Score | None = None

    def to_csv(self) -> str:
        """The table as CSV, with a header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        flat = [[cell for name, value in row.items() for cell in _cells(name, value, [*row])] for row in self.rows]
        writer.writerow(name for name, _ in flat[0])
        writer.writerows([value for _, value in row] for row in flat)
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """The rows, the score and the task's `mode_neighbours`, ready for JSON."""
        score = None if self.score is None else self.score._asdict()
        return {"predictions": self.rows, "score": score, "mode_neighbours": self.mode_neighbours}


def _cells(name: str, value: Any, taken: Sequence[str]) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(name, value)]
    return [(f"{name}.{key}" if key in taken else key, entry) for key, entry in value.items()]
