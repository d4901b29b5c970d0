"""A trained policy in use: the task it is to learn, and what it is when it has learnt it."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from numpy.typing import ArrayLike

from mmaml.core.network import TaskModel
from mmaml.nn.distribution import AbstractDistribution
from mmaml.rl.envs.environment import AbstractBatchEnvironment, AbstractJaxEnvironment
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.examples import task_and_episode_keys
from mmaml.rl.rollout import action_noise


DRAWS = 10
"""How often tasks are drawn until one is of the mode asked for."""

Environment = AbstractJaxEnvironment | AbstractBatchEnvironment


@dataclass(frozen=True, eq=False)
class AdaptedPolicy:
    """The policy of one `task` of an `environment`; `returns` are the mean returns before and after every step."""

    environment: Environment
    model: TaskModel
    task: PyTree
    returns: Float[np.ndarray, " phases"]

    @property
    def embedding(self) -> Float[np.ndarray, " embedding"] | None:
        """The task embedding υ; `None` before any gradient step, and for learners that do not modulate."""
        return None if self.model.embedding is None else np.asarray(self.model.embedding)

    def act(self, observation: ArrayLike, *, key: PRNGKeyArray | None = None) -> np.ndarray:
        """The likeliest action after an observation, or one drawn with `key`; for an array of them an array of actions.

        Actions are as the environment takes them, in its own units and within its bounds: vectors, or whole numbers
        where there are choices. Raises `ValueError` for observations of another size, or not finite.
        """
        size = self.environment.observation_size
        seen = np.asarray(observation, np.float32)
        if seen.ndim == 0 or seen.shape[-1] != size:
            raise ValueError(f"the observation has the shape {seen.shape}; its last axis must have the size {size}.")
        if not np.isfinite(seen).all():
            raise ValueError(f"the observation {observation} is not finite; give finite numbers.")
        said = _said(self.model, jnp.asarray(seen.reshape(-1, size)))
        actions = said.likeliest()
        if key is not None:
            actions = said.draw(action_noise(self.environment, key, actions.shape[:1]))
        actions = self.environment.within(np.asarray(self.environment.scale(actions)))
        return actions.reshape((*seen.shape[:-1], *actions.shape[1:]))


def drawn_task(environment: Environment, mode: int | None, seed: int) -> Any:
    """A batch of one task: the first of `mode`, or of all, among those drawn with `seed`.

    Raises `ValueError` if none of many is of the mode.
    """
    count, (task_key, _) = 20 * len(environment.modes), task_and_episode_keys(seed)
    for key in jr.split(task_key, DRAWS):
        tasks = environment.sample_tasks(key, count)
        found = [i for i, number in enumerate(np.asarray(tasks.mode).tolist()) if mode in (None, number)]
        if found:
            return jax.tree.map(lambda leaf, first=found[0]: leaf[first : first + 1], tasks)
    raise ValueError(
        f"none of {DRAWS * count} tasks drawn with the seed {seed} is of the mode {environment.modes[mode or 0]!r}; "
        "take another mode or seed."
    )


def given_task(environment: Environment, task: Any, mode: int) -> Any:
    """A batch of one task: the goal `task`, or what `set_task` of the user's own environment takes.

    Raises `ValueError` unless it is like those that the environment draws.
    """
    batch = environment.sample_tasks(jr.key(0), 1)
    name = "goal" if isinstance(batch, GoalTask) else "task"
    wanted = getattr(batch, name)

    def fit(like: Array | np.ndarray, number: Any) -> np.ndarray:
        found = np.asarray(number)
        if found.shape != like.shape[1:] or not np.can_cast(found.dtype, like.dtype, "same_kind"):
            raise ValueError(f"an array of {found.dtype} of the shape {found.shape}")
        if not np.isfinite(found).all():
            raise ValueError("not finite")
        return found.astype(like.dtype)[None]

    try:
        fitted = jax.tree.map(fit, wanted, task)
    except (TypeError, ValueError) as error:
        like = jax.tree.map(lambda leaf: np.asarray(leaf)[0], wanted)
        raise ValueError(f"the {name} {task!r} does not fit ({error}); give finite numbers such as {like!r}.") from None
    return eqx.tree_at(lambda t: (getattr(t, name), t.mode), batch, (fitted, jnp.array([mode])))


@eqx.filter_jit
def _said(model: TaskModel, observations: Float[Array, "observations size"]) -> AbstractDistribution:
    return model(observations)
