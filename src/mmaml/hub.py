"""Trained models by path."""

from pathlib import Path
from typing import Any

from mmaml.domains import DOMAINS
from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder
from mmaml.supervised.modelfile import read_model


def load(path: str | Path) -> Any:
    """A trained model from a run's folder, or from a file that `mmaml export` made.

    It is a `RegressionModel`, or what its domain has in the place of that. Raises `UserError` if there is none, or
    it is damaged.
    """
    path = Path(path)
    if path.is_dir():
        folder = RunFolder.open(path)
        if not folder.model_path.is_file():
            raise UserError(f"{path} is not trained to its end yet; finish it with `mmaml resume {path}`.")
        path = folder.model_path
    header, tensors = read_model(path)
    if header["domain"] not in DOMAINS:
        raise UserError(
            f"{path} is a model of the domain {header['domain']!r}; this mmaml knows: {', '.join(DOMAINS)}."
        )
    return DOMAINS[header["domain"]].model(header, tensors, path)
