"""The environments as one writes them for gymnasium: NumPy or MuJoCo's own bindings, one step of one at a time."""

import abc
from collections.abc import Callable
from typing import Any

import gymnasium
import mujoco
import numpy as np

from mmaml.rl.envs.ant import GOAL_HEIGHT as ANT_GOAL_HEIGHT
from mmaml.rl.envs.reacher import FINGERTIP_HEIGHT, GOAL_HEIGHT, LINKS, REACH


class _Plain(gymnasium.Env[np.ndarray, np.ndarray]):
    """Spaces and goals of one of our environments; what happens in it is written anew below."""

    def __init__(self, ours: Any):
        self.centres, self.std = np.array(ours.goals.centres), ours.goals.std
        bound = np.full(ours.action_size, ours.action_bound, np.float32)
        self.action_space = gymnasium.spaces.Box(-bound, bound)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (ours.observation_size,), np.float32)
        self.low, self.high = -bound, bound
        self.goal = np.zeros(self.centres.shape[1])

    def draw_goal(self) -> np.ndarray:
        centre = self.centres[self.np_random.integers(len(self.centres))]
        return centre + self.std * self.np_random.normal(size=centre.shape)


class _PointMass(_Plain):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.goal = self.draw_goal()
        self.state = (self.np_random.uniform(-1, 1, 4) * [0.2, 0.2, 0.1, 0.1]).astype(np.float32)
        return self.state, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        velocity = self.state[2:] + action.clip(self.low, self.high)
        self.state = np.concatenate([self.state[:2] + velocity, velocity])
        return self.state, -float(np.linalg.norm(self.state[:2] - self.goal)), False, False, {}


class _Mujoco(_Plain, abc.ABC):
    def __init__(self, ours: Any):
        super().__init__(ours)
        self.model, self.substeps, self.seconds = ours.physics.model, ours.physics.substeps, ours.physics.seconds
        self.data = mujoco.MjData(self.model)  # pyright: ignore[reportAttributeAccessIssue]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        mujoco.mj_resetData(self.model, self.data)  # pyright: ignore[reportAttributeAccessIssue]
        self.goal = self.draw_goal()
        self.data.qpos += self.np_random.uniform(-0.1, 0.1, self.model.nq)
        self.data.qvel += 0.1 * self.np_random.normal(size=self.model.nv)
        return self.observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        x = self.data.qpos[0]
        action = action.clip(self.low, self.high)
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, nstep=self.substeps)  # pyright: ignore[reportAttributeAccessIssue]
        return self.observe(), self.reward(action, x), False, False, {}

    def observe(self) -> np.ndarray:
        return np.concatenate([self.data.qpos, self.data.qvel], dtype=np.float32)

    @abc.abstractmethod
    def reward(self, action: np.ndarray, x_before: float) -> float: ...


class _Reacher(_Mujoco):
    def draw_goal(self) -> np.ndarray:
        goal = np.append(super().draw_goal(), GOAL_HEIGHT)
        return goal * min(1, REACH / np.linalg.norm(goal))

    def observe(self) -> np.ndarray:
        angles, two = self.data.qpos, self.data.qpos[:2]
        return np.concatenate([np.cos(two), np.sin(two), angles[2:], self.data.qvel[:2]], dtype=np.float32)

    def reward(self, action: np.ndarray, x_before: float) -> float:
        del x_before
        directions = np.cumsum(self.data.qpos)
        tip = np.array([np.cos(directions) @ LINKS, np.sin(directions) @ LINKS, FINGERTIP_HEIGHT])
        return -float(np.abs(tip - self.goal).sum() + 0.1 * np.square(action).sum())


class _Ant(_Mujoco):
    def draw_goal(self) -> np.ndarray:
        return np.append(super().draw_goal(), ANT_GOAL_HEIGHT)

    def reward(self, action: np.ndarray, x_before: float) -> float:
        del x_before
        return -float(np.abs(self.data.qpos[:3] - self.goal).sum() + 0.1 * np.square(action).sum())


class _CheetahSpeed(_Mujoco):
    def observe(self) -> np.ndarray:
        return np.concatenate([self.data.qpos[1:], self.data.qvel], dtype=np.float32)

    def reward(self, action: np.ndarray, x_before: float) -> float:
        speed = (self.data.qpos[0] - x_before) / self.seconds
        return -float(np.abs(speed - self.goal[0]) + 0.05 * np.square(action).sum())


_PLAIN: dict[str, Callable[[Any], _Plain]] = {
    "PointMass": _PointMass,
    "Reacher": _Reacher,
    "Ant": _Ant,
    "CheetahSpeed": _CheetahSpeed,
}


def plain(ours: Any) -> gymnasium.Env[np.ndarray, np.ndarray]:
    """The plain counterpart of one of our environments, episodes cut at its horizon.

    Raises `SystemExit` if there is none, and `AssertionError` if one of its steps does not come to what ours does.
    """
    name = type(ours).__name__
    if name not in _PLAIN:
        raise SystemExit(f"{name} has no plain counterpart to measure beside; these have one: {', '.join(_PLAIN)}.")
    env = _PLAIN[name](ours)
    _require_same_step(env, ours)
    return gymnasium.wrappers.TimeLimit(env, ours.horizon)


def _require_same_step(env: _Plain, ours: Any) -> None:
    from mmaml.rl.envs.goals import GoalTask

    observation, _ = env.reset(seed=0)
    action = env.action_space.sample()
    if isinstance(env, _Mujoco):
        state = np.concatenate([[0.0], env.data.qpos, env.data.qvel])[None]
        task, batch = GoalTask(env.goal[None], np.zeros(1, int)), action[None]  # pyright: ignore[reportArgumentType]
        after, (reward,) = ours.step(state, batch, task)
        (expected,) = ours.observe(after)
    else:
        after, reward = ours.step(observation, action, GoalTask(env.goal, np.zeros((), int)))  # pyright: ignore[reportArgumentType]
        expected = ours.observe(after)
    observation, given, *_ = env.step(action)
    np.testing.assert_allclose(observation, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(float(given), reward, rtol=1e-4)
