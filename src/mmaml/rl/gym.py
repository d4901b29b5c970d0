"""The environments as `gymnasium.Env`s. Importing this module registers them, as `mmaml/PointMass-v0` and so on.

`gymnasium.make("mmaml.rl.gym:mmaml/Reacher-v0", modes=2)` imports it by itself.
"""

from collections import deque
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from numpy.typing import ArrayLike

from mmaml.rl.envs.ant import Ant
from mmaml.rl.envs.cheetah import CheetahLocation, CheetahSpeed
from mmaml.rl.envs.environment import POLICY_RANGE, AbstractJaxEnvironment
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.envs.mujoco import AbstractMujocoEnvironment
from mmaml.rl.envs.navigation import Navigation
from mmaml.rl.envs.point_mass import PointMass
from mmaml.rl.envs.reacher import Reacher
from mmaml.rl.pictures.camera import Camera, camera_for
from mmaml.rl.pictures.plane import Plane
from mmaml.rl.tasks import drawn_task, given_task
from mmaml.runs.errors import UserError


try:
    import gymnasium
except ImportError:
    raise UserError("gymnasium is not installed: pip install 'mmaml[rl]'.") from None

_CLASSES: dict[str, type[AbstractJaxEnvironment] | type[AbstractMujocoEnvironment]] = {
    made.__name__: made for made in (PointMass, Navigation, Reacher, Ant, CheetahLocation, CheetahSpeed)
}


class TaskEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One episode at a time of one environment, actions in its own units.

    Every `reset` draws a new task until `set_task` fixes one. Episodes are cut at the horizon by `gymnasium.make`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012, as gymnasium has it

    def __init__(self, name: str, render_mode: str | None = None, **options: Any):
        """`name` is that of a registered environment, without version; `options` are its own, such as `modes`.

        Raises `ValueError` for a name, modes or a `render_mode` that do not exist.
        """
        if name not in _CLASSES:
            raise ValueError(f"an environment named {name!r}; there are {', '.join(_CLASSES)}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode {render_mode!r}; there is 'rgb_array', or None for no pictures")
        self.render_mode = render_mode
        if issubclass(_CLASSES[name], AbstractMujocoEnvironment):
            options = {"threads": 1, **options}
        self.environment = env = _CLASSES[name](**options)
        bound = np.full(env.action_size, env.action_bound, np.float32)
        self.action_space = gymnasium.spaces.Box(-bound, bound)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (env.observation_size,), np.float32)
        self._task: GoalTask | None = None
        self._state: Any = None
        self._drawn: Any = None
        self._camera: Camera | Plane | None = None
        # What a picture shows of the episode so far.
        self._seen = deque[np.ndarray](maxlen=env.horizon + 1)
        self._done = deque[np.ndarray](maxlen=env.horizon)
        # Everything below is for a batch of one.
        if isinstance(env, AbstractJaxEnvironment):
            self._reset = jax.jit(jax.vmap(lambda key, task: env.reset(key)))
            self._observe = jax.jit(jax.vmap(env.observe))
            self._step = jax.jit(jax.vmap(env.step))
        else:
            self._reset, self._observe, self._step = env.reset, env.observe, env.step

    def sample_tasks(self, n: int) -> list[GoalTask]:
        """`n` tasks to choose from for `set_task`, drawn with the generator that `reset` seeds."""
        tasks = self.environment.sample_tasks(self._key(), n)
        return [jax.tree.map(lambda leaf, i=i: leaf[i], tasks) for i in range(n)]

    def set_task(self, task: GoalTask | ArrayLike) -> None:
        """The task of all episodes from the next `reset` on, or its goal alone.

        Raises `ValueError` if the goal has not the environment's dimension, or is not finite.
        """
        goal, mode = (task.goal, int(task.mode)) if isinstance(task, GoalTask) else (task, None)
        self._task = jax.tree.map(lambda leaf: leaf[0], given_task(self.environment, goal, mode))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begin an episode; `options` are ignored."""
        super().reset(seed=seed)
        if self._task is None:
            # One alone would always be of the first mode where modes take turns.
            self._drawn = drawn_task(self.environment, None, seed=int(self.np_random.integers(2**31)))
        else:
            self._drawn = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], self._task)
        self._state = self._reset(self._key()[None], self._drawn)
        self._seen.clear()
        self._done.clear()
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """One step with an action that is clipped to the action space. Never says that the episode is over.

        Raises `ValueError` for an action of another shape, or not finite.
        """
        action = np.asarray(action, np.float32)
        if action.shape != self.action_space.shape or not np.isfinite(action).all():
            raise ValueError(f"the action {action} does not fit; give finite numbers of {self.action_space}.")
        self._state, reward = self._step(self._state, action[None], self._drawn)
        if self.render_mode is not None:
            self._done.append(action.copy())
        return self._observation(), float(reward[0]), False, False, {}

    def render(self) -> np.ndarray | None:
        """A picture of the goal, the body and where it has been: bytes of the shape (height, width, 3).

        Nothing without a `render_mode`. Raises `ResetNeeded` before the first `reset`, and `UserError` if a body on the
        MuJoCo engine is to be drawn and there is no OpenGL.
        """
        if self.render_mode is None:
            return None
        if self._drawn is None:
            raise gymnasium.error.ResetNeeded("call reset() before render(): there is no episode yet")
        if self._camera is None:
            self._camera = camera_for(self.environment)
        task = jax.tree.map(lambda leaf: leaf[0], self._drawn)
        (picture,) = self._camera.film(np.stack(self._seen), self._actions(), task, [len(self._seen) - 1])
        return picture

    def close(self) -> None:
        """Free what `render` drew with."""
        if self._camera is not None:
            self._camera.__exit__()
            self._camera = None

    def _observation(self) -> np.ndarray:
        seen = np.array(self._observe(self._state)[0])
        if self.render_mode is not None:
            self._seen.append(seen.copy())  # the caller may write into the one it gets
        return seen

    def _actions(self) -> np.ndarray:
        """Those of the episode so far in a policy's units; of the one to come nothing is known."""
        to_come = np.zeros(self.environment.action_size, np.float32)
        return np.stack([*self._done, to_come]) * (POLICY_RANGE / self.environment.action_bound)

    def _key(self) -> jax.Array:
        return jr.key(self.np_random.integers(2**31))


for _name, _class in _CLASSES.items():
    gymnasium.register(
        f"mmaml/{_name}-v0",
        entry_point="mmaml.rl.gym:TaskEnv",
        max_episode_steps=_class.horizon,
        kwargs={"name": _name},
    )
