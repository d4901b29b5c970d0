"""`mmaml adapt` of a regression model: CSV files in, predictions out."""

from pathlib import Path

from mmaml.regression.model import RegressionModel
from mmaml.regression.tables import read_table
from mmaml.runs.errors import UserError
from mmaml.supervised.predictions import Predictions


def adapt_files(
    model: RegressionModel, support: Path, query: Path, *, steps: int | None, mode: str | None
) -> Predictions:
    """Adapt `model` to the points in the CSV file `support`, and predict y for those in `query`.

    Raises `UserError` for files that cannot be used.
    """
    few, where = read_table(support), read_table(query, with_targets=False)
    try:
        adapted = model.adapt(few.x, few.y, steps=steps, mode=mode)
        predictions = adapted.predict(where.x)
    except ValueError as error:
        raise UserError(str(error)) from error
    width = where.x.shape[1]
    columns = ["x"] if width == 1 else [f"x{i}" for i in range(1, width + 1)]
    rows = [[*map(float, x), float(f"{y:.7g}")] for x, y in zip(where.x, predictions, strict=True)]
    return Predictions([*columns, "y"], rows, adapted)
