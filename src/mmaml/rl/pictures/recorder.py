"""Pictures of episodes in environments of the user's own, which draw themselves."""

import inspect
from collections.abc import Collection
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled
from jaxtyping import UInt8

from mmaml.rl.envs.own.contract import name_of
from mmaml.rl.envs.own.environment import OwnEnvironment
from mmaml.runs.errors import UserError


class Recorder(gymnasium.Wrapper):
    """Keeps what `render` returns before each of some `steps` of every episode, and at an early end.

    Raises `UserError` if that is not a picture.
    """

    def __init__(self, env: Any, steps: Collection[int]):
        super().__init__(env)
        self.steps = frozenset(steps)
        self.episodes: list[list[UInt8[np.ndarray, "height width 3"]]] = []
        self._now = 0

    def reset(self, **options: Any) -> Any:
        """Begin an episode and its record."""
        result = self.env.reset(**options)
        self.episodes.append([])
        self._now = 0
        self._record(ended=False)
        return result

    def step(self, action: Any) -> Any:
        """One step, recorded if it is asked for."""
        result = self.env.step(action)
        self._now += 1
        self._record(ended=result[2] or result[3])
        return result

    def _record(self, *, ended: bool) -> None:
        if self._now not in self.steps and not ended:
            return
        try:
            picture = self.env.render()
        except DependencyNotInstalled as error:
            raise UserError(f"{name_of(self)} cannot be filmed: {error}") from error
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape[2:] != (3,):
            raise UserError(
                f"{name_of(self)} cannot be filmed: made with render_mode='rgb_array', its render() must return an "
                f"array of bytes of the shape (height, width, 3), but gave {_described(picture)}."
            )
        self.episodes[-1].append(picture)


def recorded(environment: OwnEnvironment, steps: Collection[int]) -> tuple[OwnEnvironment, Recorder]:
    """The environment made anew, and what records the first episode of each of its batches.

    Raises `UserError` if the user's cannot be made with a `render_mode`.
    """
    parameters = inspect.signature(environment.make).parameters.values()
    if not any(p.name == "render_mode" or p.kind is p.VAR_KEYWORD for p in parameters):
        raise UserError(
            "your environment cannot be filmed: what makes it must take render_mode='rgb_array', with which its "
            "render() returns a picture."
        )
    recorders: list[Recorder] = []

    def make() -> Any:
        if recorders:
            return environment.make()
        recorders.append(Recorder(environment.make(render_mode="rgb_array"), steps))
        return recorders[0]

    again = OwnEnvironment(make, environment.horizon)
    recorders[0].episodes.clear()  # those that it was tried with
    return again, recorders[0]


def _described(value: Any) -> str:
    return f"{value.dtype} of the shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
