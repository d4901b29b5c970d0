"""What `mmaml adapt` found out about a task's queries, ready to be written."""

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from mmaml.supervised.use import AdaptedTask


class Predictions(NamedTuple):
    """One row for each query, in the order of `columns`, and the `task`'s model that they come from."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    task: AdaptedTask

    def to_csv(self) -> str:
        """The table as CSV, with a header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """The table and the task's `mode_neighbours`, ready for JSON."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"predictions": rows, "mode_neighbours": self.task.mode_neighbours}
