"""What every run of few-shot supervised learning can be told."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from mmaml.core.inner import BOUND, LONGEST
from mmaml.experiments.config import Budget, ExperimentConfig
from mmaml.runs.config import require


MetaOptimiser = Literal["adam", "muon"]


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig(ExperimentConfig):
    """Options that regression and classification share; each adds its own and may change a default."""

    ITERATIONS: ClassVar[dict[Budget, int]]
    """Meta-iterations of each budget."""
    EVALUATION_TASKS: ClassVar[dict[Budget, int]]
    """Tasks in the final evaluation of each budget."""

    learner: Literal["mmaml", "maml", "multi-maml", "lstm"] = "mmaml"
    """What meta-learns: `lstm` is MMAML without gradient steps."""
    modulation: Literal["film", "sigmoid", "softmax"] = "film"
    """How the task embedding acts on the network's blocks."""
    modulated: Literal["all", "first"] = "all"
    """Blocks that are modulated; the reference's regression modulates only the first with two modes."""

    step_sizes: Literal["fixed", "per-layer", "per-parameter"] = "fixed"
    """Whether step sizes are meta-learnt: one a layer and step, or one a parameter (Meta-SGD)."""
    inner_clip_value: float | None = None
    """Bound on each entry of an inner gradient (10 in the reference's regression, 20 in its classification)."""
    adapts: Literal["all", "head"] = "all"
    """What the inner loop changes: all parameters, or the head alone (ANIL)."""
    engine: Literal["auto", "dual", "materialised"] = "auto"
    """How the inner loop is computed; the results agree."""

    meta_optimiser: MetaOptimiser = "adam"
    """What makes outer gradients into steps: Adam (the paper), or Muon for weight matrices and Adam for all else."""
    post_modulation_share: float = 0.0
    """Share of the outer loss that is the query loss before any gradient step (none in the paper)."""
    meta_clip_norm: float | None = None
    """Longest outer gradient, for network, modulator and step sizes apart."""

    def check(self) -> None:
        """Raise `UserError` for a value that cannot be."""
        super().check()
        for option in ("inner_clip_value", "meta_clip_norm"):
            value = getattr(self, option)
            require(value is None or 0 < value <= LONGEST, option, value, BOUND)
        share = self.post_modulation_share
        require(0 <= share < 1, "post_modulation_share", share, "from 0 to less than 1")
        exact = self.inner_clip_value is not None or self.step_sizes == "per-parameter"
        require(
            not (self.engine == "dual" and exact),
            "engine",
            self.engine,
            "auto or materialised with --inner-clip-value or --step-sizes per-parameter",
        )

    @property
    def modulated_blocks(self) -> tuple[int, ...] | None:
        """The blocks that are modulated; `None` if all are."""
        return None if self.modulated == "all" else (0,)

    @property
    def budget_iterations(self) -> int:
        """Meta-iterations of the budget."""
        return self.ITERATIONS[self.budget]

    @property
    def budget_tasks(self) -> int:
        """Tasks in the final evaluation of the budget."""
        return self.EVALUATION_TASKS[self.budget]
