"""Where bodies were in an episode: poses for the MuJoCo engine, and lines to draw."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmaml.rl.envs.cheetah import AbstractCheetah, CheetahSpeed
from mmaml.rl.envs.environment import AbstractGoalEnvironment, AbstractMujocoEnvironment
from mmaml.rl.envs.reacher import Reacher, fingertip
from mmaml.rl.experience import Trajectories


class Motion(NamedTuple):
    """What tells where a body was: what was observed before each action, and the actions as a policy says them.

    `Trajectories` tell it, too.
    """

    observations: Float[Array | np.ndarray, "*batch steps observation"]
    actions: Float[Array | np.ndarray, "*batch steps action"]


def poses(
    environment: AbstractMujocoEnvironment, episodes: Motion | Trajectories
) -> Float[np.ndarray, "*batch steps coordinates"]:
    """MuJoCo's `qpos` before every step, made of what was observed.

    The x of a `CheetahSpeed`, which is not observed, starts at 0.
    """
    seen = np.asarray(episodes.observations, np.float64)
    if isinstance(environment, Reacher):
        first_two = np.arctan2(seen[..., 2:4], seen[..., :2])
        return np.concatenate([first_two, seen[..., 4:5]], axis=-1)
    if isinstance(environment, CheetahSpeed):
        x = _unseen_x(environment, episodes)
        return np.concatenate([x[..., None], seen[..., :8]], axis=-1)
    return seen[..., : environment.physics.model.nq]


def paths(environment: AbstractGoalEnvironment, episodes: Motion | Trajectories) -> Float[np.ndarray, "*batch steps 2"]:
    """A point of the plane before every step: of the mass, the arm's fingertip or the ant's torso, in the goals' units.

    Of a cheetah, time in seconds and x in metres.
    """
    if not isinstance(environment, AbstractMujocoEnvironment):
        return np.asarray(episodes.observations)[..., :2]
    pose = poses(environment, episodes)
    if isinstance(environment, Reacher):
        return fingertip(pose.reshape(-1, 3))[:, :2].reshape(*pose.shape[:-1], 2)
    if isinstance(environment, AbstractCheetah):
        seconds = environment.physics.seconds * np.arange(pose.shape[-2])
        return np.stack(np.broadcast_arrays(seconds, pose[..., 0]), axis=-1)
    return pose[..., :2]


def _unseen_x(environment: CheetahSpeed, episodes: Motion | Trajectories) -> Float[np.ndarray, "*batch steps"]:
    """The engine takes every step once more, from x = 0: how far it goes does not depend on x."""
    seen = np.asarray(episodes.observations, np.float64)
    states = np.concatenate([np.zeros((*seen.shape[:-1], 2)), seen], axis=-1)
    actions = environment.within(np.asarray(environment.scale(jnp.asarray(episodes.actions))))
    after = environment.advance(states.reshape(-1, states.shape[-1]), actions.reshape(-1, actions.shape[-1]))
    moved = after[:, 1].reshape(seen.shape[:-1])
    return np.cumsum(moved, axis=-1) - moved
