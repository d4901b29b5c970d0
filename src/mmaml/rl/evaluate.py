"""What a learner achieves on tasks it has not seen: the return before and after each gradient step."""

from collections.abc import Callable

import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from mmaml.core.learners import AbstractLearner
from mmaml.rl.explore import Exploration, returns


def evaluate(
    exploration: Exploration, learner: AbstractLearner, tasks: PyTree, key: PRNGKeyArray, steps: int, at_once: int = 40
) -> Float[np.ndarray, "tasks phases"]:
    """Mean return of each task's rollouts before and after every of `steps` gradient steps.

    At most `at_once` tasks are worked on together, which bounds memory.
    """

    def some(tasks: PyTree, keys: Key[Array, " some"]) -> Float[Array, "some phases"]:
        return returns(exploration.explore(learner, tasks, keys, steps).episodes)

    return in_chunks(some, tasks, jr.split(key, len(tasks.mode)), at_once)


def in_chunks(
    work: Callable[[PyTree, Key[Array, " some"]], Float[Array, "some *results"]],
    tasks: PyTree,
    keys: Key[Array, " tasks"],
    at_once: int,
) -> Float[np.ndarray, "tasks *results"]:
    """What `work(tasks, keys)` gives for all tasks, of which it gets as many at a time as fit, at most `at_once`."""
    count = len(keys)
    together = -(-count // -(-count // at_once))
    found = []
    for first in range(0, count, together):
        # Always the same number, so that nothing is compiled anew for the last few.
        chosen = np.arange(first, first + together) % count
        some = jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], tasks)
        found.append(np.asarray(work(some, keys[chosen])))
    return np.concatenate(found)[:count]
