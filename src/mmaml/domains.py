"""The domains by name."""

from mmaml.classification.domain import CLASSIFICATION
from mmaml.experiments.experiment import AbstractExperiment
from mmaml.regression.domain import REGRESSION
from mmaml.rl.domain import RL
from mmaml.runs.config import from_dict
from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder


DOMAINS = {domain.config.DOMAIN: domain for domain in (REGRESSION, CLASSIFICATION, RL)}

PRESETS = {name: config for domain in DOMAINS.values() for name, config in domain.presets.items()}
"""The published settings of all domains."""

TABLES = {table.name: table for domain in DOMAINS.values() for table in domain.tables}
"""What `mmaml reproduce` can fill: the tables of the paper, the workshop paper's experiments, and an ablation."""


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
