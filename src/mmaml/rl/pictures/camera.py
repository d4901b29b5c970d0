"""Pictures of bodies on the MuJoCo engine, drawn without a screen."""

import importlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from mmaml.rl.envs.environment import AbstractGoalEnvironment, Actions, Observations
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.envs.mujoco import AbstractMujocoEnvironment
from mmaml.rl.envs.opengl import REMEDY, opengl_module, opengl_setting
from mmaml.rl.pictures.plane import Plane
from mmaml.runs.errors import UserError


GOAL_COLOUR = (0.0, 0.62, 0.45, 1.0)
TRAIL_COLOUR = (0.0, 0.2, 0.35, 1.0)

LINE_WIDTH = 4.0
"""In pixels."""
TRAIL_HEIGHT = 0.02

_ZEROS = np.zeros(3)


class Camera:
    """Films episodes from where all of each can be seen. To be used in a `with` statement, one at a time.

    Pictures are of `width` × `height` pixels.
    """

    def __init__(self, environment: AbstractMujocoEnvironment):
        """Raises `UserError` if there is no OpenGL to draw with."""
        self._mujoco: Any = importlib.import_module("mujoco")
        mujoco, model = self._mujoco, environment.physics.model
        self.environment = environment
        self._look = environment.look
        self.width, self.height = self._look.size
        self._model, self._data = model, mujoco.MjData(model)
        self._view = mujoco.MjvCamera()
        self._view.azimuth, self._view.elevation = 90, -self._look.down
        self._scene = mujoco.MjvScene(model, 1000)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self._look.shadows
        self._gl, self._context = _open(mujoco, model, self.width, self.height)

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *error: object) -> None:
        self._context.free()
        self._gl.free()

    def film(
        self, observations: Observations, actions: Actions, task: GoalTask, steps: Sequence[int]
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """Pictures of one episode before each of `steps`, with a ball at the goal and a line where the body has been.

        A goal that is no place is not drawn.
        """
        poses, place = self.environment.poses(observations, actions), self.environment.goal_place(np.asarray(task.goal))
        trail = np.insert(self.environment.trail(poses), 2, TRAIL_HEIGHT, axis=1)
        if (reach := self.environment.reach) is not None:
            # All that is in reach: an arm may turn anywhere.
            self._aim(np.array([[-reach, -reach, 0], [reach, reach, 0]]))
        else:
            self._aim(trail if place is None else np.concatenate([trail, [place * (1, 1, 0)]]))
        for step in steps:
            yield self._picture(poses[step], place, trail[: step + 1])

    def _aim(self, points: Float[np.ndarray, "points 3"]) -> None:
        """Look so that all of `points` are in the picture, with room for a body around them."""
        low, high = points.min(0) - self._look.room, points.max(0) + self._look.room
        width, depth, height = high - low
        down = np.radians(self._look.down)
        tall = max(depth * np.sin(down) + height * np.cos(down), width * self.height / self.width)
        self._view.lookat[:] = (low + high) / 2
        self._view.distance = tall / 2 / np.tan(np.radians(self._model.vis.global_.fovy) / 2)

    def _picture(
        self,
        qpos: Float[np.ndarray, " coordinates"],
        goal: Float[np.ndarray, " 3"] | None,
        trail: Float[np.ndarray, "points 3"],
    ) -> UInt8[np.ndarray, "height width 3"]:
        mujoco, scene = self._mujoco, self._scene
        self._data.qpos[:] = qpos
        mujoco.mj_forward(self._model, self._data)
        option, perturbation = mujoco.MjvOption(), mujoco.MjvPerturb()
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, self._data, option, perturbation, self._view, everything, scene)
        if goal is not None:
            self._add(mujoco.mjtGeom.mjGEOM_SPHERE, GOAL_COLOUR, np.full(3, self._look.ball), goal)
        for start, end in pairwise(trail):
            line = self._add(mujoco.mjtGeom.mjGEOM_LINE, TRAIL_COLOUR)
            mujoco.mjv_connector(line, mujoco.mjtGeom.mjGEOM_LINE, LINE_WIDTH, start, end)
        image = np.empty((self.height, self.width, 3), np.uint8)
        rectangle = mujoco.MjrRect(0, 0, self.width, self.height)
        self._gl.make_current()
        mujoco.mjr_render(rectangle, scene, self._context)
        mujoco.mjr_readPixels(image, None, rectangle, self._context)
        return np.flipud(image)

    def _add(self, shape: Any, colour: tuple[float, ...], size: np.ndarray = _ZEROS, place: np.ndarray = _ZEROS) -> Any:
        geom = self._scene.geoms[self._scene.ngeom]
        self._scene.ngeom += 1
        self._mujoco.mjv_initGeom(geom, shape, size, place, np.eye(3).ravel(), np.array(colour, np.float32))
        return geom


def camera_for(environment: AbstractGoalEnvironment) -> Camera | Plane:
    """What films an environment of ours. Raises `UserError` if that takes OpenGL and there is none to draw with."""
    return Camera(environment) if isinstance(environment, AbstractMujocoEnvironment) else Plane(environment)


def _open(mujoco: Any, model: Any, width: int, height: int) -> tuple[Any, Any]:
    """OpenGL's context and MuJoCo's. MuJoCo's own `Renderer` could only use the kind chosen when it was imported."""
    module = opengl_module()
    try:
        gl = importlib.import_module(f"mujoco.{module}").GLContext(width, height)
        gl.make_current()
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    except Exception as error:  # each way of missing a library has its own class
        raise UserError(
            f"MuJoCo cannot draw with {opengl_setting()} ({type(error).__name__}: {error}). {REMEDY}"
        ) from error
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    return gl, context
