"""What every run can be told, whatever its domain."""

import abc
import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import optax
import tyro

from mmaml.core.inner import BOUND, LONGEST
from mmaml.runs.config import require


Budget = Literal["smoke", "demo", "cpu", "paper"]

SEEDS = 2**32
"""How many seeds there are: JAX takes no more than 32 bits of one."""


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig(abc.ABC):
    """Options that all domains share; each adds its own and may change a default."""

    DOMAIN: ClassVar[str]
    """What run folders and model files call the kind of experiment."""
    LEFT_OPEN: ClassVar[frozenset[str]] = frozenset({"meta_iterations", "evaluation_tasks", "task_microbatch"})
    """Options that a run may fill in for itself, or that do not make it another experiment."""

    preset: tyro.conf.Suppress[str] = "custom"
    learner: str = "mmaml"
    """What meta-learns."""
    modulation: str = "film"
    """How the task embedding acts on the network's blocks."""
    modulation_scale: float = 1.0
    """What is multiplied by this before it acts: with less than 1 modulation begins weaker and grows more slowly."""
    budget: Budget = "cpu"
    """How much is spent: a minute, minutes, an hour or two on two cores, or what the paper spent."""
    seed: int = 0
    """Fixes the run."""
    meta_iterations: int | None = None
    """Meta-iterations; default: the budget's."""
    evaluation_tasks: int | None = None
    """Fresh tasks in the final evaluation; default: the budget's."""

    inner_steps: int = 5
    """Gradient steps on what was seen of the task."""
    inner_lr: float = 1e-3
    """Step size of those steps."""
    inner_clip_norm: float | None = 200.0
    """Longest inner gradient; longer ones are scaled down."""
    first_order: bool = False
    """Ignore second derivatives."""

    meta_lr: float = 1e-3
    """Learning rate in the outer loop."""
    meta_schedule: Literal["cosine", "constant"] = "cosine"
    """How the outer learning rate goes on: falls to zero along a half cosine, or stays (the paper)."""
    task_microbatch: int | None = None
    """Tasks differentiated at a time on a device, to save memory; default: all, on CPUs one of images or policies."""

    def check(self) -> None:
        """Raise `UserError` for a value that cannot be."""
        require(0 <= self.seed < SEEDS, "seed", self.seed, f"between 0 and {SEEDS - 1}")
        for option, least in (("meta_iterations", 1), ("evaluation_tasks", 2), ("task_microbatch", 1)):
            value = getattr(self, option)
            require(value is None or value >= least, option, value, f"at least {least}")
        require(self.inner_steps >= 0, "inner_steps", self.inner_steps, "0 or more")
        for option in ("modulation_scale", "inner_lr", "meta_lr"):
            require(0 < (value := getattr(self, option)) < math.inf, option, value, "greater than 0 and finite")
        value = self.inner_clip_norm
        require(value is None or 0 < value <= LONGEST, "inner_clip_norm", value, BOUND)

    def meta_rate(self, updates: int) -> optax.ScalarOrSchedule:
        """The outer learning rate of a run that makes `updates` steps with it in all."""
        return self.meta_lr if self.meta_schedule == "constant" else optax.cosine_decay_schedule(self.meta_lr, updates)

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """What the tasks are, in a few words."""

    @property
    @abc.abstractmethod
    def budget_iterations(self) -> int:
        """Meta-iterations of the budget."""

    @property
    @abc.abstractmethod
    def budget_tasks(self) -> int:
        """Tasks in the final evaluation of the budget."""

    @property
    def short_name(self) -> str:
        """What names the setting in folder names."""
        return self.preset

    @property
    def iterations(self) -> int:
        """Meta-iterations to do."""
        return self.meta_iterations or self.budget_iterations

    @property
    def final_tasks(self) -> int:
        """Tasks of the final evaluation."""
        return self.evaluation_tasks or self.budget_tasks
