"""Reacher of the MMAML paper (§5.3): an arm of three links brings its fingertip to a hidden goal."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.rl.envs.environment import Actions, Batch, Observations, State
from mmaml.rl.envs.goals import GoalClusters, GoalTask
from mmaml.rl.envs.look import Look
from mmaml.rl.envs.mujoco import AbstractMujocoEnvironment
from mmaml.rl.envs.physics import Physics


LINKS = (0.1, 0.1, 0.11)
"""Distances from each joint to the next, and from the last to the fingertip, in metres."""
FINGERTIP_HEIGHT = 0.01
GOAL_HEIGHT = 0.03
REACH = 0.30
"""A goal farther from the origin is pulled back to this distance; the stretched arm reaches 0.31."""

_CORNERS = ((-0.225, -0.225), (-0.225, 0.225), (0.225, -0.225), (0.225, 0.225))
_HEXAGON = ((0.318, 0.0), (0.159, 0.276), (-0.159, 0.276), (-0.159, -0.276), (0.159, -0.276), (-0.318, 0.0))
_GOALS = {
    "1": GoalClusters(_CORNERS[3:], 0.1),
    "2": GoalClusters((_CORNERS[0], _CORNERS[3]), 0.1),
    "4": GoalClusters(_CORNERS, 0.1),
    "6": GoalClusters(_HEXAGON, 0.1),
    "6-reference": GoalClusters(_HEXAGON[:2], 0.1),
}


class Reacher(AbstractMujocoEnvironment):
    """The observation is cos and sin of the first two angles, the third angle, and the first two angular velocities.

    So neither the third velocity nor the fingertip is seen, as in the authors' code, whose constants these are. The
    reward is minus the L1 distance of fingertip and goal (0.02 or less of it height), minus 0.1 times the squared
    action. Actions are the motors' torques over 200; a step is 0.02 s.
    """

    observation_size: ClassVar[int] = 7
    action_size: ClassVar[int] = 3
    action_bound: ClassVar[float] = 1.0
    horizon: ClassVar[int] = 50
    reach: ClassVar[float | None] = REACH
    look: ClassVar[Look] = Look((480, 480), down=80, ball=0.015, room=0.03)
    goals: GoalClusters
    physics: Physics = eqx.field(static=True)

    def __init__(self, modes: int | str = 4, threads: int | None = None):
        """Goals around 1, 2 or 4 corners of a square or 6 of a hexagon, all 0.318 m from the origin.

        Modes "6-reference" repeats a mistake of the authors' code, which draws goals of the first two of the six only.

        Raises `ValueError` for other modes and `UserError` if MuJoCo is not installed.
        """
        if str(modes) not in _GOALS:
            raise ValueError(f"a reacher with modes {modes}; there are {', '.join(_GOALS)}")
        self.goals = _GOALS[str(modes)]
        self.physics = Physics("reacher", substeps=2, threads=threads)

    def sample_tasks(self, key: PRNGKeyArray, n: int) -> GoalTask:
        """Goals of the shape `(n, 3)`, at height 0.03 unless pulled back to 0.30 from the origin."""
        task = self.goals.sample(key, n)
        goal = jnp.concatenate([task.goal, jnp.full((n, 1), GOAL_HEIGHT)], axis=1)
        distance = jnp.linalg.norm(goal, axis=1, keepdims=True)
        return GoalTask(goal * jnp.minimum(1, REACH / distance), task.mode)

    def initial(self, key: PRNGKeyArray) -> tuple[Float[Array, " 3"], Float[Array, " 3"]]:
        """Angles within ±0.1 and velocities within ±0.005 of zero, uniform."""
        qpos, qvel = jr.uniform(key, (2, 3), minval=-1.0)
        return 0.1 * qpos, 0.005 * qvel

    def observe(self, state: State) -> Float[np.ndarray, "episodes 7"]:
        """cos θ1, cos θ2, sin θ1, sin θ2, θ3 and the velocities of θ1 and θ2."""
        angles, velocities = self.physics.qpos(state), self.physics.qvel(state)
        two = angles[:, :2]
        return np.concatenate([np.cos(two), np.sin(two), angles[:, 2:], velocities[:, :2]], axis=1, dtype=np.float32)

    def reward(self, state: State, action: Batch, next_state: State, task: GoalTask) -> Float[np.ndarray, " episodes"]:
        """−‖fingertip − goal‖₁ − 0.1 Σ a², the fingertip being where it is after the step."""
        distance = np.abs(fingertip(self.physics.qpos(next_state)) - np.asarray(task.goal)).sum(axis=1)
        return (-distance - 0.1 * np.square(action).sum(axis=1)).astype(np.float32)

    def poses(self, observations: Observations, actions: Actions) -> Float[np.ndarray, "*batch steps 3"]:
        """The angles, the first two of which lose whole turns."""
        del actions
        seen = np.asarray(observations, np.float64)
        return np.concatenate([np.arctan2(seen[..., 2:4], seen[..., :2]), seen[..., 4:5]], axis=-1)

    def trail(self, poses: Float[np.ndarray, "*batch steps 3"]) -> Float[np.ndarray, "*batch steps 2"]:
        """Of the fingertip."""
        return fingertip(poses.reshape(-1, 3))[:, :2].reshape(*poses.shape[:-1], 2)


def fingertip(angles: Float[np.ndarray, "episodes 3"]) -> Float[np.ndarray, "episodes 3"]:
    """Where the fingertip is: each link turned by the sum of the angles up to it, end to end from the origin."""
    directions = np.cumsum(angles, axis=1)
    x, y = np.cos(directions) @ LINKS, np.sin(directions) @ LINKS
    return np.stack([x, y, np.full_like(x, FINGERTIP_HEIGHT)], axis=1)
