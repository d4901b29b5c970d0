"""What a user's `gymnasium.Env` must have to be meta-trained, and what is read off it."""

import inspect
from collections.abc import Callable
from numbers import Integral
from typing import Any, TypeGuard

import jax
import numpy as np
from jaxtyping import PyTree

from mmaml.runs.errors import UserError


try:
    import gymnasium
except ImportError:
    raise UserError("environments of your own need gymnasium: pip install 'mmaml[rl]'.") from None


def made_by(make: Callable[..., Any]) -> Any:
    """A new environment. Raises `UserError` if it takes arguments to make one, or what is made is none."""
    if not _can_be_called(make):
        raise UserError(
            f"what makes your environment needs arguments, {inspect.signature(make)}, but is called without any: give "
            "them defaults, or name a function that fills them in."
        )
    env = make()
    if not isinstance(env, gymnasium.Env):
        raise UserError(f"an environment of your own must be a gymnasium.Env, but is a {type(env).__name__}.")
    return env


def name_of(env: Any) -> str:
    """Name of the environment's class, without wrappers."""
    return type(env.unwrapped).__name__


def attribute(env: Any, name: str, default: Any = None) -> Any:
    """An attribute of the environment or of what it wraps."""
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else default


def require_spaces_and_methods(env: Any) -> None:
    """Raise `UserError` that names what the environment lacks, if it lacks something."""
    _require_spaces(env)
    for method, use in (("sample_tasks", "(n), which draws n tasks"), ("set_task", "(task), which sets the next")):
        if not callable(attribute(env, method)):
            raise UserError(f"{name_of(env)} has no method {method}{use}.")
    if env.has_wrapper_attr("modes") != env.has_wrapper_attr("mode_of"):
        raise UserError(f"{name_of(env)} has only one of modes and mode_of(task): it needs both, or neither.")
    methods = {
        "sample_tasks(n)": _can_be_called(attribute(env, "sample_tasks"), 2),
        "set_task(task)": _can_be_called(attribute(env, "set_task"), 0),
        "mode_of(task)": _can_be_called(attribute(env, "mode_of", len), 0),
        "reset(*, seed=None, options=None)": _can_be_called(env.unwrapped.reset, seed=0, options=None),
        "step(action)": _can_be_called(env.unwrapped.step, 0),
    }
    for method, possible in methods.items():
        if not possible:
            raise UserError(f"{name_of(env)}: {method.split('(')[0]} takes other arguments; it is called as {method}.")


def _require_spaces(env: Any) -> None:
    space = getattr(env, "observation_space", None)
    if not _is_vector(space):
        raise UserError(
            f"{name_of(env)} has the observation space {space}, but it must be a Box with one axis: wrap it in "
            "gymnasium.wrappers.FlattenObservation."
        )
    space = getattr(env, "action_space", None)
    if isinstance(space, gymnasium.spaces.Discrete):
        return
    if not _is_vector(space):
        raise UserError(
            f"{name_of(env)} has the action space {space}, but it must be Discrete or a Box with one axis: number the "
            "choices, or give each coordinate a real number."
        )
    if not np.issubdtype(space.dtype, np.floating):
        raise UserError(
            f"{name_of(env)} has actions of type {space.dtype}, but a policy's are real numbers: use float32."
        )
    with np.errstate(over="ignore"):
        bounded = np.isfinite(np.subtract(space.high, space.low, dtype=np.float32)).all()
    if not bounded:
        raise UserError(f"{name_of(env)} has actions without bounds, but a policy's ±10 stand for them: set them.")


def _is_vector(space: Any) -> TypeGuard[gymnasium.spaces.Box]:
    return isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1


def actions_of(env: Any) -> tuple[bool, int, tuple[float, ...], tuple[float, ...]]:
    """Whether actions are choices, how many choices or coordinates, and the least and greatest action."""
    space = env.action_space
    if isinstance(space, gymnasium.spaces.Discrete):
        first, choices = int(space.start), int(space.n)
        return True, choices, (float(first),), (float(first + choices - 1),)
    return False, space.shape[0], tuple(space.low.tolist()), tuple(space.high.tolist())


def _can_be_called(function: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
    """Asked of its signature: an error from a call could be one in the user's own code."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some that are written in C do not say
        return True
    try:
        signature.bind(*arguments, **named)
    except TypeError:
        return False
    return True


def require_reset(env: Any, result: Any, shape: tuple[int, ...]) -> None:
    """Raise `UserError` unless `reset` returned an observation of the `shape` of its space, and information."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise UserError(
            f"{name_of(env)}: reset gave {_described(result)}; it must return two things, observation and info, as in "
            "`return observation, {}`."
        )
    _require_shape(env, result[0], shape)


def require_step(env: Any, result: Any, shape: tuple[int, ...]) -> None:
    """Raise `UserError` unless `step` returned what `gymnasium` asks for, with an observation of the `shape`."""
    if not isinstance(result, tuple) or len(result) != 5:
        raise UserError(
            f"{name_of(env)}: step gave {_described(result)}; it must return five things: observation, reward, "
            "terminated, truncated and info. (The older gym had one `done` where there are now two.)"
        )
    _require_shape(env, result[0], shape)
    reward = np.asarray(result[1])
    if reward.ndim or reward.dtype.kind not in "biuf":
        raise UserError(f"{name_of(env)}: step gave the reward {result[1]!r}; it must be one number.")


def _described(result: Any) -> str:
    return f"a tuple of {len(result)}" if isinstance(result, tuple) else f"one {type(result).__name__}"


def _require_shape(env: Any, observation: Any, shape: tuple[int, ...]) -> None:
    """Raise `UserError` unless the observation has the `shape` of its space."""
    if np.shape(observation) != shape:
        seen = np.shape(observation)
        raise UserError(f"{name_of(env)} gave an observation of shape {seen}; its observation space has {shape}.")


def horizon_of(env: Any) -> int:
    """Steps of an episode: the environment's `horizon`, or a time limit that is shorter.

    Raises `UserError` if it does not say.
    """
    limits = [attribute(env, name) for name in ("horizon", "_max_episode_steps")]  # the latter is TimeLimit's
    limits = [limit for limit in limits if limit is not None]
    horizon = min(limits, default=None) if all(isinstance(limit, Integral) for limit in limits) else limits[0]
    if horizon is None:
        raise UserError(
            f"{name_of(env)} does not say how long an episode is: give it an attribute `horizon`, or make it with "
            "gymnasium.make(…, max_episode_steps=…)."
        )
    if not isinstance(horizon, Integral):
        raise UserError(
            f"{name_of(env)} has the horizon {horizon!r}; it must be a whole number, the steps of an episode."
        )
    return int(horizon)


def modes_of(env: Any) -> tuple[str, ...]:
    """Names of the kinds of task. Raises `UserError` if they are no names."""
    modes = attribute(env, "modes", ("task",))
    named = isinstance(modes, list | tuple) and modes and all(isinstance(name, str) for name in modes)
    if not named or len(set(modes)) < len(modes):
        raise UserError(
            f'{name_of(env)} has the modes {modes!r}; they must be a tuple of different names, as ("left", "right").'
        )
    return tuple(modes)


def mode_numbers(env: Any, tasks: list[Any], modes: int) -> list[int]:
    """Which of `modes` kinds each task is of. Raises `UserError` if `mode_of` gave something else."""
    mode_of = attribute(env, "mode_of", lambda task: 0)
    given = [mode_of(task) for task in tasks]
    for mode in given:
        number = np.asarray(mode)
        if number.ndim or number.dtype.kind not in "biu" or not 0 <= number < modes:
            raise UserError(f"{name_of(env)}: mode_of gave {mode!r}; it must be a whole number from 0 to {modes - 1}.")
    return [int(mode) for mode in given]


def drawn_tasks(env: Any, n: int) -> list[Any]:
    """What `sample_tasks(n)` gives. Raises `UserError` if those are not `n` tasks."""
    tasks = attribute(env, "sample_tasks")(n)
    try:
        tasks = list(tasks)
    except TypeError:
        raise UserError(
            f"{name_of(env)}: sample_tasks({n}) gave {tasks!r}; it must return a list or an array of {n} tasks."
        ) from None
    if len(tasks) != n:
        raise UserError(f"{name_of(env)}: sample_tasks({n}) gave {len(tasks)} tasks.")
    return tasks


def stack_tasks(env: Any, tasks: list[Any]) -> PyTree:
    """One task whose arrays have a leading axis of `tasks`. Raises `UserError` if not of numbers or not alike."""
    arrays = [jax.tree.map(np.asarray, task) for task in tasks]
    kinds = {leaf.dtype.kind for leaf in jax.tree.leaves(arrays)}
    if not kinds or not kinds <= set("biuf"):
        raise UserError(
            f"{name_of(env)}: a task must be a number, an array, or a tuple, list or dictionary of such; "
            f"sample_tasks gave {tasks[0]!r}."
        )
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(arrays)):
        raise UserError(f"{name_of(env)}: sample_tasks gave a task that is not finite; give finite numbers.")
    if len({(jax.tree.structure(task), *(leaf.shape for leaf in jax.tree.leaves(task))) for task in arrays}) > 1:
        raise UserError(f"{name_of(env)}: the tasks that sample_tasks gave differ in structure or shape.")
    return jax.tree.map(lambda *leaves: np.stack(leaves), *arrays)
