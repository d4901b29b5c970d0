"""What a user's `gymnasium.Env` must have to be meta-trained, and what is read off it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from mmaml.runs.errors import UserError


try:
    import gymnasium
except ImportError:
    raise UserError("environments of your own need gymnasium: pip install 'mmaml[rl]'.") from None


class Workers:
    """The user's environments, made when they are needed: as many as ever ran side by side."""

    def __init__(self, make: Callable[..., Any]):
        self.make = make
        self.envs: list[Any] = []
        self.latest: Any = None
        """The state that they are in."""

    def first(self, count: int) -> list[Any]:
        """`count` of them. Raises `UserError` if what is made is no environment, or twice the same."""
        while len(self.envs) < count:
            env = self.make()
            if not isinstance(env, gymnasium.Env):
                raise UserError(f"an environment of your own must be a gymnasium.Env, but is a {type(env).__name__}.")
            if self.envs and env is self.envs[0]:
                raise UserError(f"{name_of(env)} was made twice and is the same object; make a new one each time.")
            self.envs.append(env)
        return self.envs[:count]

    @property
    def name(self) -> str:
        """What messages call them."""
        return name_of(self.first(1)[0])


def name_of(env: Any) -> str:
    """Name of the environment's class, without wrappers."""
    return type(env.unwrapped).__name__


def attribute(env: Any, name: str, default: Any = None) -> Any:
    """An attribute of the environment or of what it wraps."""
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else default


def require_spaces_and_methods(env: Any) -> None:
    """Raise `UserError` that names what the environment lacks, if it lacks something."""
    for what in ("observation", "action"):
        space = getattr(env, f"{what}_space", None)
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise UserError(f"{name_of(env)} has the {what} space {space}, but it must be a Box with one axis.")
    space = env.action_space
    if not np.issubdtype(space.dtype, np.floating):
        raise UserError(
            f"{name_of(env)} has actions of type {space.dtype}, but a policy's are real numbers: use float32."
        )
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UserError(f"{name_of(env)} has actions without bounds, but a policy's ±10 stand for them: set them.")
    for method, use in (("sample_tasks", "(n), which draws n tasks"), ("set_task", "(task), which sets the next")):
        if not callable(attribute(env, method)):
            raise UserError(f"{name_of(env)} has no method {method}{use}.")
    if env.has_wrapper_attr("modes") != env.has_wrapper_attr("mode_of"):
        raise UserError(f"{name_of(env)} has only one of modes and mode_of(task): it needs both, or neither.")


def require_shape(env: Any, observation: Any, shape: tuple[int, ...]) -> None:
    """Raise `UserError` unless the observation has the `shape` of its space."""
    if np.shape(observation) != shape:
        seen = np.shape(observation)
        raise UserError(f"{name_of(env)} gave an observation of shape {seen}; its observation space has {shape}.")


def horizon_of(env: Any) -> int:
    """Steps of an episode. Raises `UserError` if the environment does not say."""
    horizon = attribute(env, "horizon")
    if horizon is None and env.spec is not None:
        horizon = env.spec.max_episode_steps
    if horizon is None:
        raise UserError(
            f"{name_of(env)} does not say how long an episode is: give it an attribute `horizon`, or make it with "
            "gymnasium.make(…, max_episode_steps=…)."
        )
    return int(horizon)


def stack_tasks(env: Any, tasks: list[Any]) -> PyTree:
    """One task whose arrays have a leading axis of `tasks`. Raises `UserError` if not of numbers or not alike."""
    arrays = [jax.tree.map(np.asarray, task) for task in tasks]
    if not {leaf.dtype.kind for leaf in jax.tree.leaves(arrays)} <= set("biuf"):
        raise UserError(
            f"{name_of(env)}: a task must be a number, an array, or a tuple, list or dictionary of such; "
            f"sample_tasks gave {tasks[0]!r}."
        )
    if len({(jax.tree.structure(task), *(leaf.shape for leaf in jax.tree.leaves(task))) for task in arrays}) > 1:
        raise UserError(f"{name_of(env)}: the tasks that sample_tasks gave differ in structure or shape.")
    return jax.tree.map(lambda *leaves: np.stack(leaves), *arrays)
