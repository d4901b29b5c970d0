"""What the command line, reports and `mmaml.load` need to know of a domain."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mmaml.experiments.config import ExperimentConfig
from mmaml.experiments.experiment import AbstractExperiment
from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.experiments.predictions import Predictions


@dataclass(frozen=True)
class Domain:
    """A kind of tasks.

    - `title`: what people call it.
    - `config`, `presets`: its options, and the published settings.
    - `experiment`: what is trained and judged, of a configuration.
    - `model`: the trained model, of a model file's header, arrays and path.
    - `tables`: what `mmaml reproduce` can fill.
    - `adapt_files`: `mmaml adapt` for such a model; `None` if its tasks do not come in files.
    - `glossary`: what its pictures and the references of its results are, by name, in the order of a report.
    - `compare`: pictures, by name, of several models of one setting, by the names of their runs; `None` if there are
      none.
    - `film`: writes a video of a model to a file, of a mode and a seed; `None` if there is nothing to see.
    """

    title: str
    config: type[ExperimentConfig]
    presets: dict[str, Any]
    experiment: Callable[[Any], AbstractExperiment]
    model: Callable[..., Any]
    tables: tuple[TableSpec, ...]
    glossary: dict[str, str]
    adapt_files: Callable[..., Predictions] | None = None
    compare: Callable[[dict[str, Any]], dict[str, Figure]] | None = None
    film: Callable[[Any, Path, str | None, int], None] | None = None
