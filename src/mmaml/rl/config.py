"""What a run of meta-reinforcement learning is made of."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from mmaml.experiments.config import ExperimentConfig
from mmaml.rl.envs.catalogue import ENVIRONMENTS
from mmaml.rl.settings import settings_of
from mmaml.runs.config import require, require_sizes


@dataclass(frozen=True, kw_only=True)
class PolicyConfig(ExperimentConfig):
    """Meta-reinforcement learning. `docs/reinforcement_learning.md` lists where the defaults differ from the reference.

    With the objective `promp` the learners are ProMP (`maml`), Multi-ProMP (`multi-maml`) and MMAML-ProMP (`mmaml`);
    with `trpo` they are those of the workshop paper.
    """

    DOMAIN: ClassVar[str] = "rl"

    environment: str = field(kw_only=False)
    """Where policies act: an environment of ours, or module:function or file.py:function that makes your own."""
    environment_is: tyro.conf.Suppress[str] = ""
    """What your own was like when the run began, in words; it must stay so."""
    learner: Literal["mmaml", "maml", "multi-maml"] = "mmaml"
    """What meta-learns: a modulated prior, one prior for all tasks, or one for each mode."""
    modulation: Literal["scale", "film", "sigmoid", "softmax"] = "scale"
    """How the task embedding acts on the policy's hidden layers; `scale` (published) is FiLM without a shift."""

    tasks_per_step: int = 40
    """Tasks in a meta-iteration."""
    rollouts: int = 20
    """Episodes of each task before every gradient step, and after the last."""
    discount: float = 0.99
    """γ, what a reward one step later is worth."""
    gae_lambda: float = 1.0
    """λ of generalised advantage estimation."""
    inner_loss: Literal["likelihood-ratio", "log-likelihood"] = "likelihood-ratio"
    """What the inner steps lower: ProMP's surrogate, or that of vanilla policy gradients."""
    inner_steps: int = 2
    """Gradient steps on what was seen of the task."""
    inner_lr: float = 0.1
    """Step size of those steps."""
    inner_clip_norm: float | None = None
    """Longest inner gradient; longer ones are scaled down."""

    objective: Literal["promp", "trpo"] = "promp"
    """The outer loop: ProMP's few steps of Adam, or MAML's one step within a trust region."""
    epochs: int = 5
    """Outer steps of ProMP on the same episodes."""
    clip: float = 0.1
    """ε of ProMP, how far a ratio of likelihoods may move from 1 before it stops counting."""
    kl_penalty: float = 5e-4
    """η of ProMP, the price of moving away from the policies that acted before the last gradient step."""
    max_kl: float = 0.01
    """How far TRPO may move the policies that act last; `meta_lr` has no say there."""

    hidden: tuple[int, ...] = (64, 64)
    """Units of the policy's hidden layers."""
    encoder_hidden: int = 64
    """Units of the trajectory encoder."""
    encoder_reads: Literal["rollouts", "pieces"] = "rollouts"
    """Whole rollouts, or the pieces of five steps that the reference reads by mistake."""

    def check(self) -> None:
        """Raise `UserError` for a value that cannot be."""
        super().check()
        name = self.environment
        ours = f"one of {', '.join(ENVIRONMENTS)}, or module:function or file.py:function that makes your own"
        require(name in ENVIRONMENTS or ":" in name, "environment", name, ours)
        other = f"{self.preset}, as the preset says; another environment has a preset of its own, and yours is `policy`"
        require(self.preset not in ENVIRONMENTS or name == self.preset, "environment", name, other)
        least = "at least 1: with the first step a policy is modulated, too"
        require(self.inner_steps > 0, "inner_steps", self.inner_steps, least)
        require(self.tasks_per_step > 1, "tasks_per_step", self.tasks_per_step, "at least 2")
        require_sizes(self, "rollouts", "epochs", "encoder_hidden", "hidden")
        for option in ("discount", "gae_lambda"):
            require(0 <= (value := getattr(self, option)) <= 1, option, value, "between 0 and 1")
        require(0 < self.clip < 1, "clip", self.clip, "between 0 and 1")
        require(0 <= self.kl_penalty < math.inf, "kl_penalty", self.kl_penalty, "0 or more, and finite")
        require(0 < self.max_kl < math.inf, "max_kl", self.max_kl, "greater than 0, and finite")

    @property
    def short_name(self) -> str:
        """What names the setting in folder names: with the preset `policy`, the environment, too."""
        if self.preset != "policy":
            return self.preset
        place, _, name = self.environment.rpartition(":")
        module = Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]
        words = [self.preset, name] if module.lower() in ("", name.lower()) else [self.preset, module, name]
        return re.sub(r"[^\w.-]+", "-", "-".join(words))

    @property
    def budget_iterations(self) -> int:
        """Meta-iterations of the budget."""
        return 2 if self.budget == "smoke" else settings_of(self.environment).iterations[self.budget]

    @property
    def budget_tasks(self) -> int:
        """Tasks in the final evaluation of the budget."""
        return 12 if self.budget == "smoke" else settings_of(self.environment).evaluation_tasks

    @property
    def description(self) -> str:
        """What the tasks are, in a few words."""
        ours = ENVIRONMENTS.get(self.environment)
        words = settings_of(self.environment).words
        if ours is None or not ours.args:
            return words
        kinds, _, reference = str(ours.args[0]).partition("-")
        of_them = ", two of which come, as in the reference" if reference else ""
        return f"{words}; {kinds} kind{'s' * (kinds != '1')} of goals{of_them}"
