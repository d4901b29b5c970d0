"""`mmaml adapt` of a regression model: CSV files in, predictions out."""

from pathlib import Path
from typing import Any

import numpy as np

from mmaml.experiments.predictions import Predictions, Score
from mmaml.regression.model import RegressionModel
from mmaml.regression.own.points import Points, input_columns, read_points
from mmaml.runs.errors import UserError


def adapt_files(
    model: RegressionModel, support: Path, query: Path, *, steps: int | None, mode: str | None
) -> Predictions:
    """Adapt `model` to the points in the CSV file `support`, and predict y for those in `query`.

    Where `query` has a column y itself, that is given beside the predictions, and they are judged by it.
    Raises `UserError` for files that cannot be used.
    """
    few, where = read_points(support), read_points(query, all_targets=False)
    for table in (few, where):
        _check_inputs(table, len(model.scaler.x_mean))
    try:
        adapted = model.adapt(few.x, few.y, steps=steps, mode=mode)
        predictions = adapted.predict(where.x)
    except ValueError as error:
        raise UserError(str(error)) from error
    columns, decimals = [*input_columns(where.x.shape[1]), "y"], model.scaler.y_decimals
    numbers = ([*map(float, x), round(float(y), decimals)] for x, y in zip(where.x, predictions, strict=True))
    rows: list[dict[str, Any]] = [dict(zip(columns, row, strict=True)) for row in numbers]
    known = np.isfinite(where.y)
    if not known.any():
        return Predictions(rows, adapted.mode_neighbours)
    rows = [row | {"given": float(y) if k else None} for row, y, k in zip(rows, where.y, known, strict=True)]
    error = float(np.mean((predictions - where.y)[known] ** 2))
    return Predictions(rows, adapted.mode_neighbours, Score("mean squared error", error, int(known.sum())))


def _check_inputs(table: Points, in_size: int) -> None:
    if (seen := table.x.shape[1]) != in_size:
        raise UserError(
            f"{table.place} has the input columns {', '.join(input_columns(seen))}, but the model was trained on "
            f"{', '.join(input_columns(in_size))}. Give it these."
        )
