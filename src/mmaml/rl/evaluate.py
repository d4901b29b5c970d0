"""What a learner achieves on tasks it has not seen: the return before and after each gradient step."""

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from mmaml.core.learners import AbstractLearner
from mmaml.rl.envs.environment import AbstractJaxEnvironment
from mmaml.rl.explore import Exploration, returns


def evaluate(
    exploration: Exploration, learner: AbstractLearner, tasks: PyTree, key: PRNGKeyArray, steps: int, at_once: int = 40
) -> Float[np.ndarray, "tasks phases"]:
    """Mean return of each task's rollouts before and after every of `steps` gradient steps.

    `at_once` tasks are worked on together, which bounds memory.
    """
    count = len(tasks.mode)
    keys = jr.split(key, count)
    found = []
    for first in range(0, count, at_once):
        # Always the same number, so that nothing is compiled anew for the last few.
        chosen = np.arange(first, first + at_once) % count
        chunk = jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], tasks)
        found.append(np.asarray(_returns(exploration, learner, chunk, keys[chosen], steps)))
    return np.concatenate(found)[:count]


def _returns(
    exploration: Exploration, learner: AbstractLearner, tasks: PyTree, keys: Key[Array, " tasks"], steps: int
) -> Float[Array, "tasks phases"]:
    if isinstance(exploration.environment, AbstractJaxEnvironment):
        return _inside_jit(exploration, learner, tasks, keys, steps)
    return returns(exploration.explore(learner, tasks, keys, steps)[1])


@eqx.filter_jit
def _inside_jit(
    exploration: Exploration, learner: AbstractLearner, tasks: PyTree, keys: Key[Array, " tasks"], steps: int
) -> Float[Array, "tasks phases"]:
    return returns(exploration.explore(learner, tasks, keys, steps)[1])
