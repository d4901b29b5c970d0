"""What a table of the paper consists of."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmaml.experiments.config import Budget, ExperimentConfig
from mmaml.experiments.experiment import AbstractExperiment


@dataclass(frozen=True)
class TableSpec:
    """What a table consists of.

    - `settings`: columns, and the configuration each begins with.
    - `methods`: rows, and the options by which each differs.
    - `experiment`: what is trained and judged, of a configuration.
    - `paper`, `workshop`: published numbers by method, stage and setting.
    - `baseline`: the method that others are compared with, task by task.
    - `stages`: what is shown of a run, by the places of its stages in the result.
    - `digits`: decimal places in print; `scale` is what a number is multiplied with for that.
    """

    name: str
    caption: str
    settings: dict[str, ExperimentConfig]
    methods: dict[str, dict[str, Any]]
    experiment: Callable[[Any], AbstractExperiment]
    paper: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    workshop: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    baseline: str = "maml"
    stages: tuple[tuple[str, int], ...] = (("post-adaptation", -1),)
    digits: int = 3
    scale: float = 1.0

    def config(self, setting: str, method: str, budget: Budget, seed: int) -> ExperimentConfig:
        """The configuration of one cell."""
        return replace(self.settings[setting], budget=budget, seed=seed, **self.methods[method])

    def run_path(self, out: Path, setting: str, method: str, budget: str, seed: int | str) -> Path:
        """Where the run of one cell lies under `out`."""
        return out / "runs" / f"{self.settings[setting].short_name}-{method}-{budget}-seed{seed}"

    def number(self, value: float, *, signed: bool = False) -> str:
        """A number as it is printed."""
        return f"{value * self.scale:{'+' if signed else ''}.{self.digits}f}"
