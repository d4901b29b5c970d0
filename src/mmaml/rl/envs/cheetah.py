"""Half-Cheetah of the workshop paper (MuMoMAML): run to a hidden place, or at a hidden speed.

The workshop paper has two modes of either and no number. The body, control steps of 0.05 s, the first states and the
cost of actions are those of the usual half-cheetah benchmark. The horizon of 200 follows MAML (2017), the reward for
speed ProMP. The goals and the reward for places are ours.
"""

import abc
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


GOAL_HEIGHT = 0.5
"""Where in pictures the mark of a place is."""


class AbstractCheetah(AbstractMujocoEnvironment):
    """Nine positions (x, height, pitch, six angles) and their velocities; actions turn the six joints of two legs."""

    action_size: ClassVar[int] = 6
    action_bound: ClassVar[float] = 1.0
    horizon: ClassVar[int] = 200
    over_time: ClassVar[bool] = True
    look: ClassVar[Look] = Look((640, 240), down=28, ball=0.12, room=1.1, shadows=False)
    goals: eqx.AbstractVar[GoalClusters]
    physics: Physics = eqx.field(static=True)

    def __init__(self, threads: int | None = None):
        """Raises `UserError` if MuJoCo is not installed."""
        self.physics = Physics("half_cheetah", substeps=5, threads=threads)

    def sample_tasks(self, key: PRNGKeyArray, n: int) -> GoalTask:
        """Goals of the shape `(n, 1)`."""
        return self.goals.sample(key, n)

    def initial(self, key: PRNGKeyArray) -> tuple[Float[Array, " 9"], Float[Array, " 9"]]:
        """Every position within ±0.1, uniform; velocities normal, std 0.1."""
        qpos_key, qvel_key = jr.split(key)
        return jr.uniform(qpos_key, (9,), minval=-0.1, maxval=0.1), 0.1 * jr.normal(qvel_key, (9,))

    @abc.abstractmethod
    def achieved(self, state: State, next_state: State) -> Float[np.ndarray, " episodes"]:
        """The quantity that the goal is a value of."""

    def reward(self, state: State, action: Batch, next_state: State, task: GoalTask) -> Float[np.ndarray, " episodes"]:
        """−|achieved − goal| − 0.05 Σ a²."""
        distance = np.abs(self.achieved(state, next_state) - np.asarray(task.goal)[:, 0])
        return (-distance - 0.05 * np.square(action).sum(axis=1)).astype(np.float32)

    def trail(self, poses: Float[np.ndarray, "*batch steps 9"]) -> Float[np.ndarray, "*batch steps 2"]:
        """Along x."""
        x = poses[..., 0]
        return np.stack([x, np.zeros_like(x)], axis=-1)

    def path(self, observations: Observations, actions: Actions) -> Float[np.ndarray, "*batch steps 2"]:
        """Time in seconds and x in metres."""
        x = self.poses(observations, actions)[..., 0]
        return np.stack(np.broadcast_arrays(self.physics.seconds * np.arange(x.shape[-1]), x), axis=-1)

    @property
    def _start_and_end(self) -> Float[np.ndarray, " 2"]:
        """Of an episode, in seconds."""
        return np.array([0, self.horizon * self.physics.seconds])


class CheetahLocation(AbstractCheetah):
    """The goal is an x in metres, around −4 or 4 with standard deviation 0.5.

    The observation has x in it, unlike that of the benchmark: the cheetah must know where it is to stop there.
    """

    observation_size: ClassVar[int] = 18
    goals: GoalClusters = eqx.field(default=GoalClusters(((-4.0,), (4.0,)), 0.5), init=False)

    def observe(self, state: State) -> Float[np.ndarray, "episodes 18"]:
        """All but the time."""
        return state[:, 1:].astype(np.float32)

    def achieved(self, state: State, next_state: State) -> Float[np.ndarray, " episodes"]:
        """x after the step."""
        return next_state[:, 1]

    def goal_place(self, goal: Float[np.ndarray, " 1"]) -> Float[np.ndarray, " 3"]:
        """The goal on the line that the cheetah runs along."""
        return np.array([goal[0], 0, GOAL_HEIGHT])

    def goal_line(self, goal: Float[np.ndarray, " 1"]) -> Float[np.ndarray, "2 2"]:
        """The goal, all the time."""
        return np.stack([self._start_and_end, goal[0] * np.ones(2)], axis=1)


class CheetahSpeed(AbstractCheetah):
    """The goal is a velocity along x in m/s, around −1.5 or 1.5 (backward or forward) with standard deviation 0.3."""

    observation_size: ClassVar[int] = 17
    goals: GoalClusters = eqx.field(default=GoalClusters(((-1.5,), (1.5,)), 0.3), init=False)

    def observe(self, state: State) -> Float[np.ndarray, "episodes 17"]:
        """All but the time and x."""
        return state[:, 2:].astype(np.float32)

    def achieved(self, state: State, next_state: State) -> Float[np.ndarray, " episodes"]:
        """Mean velocity over the step."""
        return (next_state[:, 1] - state[:, 1]) / self.physics.seconds

    def poses(self, observations: Observations, actions: Actions) -> Float[np.ndarray, "*batch steps 9"]:
        """What is observed first, after an x that starts at 0.

        The engine takes every step once more, from x = 0: how far it goes does not depend on x.
        """
        seen = np.asarray(observations, np.float64)
        states = np.concatenate([np.zeros((*seen.shape[:-1], 2)), seen], axis=-1)
        controls = self.within(np.asarray(self.scale(jnp.asarray(actions))))
        after = self.advance(states.reshape(-1, states.shape[-1]), controls.reshape(-1, controls.shape[-1]))
        moved = after[:, 1].reshape(seen.shape[:-1])
        x = np.cumsum(moved, axis=-1) - moved
        return np.concatenate([x[..., None], seen[..., :8]], axis=-1)

    def goal_place(self, goal: Float[np.ndarray, " 1"]) -> None:
        """A speed is no place."""
        del goal

    def goal_line(self, goal: Float[np.ndarray, " 1"]) -> Float[np.ndarray, "2 2"]:
        """From where the cheetah starts, as steep as the goal."""
        return np.stack([self._start_and_end, goal[0] * self._start_and_end], axis=1)

    def mode_label(self, mode: int) -> str:
        """A speed of the mode."""
        return f"speed near {self.modes[mode]}"

    def task_label(self, task: GoalTask) -> str:
        """The speed itself."""
        return f"speed {float(task.goal[0]):.2f} m/s"
