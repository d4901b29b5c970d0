"""2D Navigation of the workshop paper (MuMoMAML): walk to a goal that lies in one of two clusters."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.rl.envs.environment import AbstractJaxEnvironment
from mmaml.rl.envs.goals import GoalClusters, GoalTask


class Navigation(AbstractJaxEnvironment):
    """State and observation (x, y); the action is the step, and the reward minus the squared distance to the goal.

    The workshop paper tells of two distinct clusters and no number. Steps of at most 0.1 per axis, the start at the
    origin, the reward and the horizon follow MAML's navigation task (2017), but episodes do not stop at the goal. The
    clusters, (±2, 0) with standard deviation 0.5, are ours: left and right, as in the paper's picture.
    """

    observation_size: ClassVar[int] = 2
    action_size: ClassVar[int] = 2
    action_bound: ClassVar[float] = 0.1
    horizon: ClassVar[int] = 100
    goals: GoalClusters = eqx.field(default=GoalClusters(((-2.0, 0.0), (2.0, 0.0)), 0.5))

    def sample_tasks(self, key: PRNGKeyArray, n: int) -> GoalTask:
        """Goals of the shape `(n, 2)`."""
        return self.goals.sample(key, n)

    def reset(self, key: PRNGKeyArray) -> Float[Array, " 2"]:
        """The origin."""
        return jnp.zeros(2)

    def observe(self, state: Float[Array, " 2"]) -> Float[Array, " 2"]:
        """The position."""
        return state

    def advance(self, state: Float[Array, " 2"], action: Float[Array, " 2"]) -> Float[Array, " 2"]:
        """Move by the action."""
        return state + action

    def reward(
        self, state: Float[Array, " 2"], action: Float[Array, " 2"], next_state: Float[Array, " 2"], task: GoalTask
    ) -> Float[Array, ""]:
        """Minus the squared Euclidean distance of the new position to the goal."""
        return -((next_state - task.goal) ** 2).sum()
