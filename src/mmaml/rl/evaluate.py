"""What a learner achieves on tasks it has not seen: the return before and after each gradient step."""

import jax
import jax.random as jr
import numpy as np
from jaxtyping import Float, PRNGKeyArray, PyTree

from mmaml.core.learners import AbstractLearner
from mmaml.rl.explore import Exploration, returns


def evaluate(
    exploration: Exploration, learner: AbstractLearner, tasks: PyTree, key: PRNGKeyArray, steps: int, at_once: int = 40
) -> Float[np.ndarray, "tasks phases"]:
    """Mean return of each task's rollouts before and after every of `steps` gradient steps.

    At most `at_once` tasks are worked on together, which bounds memory.
    """
    count = len(tasks.mode)
    keys = jr.split(key, count)
    together = -(-count // -(-count // at_once))
    found = []
    for first in range(0, count, together):
        # Always the same number, so that nothing is compiled anew for the last few.
        chosen = np.arange(first, first + together) % count
        chunk = jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], tasks)
        explored = exploration.explore(learner, chunk, keys[chosen], steps)
        found.append(np.asarray(returns(explored.episodes)))
    return np.concatenate(found)[:count]
