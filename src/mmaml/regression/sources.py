"""Where a run's tasks come from."""

from dataclasses import dataclass
from pathlib import Path

from mmaml.core.task import Mixture
from mmaml.regression.config import RegressionConfig
from mmaml.regression.own.source import load_tasks
from mmaml.regression.scaler import Scaler
from mmaml.regression.tasks import X_RANGE, mixture
from mmaml.runs.errors import UserError


@dataclass(frozen=True)
class Sources:
    """Tasks to learn from and others to be judged on, how their numbers were scaled, and the files they come from.

    `files` lists name and digest of each.
    """

    train: Mixture
    held_out: Mixture
    scaler: Scaler
    files: tuple[str, ...] = ()


def make_sources(config: RegressionConfig) -> Sources:
    """Where the tasks come from: families of functions, or a folder of the user's own.

    Raises `UserError` if the folder cannot be used, or holds other data than the configuration says.
    """
    if config.data is None:
        functions = mixture(config.families, config.shots, config.queries)
        return Sources(functions, functions, Scaler.identity(1, X_RANGE[1]))
    if config.data_files and not Path(config.data).exists():
        raise UserError(
            f"this run was begun with the tasks in {config.data}, where nothing is any more; put them back."
        )
    return Sources(*load_tasks(Path(config.data), config.shots, config.queries, config.data_files))
