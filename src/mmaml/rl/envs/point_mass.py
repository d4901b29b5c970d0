"""Point Mass 2D of the MMAML paper (§5.3): push a point that keeps its momentum to a hidden goal."""

from typing import ClassVar

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.rl.envs.environment import AbstractJaxEnvironment
from mmaml.rl.envs.goals import GoalClusters, GoalTask


_CORNERS = ((-5.0, -5.0), (-5.0, 5.0), (5.0, -5.0), (5.0, 5.0))
# In the order of the authors' code, which decides whose share is larger.
_HEXAGON = ((5.0, 0.0), (2.5, 4.33), (-2.5, 4.33), (-2.5, -4.33), (2.5, -4.33), (-5.0, 0.0))
_GOALS = {
    1: GoalClusters(_CORNERS[3:], 1.0),
    2: GoalClusters((_CORNERS[0], _CORNERS[3]), 1.0),
    4: GoalClusters(_CORNERS, 1.0),
    6: GoalClusters(_HEXAGON, 1.0, round_robin=True),
}


class PointMass(AbstractJaxEnvironment):
    """State and observation (x, y, vx, vy); the action is added to the velocity, the velocity to the position.

    The reward is minus the distance to the goal after the step. There is neither damping nor a wall. Constants are
    those of the authors' code, which draws goals with standard deviation 1 though it also names a scale of 2.
    """

    observation_size: ClassVar[int] = 4
    action_size: ClassVar[int] = 2
    action_bound: ClassVar[float] = 0.1
    horizon: ClassVar[int] = 100
    goals: GoalClusters

    def __init__(self, modes: int = 4):
        """Goals around 1, 2 or 4 corners of a square of side 10, or 6 of a hexagon of radius 5.

        Raises `ValueError` for another number of modes.
        """
        if modes not in _GOALS:
            raise ValueError(f"a point mass with {modes} modes; there are {', '.join(map(str, _GOALS))}")
        self.goals = _GOALS[modes]

    def sample_tasks(self, key: PRNGKeyArray, n: int) -> GoalTask:
        """Goals of the shape `(n, 2)`."""
        return self.goals.sample(key, n)

    def reset(self, key: PRNGKeyArray) -> Float[Array, " 4"]:
        """Position uniform within ±0.2, velocity within ±0.1."""
        width = jnp.array([0.2, 0.2, 0.1, 0.1])
        return jr.uniform(key, (4,), minval=-width, maxval=width)

    def observe(self, state: Float[Array, " 4"]) -> Float[Array, " 4"]:
        """All of the state."""
        return state

    def advance(self, state: Float[Array, " 4"], action: Float[Array, " 2"]) -> Float[Array, " 4"]:
        """New velocity first, then the position with it."""
        velocity = state[2:] + action
        return jnp.concatenate([state[:2] + velocity, velocity])

    def reward(
        self, state: Float[Array, " 4"], action: Float[Array, " 2"], next_state: Float[Array, " 4"], task: GoalTask
    ) -> Float[Array, ""]:
        """Minus the Euclidean distance of the new position to the goal."""
        return -jnp.linalg.norm(next_state[:2] - task.goal)
