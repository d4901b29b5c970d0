"""What a regression run is made of, and the published settings by name."""

from dataclasses import dataclass
from typing import Literal

import tyro

from mmaml.regression.tasks import FAMILIES
from mmaml.runs.config import require


LearnerName = Literal["mmaml", "maml", "multi-maml", "lstm"]
Budget = Literal["smoke", "demo", "cpu", "paper"]

ITERATIONS: dict[Budget, int] = {"smoke": 20, "demo": 3_000, "cpu": 15_000, "paper": 70_000}
EVALUATION_TASKS: dict[Budget, int] = {"smoke": 100, "demo": 10_000, "cpu": 10_000, "paper": 10_000}


@dataclass(frozen=True)
class RegressionConfig:
    """Few-shot regression. The defaults are our best settings; `docs/regression.md` lists the reference's."""

    families: tuple[str, ...]
    """Kinds of functions the tasks are drawn from."""
    preset: tyro.conf.Suppress[str] = "custom"
    data: str | None = None
    """Folder of your own tasks instead: one CSV file a task (x or x1, x2, …, and y); sub-folders are modes."""
    learner: LearnerName = "mmaml"
    """What meta-learns: `lstm` is MMAML without gradient steps."""
    modulation: Literal["film", "sigmoid", "softmax"] = "film"
    """How the task embedding acts on the network's hidden layers."""
    budget: Budget = "cpu"
    """How much is spent: seconds, minutes, an hour or so on two cores, or the paper's 70 000 meta-iterations."""
    seed: int = 0
    """Fixes the run."""
    meta_iterations: int | None = None
    """Meta-iterations; default: the budget's."""
    evaluation_tasks: int | None = None
    """Fresh tasks in the final evaluation; default: the budget's."""

    shots: int = 5
    """Support points of a task."""
    queries: int = 5
    """Query points of a task."""
    tasks_per_mode: int = 25
    """Tasks of each family in a meta-iteration."""

    hidden: tuple[int, ...] = (100, 100, 100)
    """Units of the task network's hidden layers."""
    initialisation: Literal["he", "small"] = "he"
    """Weights of the task network: He's, or normal with deviation 0.01 (the reference)."""
    modulated: Literal["all", "first"] = "all"
    """Hidden layers that are modulated; the reference modulates only the first with two modes."""
    encoder_hidden: int = 40
    """Units of the bidirectional LSTM, each layer and direction."""
    sort_support: bool = True
    """Read the support points in the order of x (the paper) or as they come (the reference)."""

    inner_steps: int = 5
    """Gradient steps on the support set."""
    inner_lr: float = 1e-3
    """Step size of those steps."""
    step_sizes: Literal["fixed", "per-layer", "per-parameter"] = "fixed"
    """Whether step sizes are meta-learnt: one a layer and step, or one a parameter (Meta-SGD)."""
    inner_clip_norm: float | None = 20.0
    """Longest inner gradient; longer ones are scaled down."""
    inner_clip_value: float | None = None
    """Bound on each entry of an inner gradient (10 in the reference)."""
    first_order: bool = False
    """Ignore second derivatives."""
    adapts: Literal["all", "head"] = "all"
    """What the inner loop changes: all parameters, or the head alone (ANIL)."""
    engine: Literal["auto", "dual", "materialised"] = "auto"
    """How the inner loop is computed; the results agree."""

    meta_lr: float = 3e-3
    """Adam's learning rate in the outer loop (0.001 in the paper)."""
    meta_schedule: Literal["cosine", "constant"] = "cosine"
    """How it goes on: falls to zero along a half cosine, or stays (the paper)."""
    meta_clip_norm: float | None = 2.0
    """Longest outer gradient, for network and modulator apart."""
    task_microbatch: int | None = None
    """Tasks differentiated at a time: less takes less memory."""

    def check(self) -> None:
        """Raise `UserError` for a value that cannot be."""
        for name in self.families:
            require(name in FAMILIES, "families", name, f"one of {', '.join(FAMILIES)}")
        if self.preset == "regression":
            require(self.data is not None, "data", None, "a folder with one CSV file for each of your tasks")
        require(bool(self.families) or self.data is not None, "families", self.families, "at least one family")
        for option in ("shots", "queries", "tasks_per_mode", "encoder_hidden"):
            require((value := getattr(self, option)) > 0, option, value, "at least 1")
        for option in ("meta_iterations", "evaluation_tasks", "task_microbatch"):
            value = getattr(self, option)
            require(value is None or value > 0, option, value, "at least 1")
        require(self.inner_steps >= 0, "inner_steps", self.inner_steps, "0 or more")
        require(
            bool(self.hidden) and min(self.hidden) > 0,
            "hidden",
            self.hidden,
            "one or more sizes of at least 1",
        )
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
    def iterations(self) -> int:
        """Meta-iterations to do."""
        return self.meta_iterations or ITERATIONS[self.budget]

    @property
    def final_tasks(self) -> int:
        """Tasks of the final evaluation."""
        return self.evaluation_tasks or EVALUATION_TASKS[self.budget]


PRESETS: dict[str, RegressionConfig] = {
    f"regression-{modes}": RegressionConfig(tuple(FAMILIES)[:modes], f"regression-{modes}") for modes in (2, 3, 5)
} | {"regression": RegressionConfig((), "regression")}
"""The paper's settings (Table 1), of the first 2, 3 or 5 families; and `regression`, for `data` of one's own."""
