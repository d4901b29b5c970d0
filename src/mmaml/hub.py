"""Trained models by path."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mmaml.domains import DOMAINS, domain_of
from mmaml.experiments.modelfile import read_model
from mmaml.runs.errors import UserError
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


def compare(folders: Sequence[RunFolder]) -> dict[str, Figure]:
    """Pictures of finished runs of one setting side by side, by name, as far as their domain has any."""
    models = {folder.path.resolve().name: load(folder.path) for folder in folders}
    return DOMAINS[domain_of(next(iter(models.values())).config)].compare(models)
