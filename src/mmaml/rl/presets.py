"""What a run of meta-reinforcement learning is made of, and the published settings by name."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import tyro

from mmaml.experiments.config import Budget, ExperimentConfig
from mmaml.rl.envs.ant import Ant
from mmaml.rl.envs.catalogue import ENVIRONMENTS
from mmaml.rl.envs.cheetah import CheetahLocation, CheetahSpeed
from mmaml.rl.envs.navigation import Navigation
from mmaml.rl.envs.point_mass import PointMass
from mmaml.rl.envs.reacher import Reacher
from mmaml.runs.config import require, require_sizes


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a run takes in one kind of environment, whatever its modes.

    - `words`: what it is about, for a list of presets.
    - `iterations`: meta-iterations of each budget but `smoke`, which takes 2.
    - `evaluation_tasks`: tasks in the final evaluation; `smoke` takes 12.
    - `tasks_on_map`: tasks on a map of embeddings, at most.
    - `options`: those of the preset.
    """

    words: str
    iterations: dict[Budget, int]
    evaluation_tasks: int
    tasks_on_map: int
    options: dict[str, Any]


# The workshop's, of which no number is known: what MAML's own experiments and ProMP's TRPO baseline have.
_TRPO = {"objective": "trpo", "inner_loss": "log-likelihood", "inner_steps": 1, "inner_lr": 0.1}
_KINDS: dict[Callable[..., Any], Kind] = {
    PointMass: Kind(
        words="a point that looks for its goal",
        iterations={"demo": 40, "cpu": 401, "paper": 401},
        evaluation_tasks=1_000,
        tasks_on_map=600,
        # Published: a meta_lr of 5e-5, with which 401 meta-iterations do not get far.
        options={"inner_steps": 2, "inner_lr": 0.01, "meta_lr": 1e-3},
    ),
    Reacher: Kind(
        words="an arm that looks for its goal (MuJoCo)",
        iterations={"demo": 20, "cpu": 501, "paper": 501},
        evaluation_tasks=400,
        tasks_on_map=120,
        options={"inner_steps": 2, "inner_lr": 0.1, "meta_lr": 1e-3},
    ),
    Ant: Kind(
        words="a four-legged body that walks to its goal (MuJoCo)",
        iterations={"demo": 3, "cpu": 60, "paper": 1001},
        evaluation_tasks=80,
        tasks_on_map=40,
        options={"inner_steps": 3, "inner_lr": 0.1, "meta_lr": 1e-3},
    ),
    Navigation: Kind(
        words="a point whose goal is on one of two sides",
        iterations={"demo": 40, "cpu": 500, "paper": 500},
        evaluation_tasks=1_000,
        tasks_on_map=600,
        options=_TRPO,
    ),
    **{
        environment: Kind(
            words=f"a half-cheetah that runs {aim}, forwards or backwards (MuJoCo)",
            iterations={"demo": 5, "cpu": 100, "paper": 500},
            evaluation_tasks=80,
            tasks_on_map=40,
            options=_TRPO,
        )
        for environment, aim in ((CheetahLocation, "to a place"), (CheetahSpeed, "at a speed"))
    },
}
_OWN = Kind(
    words="your own environment",
    iterations={"demo": 20, "cpu": 200, "paper": 500},
    evaluation_tasks=80,
    tasks_on_map=40,
    options={},
)


def kind_of(environment: str) -> Kind:
    """The kind of an environment of ours; all of the user's own are of one."""
    return _KINDS[ENVIRONMENTS[environment].func] if environment in ENVIRONMENTS else _OWN


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
    task_microbatch: int | None = 1
    """Tasks differentiated at a time on one device: more takes more memory."""

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
        require(self.kl_penalty >= 0, "kl_penalty", self.kl_penalty, "0 or more")
        require(self.max_kl > 0, "max_kl", self.max_kl, "greater than 0")

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
        return 2 if self.budget == "smoke" else kind_of(self.environment).iterations[self.budget]

    @property
    def budget_tasks(self) -> int:
        """Tasks in the final evaluation of the budget."""
        return 12 if self.budget == "smoke" else kind_of(self.environment).evaluation_tasks

    @property
    def description(self) -> str:
        """What the tasks are, in a few words."""
        ours = ENVIRONMENTS.get(self.environment)
        goals = f"; kinds of goals: {ours.args[0]}" if ours and ours.args else ""
        return f"meta-reinforcement learning: {kind_of(self.environment).words}{goals}"


PRESETS: dict[str, PolicyConfig] = {
    name: PolicyConfig(name, preset=name, **kind_of(name).options) for name in ENVIRONMENTS
} | {"policy": PolicyConfig("", preset="policy")}
"""An environment each: the paper's (Table 3, and with one mode), and the workshop paper's; `policy` for your own."""
