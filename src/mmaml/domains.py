"""The domains by name: what the command line and `mmaml.load` need to know of each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mmaml.classification.adapt import adapt_files as adapt_classification_files
from mmaml.classification.experiment import REFERENCES as CLASSIFICATION_REFERENCES
from mmaml.classification.experiment import ClassificationExperiment
from mmaml.classification.figures import CAPTIONS as CLASSIFICATION_CAPTIONS
from mmaml.classification.model import ClassificationModel
from mmaml.classification.omniglot import OMNIGLOT
from mmaml.classification.presets import PRESETS as CLASSIFICATION_PRESETS
from mmaml.classification.presets import ClassificationConfig
from mmaml.classification.table2 import TABLE2
from mmaml.experiments.config import ExperimentConfig
from mmaml.experiments.experiment import AbstractExperiment
from mmaml.experiments.table import TableSpec
from mmaml.regression.adapt import adapt_files as adapt_regression_files
from mmaml.regression.experiment import REFERENCES as REGRESSION_REFERENCES
from mmaml.regression.experiment import RegressionExperiment
from mmaml.regression.figures import CAPTIONS as REGRESSION_CAPTIONS
from mmaml.regression.figures import compare_fits
from mmaml.regression.model import RegressionModel
from mmaml.regression.presets import PRESETS as REGRESSION_PRESETS
from mmaml.regression.presets import RegressionConfig
from mmaml.regression.table1 import TABLE1
from mmaml.rl.experiment import PolicyExperiment
from mmaml.rl.figures import CAPTIONS as RL_CAPTIONS
from mmaml.rl.figures import compare_trajectories
from mmaml.rl.model import PolicyModel
from mmaml.rl.presets import PRESETS as RL_PRESETS
from mmaml.rl.presets import PolicyConfig
from mmaml.rl.render import write_video
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
    - `tables`: what `mmaml reproduce` can fill.
    - `adapt_files`: `mmaml adapt` for such a model; `None` if its tasks do not come in files.
    - `glossary`: what its pictures and the references of its results are, by name, in the order of a report.
    - `compare`: pictures, by name, of several models of one setting, by the names of their runs; `None` if there are
      none.
    - `film`: writes a video of a model to a file, of a mode and a seed; `None` if there is nothing to see.
    """

    config: type[ExperimentConfig]
    presets: dict[str, Any]
    experiment: Callable[[Any], AbstractExperiment]
    model: Callable[..., Any]
    tables: tuple[TableSpec, ...]
    glossary: dict[str, str]
    adapt_files: Callable[..., Predictions] | None = None
    compare: Callable[[dict[str, Any]], dict[str, Figure]] | None = None
    film: Callable[[Any, Path, str | None, int], None] | None = None


REGRESSION = Domain(
    config=RegressionConfig,
    presets=REGRESSION_PRESETS,
    experiment=RegressionExperiment,
    model=RegressionModel.restore,
    tables=(TABLE1,),
    glossary=REGRESSION_CAPTIONS | REGRESSION_REFERENCES,
    adapt_files=adapt_regression_files,
    compare=compare_fits,
)
CLASSIFICATION = Domain(
    config=ClassificationConfig,
    presets=CLASSIFICATION_PRESETS,
    experiment=ClassificationExperiment,
    model=ClassificationModel.restore,
    tables=(TABLE2, OMNIGLOT),
    glossary=CLASSIFICATION_CAPTIONS | CLASSIFICATION_REFERENCES,
    adapt_files=adapt_classification_files,
)
RL = Domain(
    config=PolicyConfig,
    presets=RL_PRESETS,
    experiment=PolicyExperiment,
    model=PolicyModel.restore,
    tables=(TABLE3, WORKSHOP),
    glossary=RL_CAPTIONS,
    compare=compare_trajectories,
    film=write_video,
)

DOMAINS = {domain.config.DOMAIN: domain for domain in (REGRESSION, CLASSIFICATION, RL)}

PRESETS = {name: config for domain in DOMAINS.values() for name, config in domain.presets.items()}
"""The published settings of all domains."""

TABLES = {table.name: table for domain in DOMAINS.values() for table in domain.tables}
"""What `mmaml reproduce` can fill: the tables of the paper, and the experiments of the workshop paper."""


GLOSSARY = {name: meaning for domain in DOMAINS.values() for name, meaning in domain.glossary.items()}
"""What names in a report mean."""


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
