"""What an environment is: one kind steps inside jit, the other a whole batch at a time, as on the MuJoCo engine.

Both have `reset`, `observe` and `step`; ours make a `step` of two more pure functions, `advance` and `reward`.
Actions are in the environment's own units and clipped to its bounds before anything sees them (`within`); `scale` maps
to them what a policy says. Every episode has as many steps as the horizon.
"""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray, Shaped

from mmaml.rl.envs.goals import GoalClusters, GoalTask
from mmaml.rl.envs.physics import Physics


if TYPE_CHECKING:
    from typing import ClassVar as AbstractClassVar
else:
    from equinox import AbstractClassVar

POLICY_RANGE = 10.0
"""A policy's action of ±10 is the strongest action: a standard deviation of 1 is a tenth of the environment's bound."""

Batch = Float[np.ndarray | Array, "episodes size"]
Controls = Shaped[np.ndarray | Array, "episodes *size"]
"""Rows of numbers, or one whole number for each episode where there are choices."""
State = Float[np.ndarray, "episodes state"]


class AbstractEnvironment(eqx.Module):
    """Sizes, horizon and tasks."""

    observation_size: eqx.AbstractVar[int]
    action_size: eqx.AbstractVar[int]
    discrete: eqx.AbstractVar[bool]
    """Whether an action is one of `action_size` choices, and not as many real numbers."""
    horizon: eqx.AbstractVar[int]
    """Steps in every episode."""

    @property
    @abc.abstractmethod
    def modes(self) -> tuple[str, ...]:
        """Names of the kinds of task, in the order of a task's `mode`."""

    @abc.abstractmethod
    def sample_tasks(self, key: PRNGKeyArray, n: int) -> Any:
        """Draw a batch of `n` tasks that depends on `key` alone: a pytree of arrays, one of them named `mode`."""

    @abc.abstractmethod
    def scale(self, action: Float[Array, "*batch action"]) -> Array:
        """A policy's action, nominally within ±10, in the environment's units; for a choice its number."""

    @abc.abstractmethod
    def within(self, action: Any) -> Any:
        """Actions in the environment's units, clipped to its bounds."""


class AbstractGoalEnvironment(AbstractEnvironment):
    """Tasks are goals, actions real numbers, and the class fixes the sizes."""

    observation_size: AbstractClassVar[int]  # pyright: ignore[reportIncompatibleVariableOverride]
    action_size: AbstractClassVar[int]  # pyright: ignore[reportIncompatibleVariableOverride]
    action_bound: AbstractClassVar[float]
    """Each coordinate of an action is within ± this."""
    discrete: ClassVar[bool] = False  # pyright: ignore[reportIncompatibleVariableOverride]
    horizon: AbstractClassVar[int]  # pyright: ignore[reportIncompatibleVariableOverride]
    goals: eqx.AbstractVar[GoalClusters]

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the clusters of goals, in the order of `GoalTask.mode`."""
        return self.goals.names

    @abc.abstractmethod
    def sample_tasks(self, key: PRNGKeyArray, n: int) -> GoalTask:
        """Draw a batch of `n` tasks: a pure function of `key` that can be jitted (`n` is static)."""

    def scale(self, action: Float[Array, "*batch action"]) -> Float[Array, "*batch action"]:
        """A policy's action, nominally within ±10, in the environment's units."""
        return action * (self.action_bound / POLICY_RANGE)

    def within(self, action: Any) -> Any:
        """Each coordinate clipped to ± the bound."""
        return action.clip(-self.action_bound, self.action_bound)


class AbstractJaxEnvironment(AbstractGoalEnvironment):
    """Steps inside jit. Functions are of one episode, to be vmapped over episodes and tasks.

    There is no array in it: pass it to jitted functions or close over it.
    """

    @abc.abstractmethod
    def reset(self, key: PRNGKeyArray) -> Float[Array, " state"]:
        """A random first state."""

    @abc.abstractmethod
    def observe(self, state: Float[Array, " state"]) -> Float[Array, " observation"]:
        """What the policy sees."""

    @abc.abstractmethod
    def advance(self, state: Float[Array, " state"], action: Float[Array, " action"]) -> Float[Array, " state"]:
        """The next state after an action within the bounds."""

    @abc.abstractmethod
    def reward(
        self,
        state: Float[Array, " state"],
        action: Float[Array, " action"],
        next_state: Float[Array, " state"],
        task: GoalTask,
    ) -> Float[Array, ""]:
        """The reward of one step with an action within the bounds."""

    def step(
        self, state: Float[Array, " state"], action: Float[Array, " action"], task: GoalTask
    ) -> tuple[Float[Array, " state"], Float[Array, ""]]:
        """Next state and reward."""
        action = self.within(action)
        next_state = self.advance(state, action)
        return next_state, self.reward(state, action, next_state, task)


class AbstractBatchEnvironment(AbstractEnvironment):
    """Steps the episodes of all tasks at once, outside jit. Every array has a leading axis of episodes."""

    @abc.abstractmethod
    def reset(self, keys: Key[Array, " episodes"], task: Any) -> Any:
        """Random first states, each drawn with its own key."""

    @abc.abstractmethod
    def observe(self, state: Any) -> Float[np.ndarray, "episodes observation"]:
        """What the policy sees."""

    @abc.abstractmethod
    def step(self, state: Any, action: Controls, task: Any) -> tuple[Any, Float[np.ndarray, " episodes"]]:
        """Next states and rewards of a batch of episodes, each with its own task.

        Raises `RunFailed` if actions are not finite or the simulation breaks down.
        """


class AbstractMujocoEnvironment(AbstractGoalEnvironment, AbstractBatchEnvironment):
    """Steps on the MuJoCo engine on the CPU, through `physics`.

    States are rows `(time, qpos, qvel)` in double precision; observations and rewards are single. They are taken from
    the state after the step. Body positions in MuJoCo's own data would lag behind it.
    """

    physics: eqx.AbstractVar[Physics]

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
