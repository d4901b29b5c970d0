"""What every run of few-shot supervised learning can be told, whatever its domain."""

import abc
from dataclasses import dataclass
from typing import ClassVar, Literal

import tyro

from mmaml.runs.config import require


LearnerName = Literal["mmaml", "maml", "multi-maml", "lstm"]
Budget = Literal["smoke", "demo", "cpu", "paper"]


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig(abc.ABC):
    """Options that the domains share; each adds its own and may change a default."""

    ITERATIONS: ClassVar[dict[Budget, int]]
    """Meta-iterations of each budget."""
    EVALUATION_TASKS: ClassVar[dict[Budget, int]]
    """Tasks in the final evaluation of each budget."""

    preset: tyro.conf.Suppress[str] = "custom"
    learner: LearnerName = "mmaml"
    """What meta-learns: `lstm` is MMAML without gradient steps."""
    modulation: Literal["film", "sigmoid", "softmax"] = "film"
    """How the task embedding acts on the network's blocks."""
    budget: Budget = "cpu"
    """How much is spent: seconds, minutes, an hour or so on two cores, or what the paper spent."""
    seed: int = 0
    """Fixes the run."""
    meta_iterations: int | None = None
    """Meta-iterations; default: the budget's."""
    evaluation_tasks: int | None = None
    """Fresh tasks in the final evaluation; default: the budget's."""

    inner_steps: int = 5
    """Gradient steps on the support set."""
    inner_lr: float = 1e-3
    """Step size of those steps."""
    step_sizes: Literal["fixed", "per-layer", "per-parameter"] = "fixed"
    """Whether step sizes are meta-learnt: one a layer and step, or one a parameter (Meta-SGD)."""
    inner_clip_norm: float | None = 200.0
    """Longest inner gradient; longer ones are scaled down."""
    inner_clip_value: float | None = None
    """Bound on each entry of an inner gradient (10 in the reference's regression, 20 in its classification)."""
    first_order: bool = False
    """Ignore second derivatives."""
    adapts: Literal["all", "head"] = "all"
    """What the inner loop changes: all parameters, or the head alone (ANIL)."""
    engine: Literal["auto", "dual", "materialised"] = "auto"
    """How the inner loop is computed; the results agree."""

    meta_lr: float = 1e-3
    """Adam's learning rate in the outer loop (0.001 in the paper)."""
    meta_schedule: Literal["cosine", "constant"] = "cosine"
    """How it goes on: falls to zero along a half cosine, or stays (the paper)."""
    meta_clip_norm: float | None = None
    """Longest outer gradient, for network and modulator apart."""
    task_microbatch: int | None = None
    """Tasks differentiated at a time on one device: less takes less memory."""

    def check(self) -> None:
        """Raise `UserError` for a value that cannot be."""
        for option in ("meta_iterations", "evaluation_tasks", "task_microbatch"):
            value = getattr(self, option)
            require(value is None or value > 0, option, value, "at least 1")
        require(self.inner_steps >= 0, "inner_steps", self.inner_steps, "0 or more")
        for option in ("inner_lr", "meta_lr"):
            require((value := getattr(self, option)) > 0, option, value, "greater than 0")
        for option in ("inner_clip_norm", "inner_clip_value", "meta_clip_norm"):
            value = getattr(self, option)
            require(value is None or value > 0, option, value, "greater than 0, or None for no bound")
        exact = self.inner_clip_value is not None or self.step_sizes == "per-parameter"
        require(
            not (self.engine == "dual" and exact),
            "engine",
            self.engine,
            "auto or materialised with --inner-clip-value or --step-sizes per-parameter",
        )

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """What the tasks are, in a few words."""

    @property
    def short_name(self) -> str:
        """What names the setting in folder names."""
        return self.preset

    @property
    def iterations(self) -> int:
        """Meta-iterations to do."""
        return self.meta_iterations or self.ITERATIONS[self.budget]

    @property
    def final_tasks(self) -> int:
        """Tasks of the final evaluation."""
        return self.evaluation_tasks or self.EVALUATION_TASKS[self.budget]
