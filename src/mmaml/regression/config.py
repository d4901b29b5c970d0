"""What a regression run is made of."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from mmaml.experiments.config import Budget
from mmaml.regression.tasks import FAMILIES
from mmaml.runs.config import require, require_sizes
from mmaml.supervised.config import SupervisedConfig


@dataclass(frozen=True, kw_only=True)
class RegressionConfig(SupervisedConfig):
    """Few-shot regression. Where the defaults differ from the reference, and what does better: `docs/regression.md`."""

    DOMAIN: ClassVar[str] = "regression"
    ITERATIONS: ClassVar[dict[Budget, int]] = {"smoke": 20, "demo": 3_000, "cpu": 15_000, "paper": 70_000}
    EVALUATION_TASKS: ClassVar[dict[Budget, int]] = {"smoke": 100, "demo": 10_000, "cpu": 10_000, "paper": 10_000}

    families: tuple[str, ...] = field(kw_only=False)
    """Kinds of functions the tasks are drawn from."""
    data: str | None = None
    """Your own tasks: a folder with a CSV file of x (or x1, x2, …) and y for each, or one file with a column task."""
    data_files: tyro.conf.Suppress[tuple[str, ...]] = ()
    """Name and digest of each task in it when the run began, which must stay as they are."""

    shots: int = 5
    """Support points of a task."""
    queries: int = 5
    """Query points of a task."""
    tasks_per_mode: int = 25
    """Tasks of each family in a meta-iteration."""

    augment: bool = False
    """Move and stretch training tasks of your own at random, each as a whole, or few of them are learnt by heart."""

    hidden: tuple[int, ...] = (100, 100, 100)
    """Units of the task network's hidden layers."""
    initialisation: Literal["he", "small"] = "he"
    """Weights of the task network: He's, or normal with deviation 0.01 (the reference)."""
    fixed_context: bool = False
    """The vector that MAML and Multi-MAML join to their inputs does not adapt, as in the reference's Multi-MAML."""
    encoder_hidden: int = 40
    """Units of the bidirectional LSTM, each layer and direction."""
    sort_support: bool = True
    """Whether the encoder reads support points in the order of x (the paper), or as they come (the reference)."""

    pretraining: float = 0.0
    """Cheap meta-iterations, without gradient steps, that come first: so many times as many as the others."""
    meta_lr: float = 3e-3
    """Learning rate in the outer loop (0.001 in the paper)."""
    meta_clip_norm: float | None = 2.0
    """Longest outer gradient, for network, modulator and step sizes apart."""

    @property
    def description(self) -> str:
        """What the tasks are, in a few words."""
        return ", ".join(self.families) or "your own tasks"

    @property
    def short_name(self) -> str:
        """What names the setting in folder names."""
        own = [] if self.data is None else [Path(self.data).resolve().name.removesuffix(".csv")]
        return "-".join([self.preset, *own])

    @property
    def iterations(self) -> int:
        """Meta-iterations to do, those without gradient steps included."""
        return super().iterations + self.pretraining_iterations

    @property
    def pretraining_iterations(self) -> int:
        """Meta-iterations without gradient steps, which come first."""
        return round(self.pretraining * super().iterations)

    def check(self) -> None:
        """Raise `UserError` for a value that cannot be."""
        super().check()
        require(0 <= self.pretraining <= 1000, "pretraining", self.pretraining, "from 0 to 1000")
        modulated = "0 for learners other than mmaml, whose prior cannot tell tasks apart or takes no steps anyway"
        require(self.pretraining == 0 or self.learner == "mmaml", "pretraining", self.pretraining, modulated)
        require(len(set(self.families)) == len(self.families), "families", self.families, "different families")
        for name in self.families:
            require(name in FAMILIES, "families", name, f"one of {', '.join(FAMILIES)}")
        if self.preset == "regression":
            require(
                self.data is not None, "data", None, "a folder with a CSV file for each of your tasks, or one of all"
            )
        endless = "left out: published families never run out of tasks, it is for --data"
        require(not self.augment or self.data is not None, "augment", self.augment, endless)
        require(bool(self.families) or self.data is not None, "families", self.families, "at least one family")
        alone = "left out with --data, which is trained on alone: take the preset `regression`"
        require(not self.families or self.data is None, "families", self.families, alone)
        require_sizes(self, "shots", "queries", "tasks_per_mode", "encoder_hidden", "hidden")
