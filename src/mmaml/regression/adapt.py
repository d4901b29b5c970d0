"""`mmaml adapt` of a regression model: CSV files in, CSV out."""

import csv
import io
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mmaml.regression.model import RegressionModel
from mmaml.regression.tables import Table, read_table
from mmaml.runs.errors import UserError
from mmaml.runs.files import write_atomically
from mmaml.supervised.use import AdaptedTask


def adapt_files(
    model: RegressionModel, support: Path, query: Path, out: Path | None, *, steps: int | None, mode: str | None
) -> AdaptedTask:
    """Adapt `model` to the points in the CSV file `support`, and write its predictions for those in `query`.

    Returns the adapted model.
    """
    few, where = read_table(support), read_table(query, with_targets=False)
    try:
        adapted = model.adapt(few.x, few.y, steps=steps, mode=mode)
        predictions = adapted.predict(where.x)
    except ValueError as error:
        raise UserError(str(error)) from error
    write_predictions(where, predictions, out)
    return adapted


def write_predictions(table: Table, predictions: Float[np.ndarray, " points"], out: Path | None) -> None:
    """Write the inputs and their predictions as CSV, to standard output if `out` is `None`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    width = table.x.shape[1]
    writer.writerow([*(["x"] if width == 1 else [f"x{i}" for i in range(1, width + 1)]), "y"])
    writer.writerows([*map(repr, map(float, x)), f"{y:.7g}"] for x, y in zip(table.x, predictions, strict=True))
    if out is None:
        print(text.getvalue(), end="")
    else:
        write_atomically(out, text.getvalue())
