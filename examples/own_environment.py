"""Bring your own environment: a pendulum to be held at a hidden angle, to the left or to the right.

    python examples/own_environment.py

The physics are those of gymnasium's Pendulum, in weak gravity. What is new is the task: `sample_tasks` draws angles
around -1 and 1 rad, `set_task` sets one. Only rewards tell where it is. The environment can be meta-trained from the
command line as well, with checkpoints and a report:

    mmaml train policy --environment examples/own_environment.py:HoldAngle --budget demo
"""

from dataclasses import dataclass
from typing import Any

import jax.random as jr
import numpy as np
import tyro
from gymnasium.envs.classic_control.pendulum import PendulumEnv

from mmaml import MMAML, InnerLoop, Modulator
from mmaml.nn.policy import GaussianPolicy
from mmaml.nn.trajectory import TrajectoryEncoder
from mmaml.rl.envs.own.environment import OwnEnvironment
from mmaml.rl.evaluate import evaluate
from mmaml.rl.explore import Exploration
from mmaml.rl.objectives import likelihood_ratio
from mmaml.rl.outer import ProMP
from mmaml.rl.trainer import PolicyTrainer


class HoldAngle(PendulumEnv):
    """Hold the pendulum at the angle `target`, in radians from hanging down."""

    horizon = 50  # two seconds and a half
    modes = ("left", "right")

    def __init__(self, render_mode: str | None = None):
        super().__init__(render_mode=render_mode, g=2.0)
        self.target = 0.0

    def sample_tasks(self, n: int) -> np.ndarray:
        """`n` angles, 1 rad to either side give or take 0.2."""
        return self.np_random.choice([-1.0, 1.0], n) + self.np_random.normal(0, 0.2, n)

    def set_task(self, task: float) -> None:
        """The angle of the episodes from the next `reset` on."""
        self.target = task

    def mode_of(self, task: float) -> int:
        """Number of the side, in the order of `modes`."""
        return int(task > 0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Almost at rest, almost hanging down."""
        super().reset(seed=seed, options=options)
        self.state = np.array([np.pi, 0.0]) + self.np_random.uniform(-0.1, 0.1, 2)
        return self._get_obs(), {}

    def step(self, u: np.ndarray) -> Any:
        """The reward is minus the distance to the target."""
        observation, *_ = super().step(u)
        angle, _ = self.state
        return observation, -abs(angle - np.pi - self.target), False, False, {}


@dataclass(frozen=True)
class Options:
    """How much to train on, and for how long."""

    meta_iterations: int = 40
    """Meta-iterations; about a minute on two cores."""
    tasks: int = 16
    """Tasks in a meta-iteration."""
    rollouts: int = 8
    """Episodes of each task before every gradient step, and after the last."""
    horizon: int = 50
    """Steps of an episode."""


def make_learner(environment: OwnEnvironment) -> MMAML:
    """A policy, the encoder that reads what it did, and the modulator between them."""
    policy_key, encoder_key, heads_key = jr.split(jr.key(0), 3)
    sizes = environment.observation_size, environment.action_size
    policy = GaussianPolicy(*sizes, (32, 32), key=policy_key)
    encoder = TrajectoryEncoder(*sizes, hidden=32, horizon=environment.horizon, key=encoder_key)
    modulator = Modulator(encoder, policy.widths, operator="scale", key=heads_key)
    return MMAML(prior=policy, modulator=modulator, inner=InnerLoop(0.1, steps=2, engine="materialised"))


def main(options: Options) -> np.ndarray:
    """Meta-train, then return the mean return on fresh tasks before and after each gradient step."""
    environment = OwnEnvironment(HoldAngle, options.horizon)
    exploration = Exploration(environment, likelihood_ratio, rollouts=options.rollouts)
    trainer = PolicyTrainer(
        exploration=exploration,
        learner=make_learner(environment),
        outer=ProMP(3e-3),
        tasks_per_step=options.tasks,
        key=jr.key(1),
    )
    state = trainer.initial_state()
    while (done := int(state.step)) < options.meta_iterations:
        count = min(10, options.meta_iterations - done)
        state, history = trainer.run(state, count, 10)
        before, after = (float(history[name][:count].mean()) for name in ("query_before", "query"))
        print(f"{int(state.step):5}  return before {before:6.1f}  after {after:6.1f}", flush=True)
    tasks = environment.sample_tasks(jr.key(2), options.tasks)
    returns = evaluate(exploration, trainer.learner_at(state), tasks, jr.key(3), steps=2).mean(0)
    for step, value in enumerate(returns):
        print(f"return after {step} gradient steps: {value:.1f}")
    return returns


if __name__ == "__main__":
    main(tyro.cli(Options))
