"""Trained models by path."""

from pathlib import Path

from mmaml.regression.model import RegressionModel
from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder


def load(path: str | Path) -> RegressionModel:
    """A trained model from a run's folder, or from a file that `mmaml export` made.

    Raises `UserError` if there is none, or it is damaged.
    """
    path = Path(path)
    if path.is_dir():
        folder = RunFolder.open(path)
        if not folder.model_path.is_file():
            raise UserError(f"{path} is not trained to its end yet; finish it with `mmaml resume {path}`.")
        path = folder.model_path
    return RegressionModel.load(path)
