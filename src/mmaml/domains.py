"""The domains by name: what the command line and `mmaml.load` need to know of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from mmaml.classification.adapt import adapt_files as adapt_classification_files
from mmaml.classification.experiment import ClassificationExperiment
from mmaml.classification.model import DOMAIN as CLASSIFICATION
from mmaml.classification.model import ClassificationModel
from mmaml.classification.omniglot import OMNIGLOT
from mmaml.classification.presets import PRESETS as CLASSIFICATION_PRESETS
from mmaml.classification.presets import ClassificationConfig
from mmaml.classification.table2 import TABLE2
from mmaml.experiments.config import ExperimentConfig
from mmaml.experiments.experiment import AbstractExperiment
from mmaml.experiments.reproduce import TableSpec
from mmaml.regression.adapt import adapt_files as adapt_regression_files
from mmaml.regression.experiment import RegressionExperiment
from mmaml.regression.figures import compare_fits
from mmaml.regression.model import DOMAIN as REGRESSION
from mmaml.regression.model import RegressionModel
from mmaml.regression.presets import PRESETS as REGRESSION_PRESETS
from mmaml.regression.presets import RegressionConfig
from mmaml.regression.table1 import TABLE1
from mmaml.rl.experiment import PolicyExperiment
from mmaml.rl.figures import compare_trajectories
from mmaml.rl.model import DOMAIN as RL
from mmaml.rl.model import PolicyModel
from mmaml.rl.presets import PRESETS as RL_PRESETS
from mmaml.rl.presets import PolicyConfig
from mmaml.rl.table3 import TABLE3
from mmaml.rl.workshop import WORKSHOP
from mmaml.runs.config import from_dict
from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder
from mmaml.supervised.predictions import Predictions


@dataclass(frozen=True)
class Domain:
    """A kind of tasks.

    - `config`, `presets`: its options, and the published settings.
    - `experiment`: what is trained and judged, of a configuration.
    - `model`: the trained model, of a model file's header, arrays and path.
    - `adapt_files`: `mmaml adapt` for such a model; `None` if its tasks do not come in files.
    - `tables`: what `mmaml reproduce` can fill.
    - `compare`: pictures, by name, of several models of one setting, by the names of their runs; `None` if there are
      none.
    """

    config: type[ExperimentConfig]
    presets: dict[str, Any]
    experiment: Callable[[Any], AbstractExperiment]
    model: Callable[..., Any]
    adapt_files: Callable[..., Predictions] | None
    tables: tuple[TableSpec, ...]
    compare: Callable[[dict[str, Any]], dict[str, Figure]] | None = None


DOMAINS: dict[str, Domain] = {
    REGRESSION: Domain(
        RegressionConfig,
        REGRESSION_PRESETS,
        RegressionExperiment,
        RegressionModel.restore,
        adapt_regression_files,
        (TABLE1,),
        compare_fits,
    ),
    CLASSIFICATION: Domain(
        ClassificationConfig,
        CLASSIFICATION_PRESETS,
        ClassificationExperiment,
        ClassificationModel.restore,
        adapt_classification_files,
        (TABLE2, OMNIGLOT),
    ),
    RL: Domain(
        PolicyConfig, RL_PRESETS, PolicyExperiment, PolicyModel.restore, None, (TABLE3, WORKSHOP), compare_trajectories
    ),
}

PRESETS = {name: config for domain in DOMAINS.values() for name, config in domain.presets.items()}
"""The published settings of all domains."""

TABLES = {table.name: table for domain in DOMAINS.values() for table in domain.tables}
"""What `mmaml reproduce` can fill: the tables of the paper, and the experiments of the workshop paper."""


def domain_of(config: ExperimentConfig) -> str:
    """Name of the domain that a configuration belongs to."""
    return next(name for name, domain in DOMAINS.items() if isinstance(config, domain.config))


def open_experiment(folder: RunFolder) -> AbstractExperiment:
    """The experiment of a run on disk.

    Raises `UserError` if this version does not know its domain, or its configuration cannot be.
    """
    stored = folder.read_config()
    if stored["domain"] not in DOMAINS:
        known = ", ".join(DOMAINS)
        raise UserError(f"{folder.path} is a run of the domain {stored['domain']!r}; this version knows: {known}.")
    domain = DOMAINS[stored["domain"]]
    try:
        config = from_dict(domain.config, stored["config"])
        config.check()
    except UserError as error:
        raise UserError(f"{folder.config_path} cannot be used: {error}") from error
    return domain.experiment(config)
