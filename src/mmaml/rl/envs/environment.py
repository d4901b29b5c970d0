"""What an environment is: one kind steps inside jit, the other a whole batch at a time, as on the MuJoCo engine.

Both have `reset`, `observe` and `step`; ours make a `step` of two more pure functions, `advance` and `reward`, and say
what pictures show of episodes and goals. Actions are in the environment's own units and clipped to its bounds before
anything sees them (`within`); `scale` maps to them what a policy says. Every episode has as many steps as the horizon;
those of a batch environment may be over sooner and then stay where they are.
"""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray, Shaped

from mmaml.rl.envs.goals import GoalClusters, GoalTask


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
Observations = Float[np.ndarray | Array, "*batch steps observation"]
"""What was observed before each action of an episode."""
Actions = Float[np.ndarray | Array, "*batch steps action"]
"""The actions as a policy says them."""


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
    def mode_of(self, given: Any, told: int | None) -> int:
        """The kind of a goal, or of what the user's own `set_task` takes, of which a person has `told` what it is.

        Raises `ValueError` if that is known not to be so.
        """

    def mode_label(self, mode: int) -> str:
        """What all tasks of a mode ask for, in few words."""
        return self.modes[mode]

    def task_label(self, task: Any) -> str:
        """What one task asks for, in few words."""
        return self.mode_label(int(task.mode))

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
    over_time: ClassVar[bool] = False
    """Whether a `path` is x in metres over time in seconds, and not in the plane."""
    reach: ClassVar[float | None] = None
    """How far from the origin goals may lie and a body may get, if there is such a bound."""

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the clusters of goals, in the order of `GoalTask.mode`."""
        return self.goals.names

    @abc.abstractmethod
    def sample_tasks(self, key: PRNGKeyArray, n: int) -> GoalTask:
        """Draw a batch of `n` tasks: a pure function of `key` that can be jitted (`n` is static)."""

    def mode_of(self, given: Float[np.ndarray, " size"], told: int | None) -> int:
        """The cluster whose centre is nearest, unless another is told."""
        return self.goals.nearest(given) if told is None else told

    @abc.abstractmethod
    def path(self, observations: Observations, actions: Actions) -> Float[np.ndarray, "*batch steps 2"]:
        """The points to draw of episodes, one before every step, in the units of goals."""

    def goal_line(self, goal: Float[np.ndarray, " size"]) -> Float[np.ndarray, "points 2"]:
        """Where a goal is among the points of a `path`: a point of the plane, or both ends of a line over time."""
        return goal[None, :2]

    def mode_label(self, mode: int) -> str:
        """What all tasks of a mode ask for, in few words."""
        return f"goal near {self.modes[mode]}"

    def scale(self, action: Float[Array, "*batch action"]) -> Float[Array, "*batch action"]:
        """A policy's action, nominally within ±10, in the environment's units."""
        return action * (self.action_bound / POLICY_RANGE)

    def within(self, action: Any) -> Any:
        """Each coordinate clipped to ± the bound."""
        return action.clip(-self.action_bound, self.action_bound)


class AbstractJaxEnvironment(AbstractGoalEnvironment):
    """Steps inside jit. Functions are of one episode, to be vmapped over episodes and tasks.

    There is no array in it: pass it to jitted functions or close over it. Observations begin with a place in the plane.
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

    def path(self, observations: Observations, actions: Actions) -> Float[np.ndarray, "*batch steps 2"]:
        """The places observed."""
        del actions
        return np.asarray(observations)[..., :2]

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
    def over(self, state: Any) -> Bool[np.ndarray, " episodes"]:
        """Which episodes have ended before the horizon: their further steps change nothing and bring no reward."""

    @abc.abstractmethod
    def step(self, state: Any, action: Controls, task: Any) -> tuple[Any, Float[np.ndarray, " episodes"]]:
        """Next states and rewards of a batch of episodes, each with its own task.

        Raises `RunFailed` if actions are not finite or the simulation breaks down.
        """


Environment = AbstractJaxEnvironment | AbstractBatchEnvironment
"""One that can be meta-trained in."""
