"""The one task that a trained policy is to learn: drawn with a seed, or given."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from mmaml.rl.envs.environment import Environment
from mmaml.rl.envs.goals import GoalTask


DRAWS = 10
"""How often tasks are drawn until one is of the mode asked for."""


def task_and_episode_keys(seed: int) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """What the tasks of `seed` are drawn with, and what decides the episodes in them: two independent keys."""
    task_key, episode_key = jr.split(jr.key(seed))
    return task_key, episode_key


def drawn_task(environment: Environment, mode: int | None, seed: int) -> Any:
    """A batch of one task: one of `mode`, or of all, among those drawn with `seed`.

    Raises `ValueError` if none of many is of the mode.
    """
    count, (task_key, _) = 20 * len(environment.modes), task_and_episode_keys(seed)
    for key in jr.split(task_key, DRAWS):
        tasks = environment.sample_tasks(key, count)
        # The first of a batch would be of the first mode where modes take turns.
        order = jr.permutation(jr.fold_in(key, 1), count)
        found = [i for i in order.tolist() if mode in (None, int(tasks.mode[i]))]
        if found:
            return jax.tree.map(lambda leaf, i=found[0]: leaf[i : i + 1], tasks)
    raise ValueError(
        f"none of {DRAWS * count} tasks drawn with the seed {seed} is of the mode {environment.modes[mode or 0]!r}; "
        "take another mode or seed."
    )


def given_task(environment: Environment, task: Any, mode: int | None = None) -> Any:
    """A batch of one task: the goal `task`, or what `set_task` of the user's own environment takes.

    Its kind is `mode`, or by default what the environment takes it for.

    Raises `ValueError` unless it is like those that the environment draws, and for a `mode` that the user's own
    environment says it is not of.
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
    mode = environment.mode_of(jax.tree.map(lambda leaf: leaf[0], fitted), mode)
    return eqx.tree_at(lambda t: (getattr(t, name), t.mode), batch, (fitted, jnp.array([mode])))
