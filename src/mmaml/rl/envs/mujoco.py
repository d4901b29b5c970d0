"""Environments on the MuJoCo engine."""

import abc
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray

from mmaml.rl.envs.environment import (
    AbstractBatchEnvironment,
    AbstractGoalEnvironment,
    Actions,
    Batch,
    Observations,
    State,
)
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.envs.look import Look
from mmaml.rl.envs.physics import Physics


if TYPE_CHECKING:
    from typing import ClassVar as AbstractClassVar
else:
    from equinox import AbstractClassVar


class AbstractMujocoEnvironment(AbstractGoalEnvironment, AbstractBatchEnvironment):
    """Steps on the MuJoCo engine on the CPU, through `physics`.

    States are rows `(time, qpos, qvel)` in double precision; observations and rewards are single. They are taken from
    the state after the step. Body positions in MuJoCo's own data would lag behind it.
    """

    physics: eqx.AbstractVar[Physics]
    look: AbstractClassVar[Look]

    @abc.abstractmethod
    def initial(self, key: PRNGKeyArray) -> tuple[Float[Array, " nq"], Float[Array, " nv"]]:
        """Random `qpos` and `qvel` of one first state, as offsets from the model's own pose at rest."""

    def reset(self, keys: Key[Array, " episodes"], task: GoalTask) -> State:
        """Random first states, each drawn with its own key."""
        del task
        return self.physics.states(*(np.asarray(x, np.float64) for x in _initial(self, keys)))

    @abc.abstractmethod
    def observe(self, state: State) -> Float[np.ndarray, "episodes observation"]:
        """What the policy sees."""

    def advance(self, state: State, action: Batch) -> State:
        """The next states after actions within the bounds. Raises `RunFailed` if the simulation breaks down."""
        return self.physics.step(state, np.asarray(action))

    @abc.abstractmethod
    def reward(self, state: State, action: Batch, next_state: State, task: GoalTask) -> Float[np.ndarray, " episodes"]:
        """The rewards of one step with actions within the bounds; `task` has a leading axis of episodes."""

    def poses(self, observations: Observations, actions: Actions) -> Float[np.ndarray, "*batch steps nq"]:
        """`qpos` before every step, made of what was observed, here of what observations begin with.

        Raises `RunFailed` if a simulation breaks down.
        """
        del actions
        return np.asarray(observations, np.float64)[..., : self.physics.model.nq]

    @abc.abstractmethod
    def trail(self, poses: Float[np.ndarray, "*batch steps nq"]) -> Float[np.ndarray, "*batch steps 2"]:
        """The point of the floor, in metres, where or above which is what is to reach the goal."""

    def goal_place(self, goal: Float[np.ndarray, " size"]) -> Float[np.ndarray, " 3"] | None:
        """The point in space where a goal is, in metres, here the goal itself; `None` if it is no place."""
        return goal.astype(np.float64)

    def path(self, observations: Observations, actions: Actions) -> Float[np.ndarray, "*batch steps 2"]:
        """The trail."""
        return self.trail(self.poses(observations, actions))

    def over(self, state: State) -> Bool[np.ndarray, " episodes"]:
        """None is over before the horizon."""
        return np.zeros(len(state), bool)

    def step(self, state: State, action: Batch, task: GoalTask) -> tuple[State, Float[np.ndarray, " episodes"]]:
        """Next states and rewards of a batch of episodes, each with its own task.

        Raises `RunFailed` if actions are not finite or the simulation breaks down.
        """
        action = self.within(np.asarray(action))
        next_state = self.advance(state, action)
        return next_state, self.reward(state, action, next_state, task)


@eqx.filter_jit
def _initial(
    environment: AbstractMujocoEnvironment, keys: Key[Array, " episodes"]
) -> tuple[Float[Array, "episodes nq"], Float[Array, "episodes nv"]]:
    return jax.vmap(environment.initial)(keys)
