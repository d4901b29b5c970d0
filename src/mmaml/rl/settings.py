"""What a run takes in each kind of environment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmaml.experiments.config import Budget
from mmaml.rl.envs.ant import Ant
from mmaml.rl.envs.catalogue import ENVIRONMENTS
from mmaml.rl.envs.cheetah import CheetahLocation, CheetahSpeed
from mmaml.rl.envs.navigation import Navigation
from mmaml.rl.envs.point_mass import PointMass
from mmaml.rl.envs.reacher import Reacher


@dataclass(frozen=True, kw_only=True)
class Settings:
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
_SETTINGS: dict[Callable[..., Any], Settings] = {
    PointMass: Settings(
        words="a point that looks for its goal",
        iterations={"demo": 40, "cpu": 401, "paper": 401},
        evaluation_tasks=1_000,
        tasks_on_map=600,
        # Published: a meta_lr of 5e-5, with which 401 meta-iterations do not get far.
        options={"inner_steps": 2, "inner_lr": 0.01, "meta_lr": 1e-3},
    ),
    Reacher: Settings(
        words="an arm that looks for its goal (MuJoCo)",
        iterations={"demo": 20, "cpu": 501, "paper": 501},
        evaluation_tasks=400,
        tasks_on_map=120,
        options={"inner_steps": 2, "inner_lr": 0.1, "meta_lr": 1e-3},
    ),
    Ant: Settings(
        words="a four-legged body that walks to its goal (MuJoCo)",
        iterations={"demo": 3, "cpu": 60, "paper": 1001},
        evaluation_tasks=80,
        tasks_on_map=40,
        options={"inner_steps": 3, "inner_lr": 0.1, "meta_lr": 1e-3},
    ),
    Navigation: Settings(
        words="a point whose goal is on one of two sides",
        iterations={"demo": 40, "cpu": 500, "paper": 500},
        evaluation_tasks=1_000,
        tasks_on_map=600,
        options=_TRPO,
    ),
    **{
        environment: Settings(
            words=f"a half-cheetah that runs {aim}, forwards or backwards (MuJoCo)",
            iterations={"demo": 5, "cpu": 100, "paper": 500},
            evaluation_tasks=80,
            tasks_on_map=40,
            options=_TRPO,
        )
        for environment, aim in ((CheetahLocation, "to a place"), (CheetahSpeed, "at a speed"))
    },
}
_OWN = Settings(
    words="your own environment",
    iterations={"demo": 20, "cpu": 200, "paper": 500},
    evaluation_tasks=80,
    tasks_on_map=40,
    options={},
)


def settings_of(environment: str) -> Settings:
    """Those of an environment of ours; all of the user's own have the same."""
    return _SETTINGS[ENVIRONMENTS[environment].func] if environment in ENVIRONMENTS else _OWN
