"""Ant of the MMAML paper (§5.3): a creature of four legs walks to a hidden goal."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.rl.envs.environment import Batch, State
from mmaml.rl.envs.goals import GoalClusters, GoalTask
from mmaml.rl.envs.look import Look
from mmaml.rl.envs.mujoco import AbstractMujocoEnvironment
from mmaml.rl.envs.physics import Physics


GOAL_HEIGHT = 0.03

_LEFT, _RIGHT = (-4.0, 0.0), (4.0, 0.0)
_GOALS = {
    1: GoalClusters((_LEFT,), 0.8),
    2: GoalClusters((_LEFT, _RIGHT), 0.8),
    4: GoalClusters((_LEFT, (-2.0, 3.46), (2.0, 3.46), _RIGHT), 0.8, round_robin=True),
}


class Ant(AbstractMujocoEnvironment):
    """The observation is all positions (x, y, z, quaternion, eight angles), then all fourteen velocities.

    The reward is minus the L1 distance of torso and goal, its height included, minus 0.1 times the squared action:
    nothing for survival or contacts. Actions are the motors' torques over 150; a step is 0.02 s. Constants are those
    of the authors' code.
    """

    observation_size: ClassVar[int] = 29
    action_size: ClassVar[int] = 8
    action_bound: ClassVar[float] = 1.0
    horizon: ClassVar[int] = 250
    look: ClassVar[Look] = Look((640, 480), down=40, ball=0.15, room=1.4)
    goals: GoalClusters
    physics: Physics = eqx.field(static=True)

    def __init__(self, modes: int = 4, threads: int | None = None):
        """Goals around 1, 2 or 4 centres on a half circle of radius 4 m.

        Raises `ValueError` for another number of modes and `UserError` if MuJoCo is not installed.
        """
        if modes not in _GOALS:
            raise ValueError(f"an ant with {modes} modes; there are {', '.join(map(str, _GOALS))}")
        self.goals = _GOALS[modes]
        self.physics = Physics("ant", substeps=2, threads=threads)

    def sample_tasks(self, key: PRNGKeyArray, n: int) -> GoalTask:
        """Goals of the shape `(n, 3)`, at height 0.03."""
        task = self.goals.sample(key, n)
        return GoalTask(jnp.concatenate([task.goal, jnp.full((n, 1), GOAL_HEIGHT)], axis=1), task.mode)

    def initial(self, key: PRNGKeyArray) -> tuple[Float[Array, " 15"], Float[Array, " 14"]]:
        """Every position (the quaternion is left unnormalised) within ±0.1, uniform; velocities normal, std 0.1."""
        qpos_key, qvel_key = jr.split(key)
        return jr.uniform(qpos_key, (15,), minval=-0.1, maxval=0.1), 0.1 * jr.normal(qvel_key, (14,))

    def observe(self, state: State) -> Float[np.ndarray, "episodes 29"]:
        """All but the time."""
        return state[:, 1:].astype(np.float32)

    def reward(self, state: State, action: Batch, next_state: State, task: GoalTask) -> Float[np.ndarray, " episodes"]:
        """−‖torso − goal‖₁ − 0.1 Σ a², the torso being where it is after the step."""
        distance = np.abs(self.physics.qpos(next_state)[:, :3] - np.asarray(task.goal)).sum(axis=1)
        return (-distance - 0.1 * np.square(action).sum(axis=1)).astype(np.float32)

    def trail(self, poses: Float[np.ndarray, "*batch steps 15"]) -> Float[np.ndarray, "*batch steps 2"]:
        """Of the torso."""
        return poses[..., :2]
