"""Trained models by path."""

import warnings
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mmaml.domains import DOMAINS, domain_of
from mmaml.experiments.modelfile import read_model
from mmaml.runs.errors import Note, UserError
from mmaml.runs.folder import RunFolder


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
    if not path.exists():
        raise UserError(f"there is nothing at {path}; a model is the folder of a run, or a file of `mmaml export`.")
    header, tensors = read_model(path)
    if header["domain"] not in DOMAINS:
        raise UserError(
            f"{path} is a model of the domain {header['domain']!r}; this mmaml knows: {', '.join(DOMAINS)}."
        )
    return DOMAINS[header["domain"]].model(header, tensors, path)


def compare(folders: dict[str, RunFolder]) -> dict[str, Figure]:
    """Pictures of finished runs of one setting, by label, side by side, as far as their domain has any.

    There are none, and a `Note` says so, where the tasks to draw cannot be had any more.
    """
    models = {label: load(folder.path) for label, folder in folders.items()}
    try:
        return DOMAINS[domain_of(next(iter(models.values())).config)].compare(models)
    except UserError as error:
        warnings.warn(f"the report has no picture of the runs side by side: {error}", Note, stacklevel=2)
        return {}
