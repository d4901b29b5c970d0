"""A few tasks to look at, and what an agent did in them."""

from typing import NamedTuple

import jax
import jax.random as jr
import numpy as np
from jaxtyping import PyTree

from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.rl.envs.environment import AbstractGoalEnvironment
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.experience import Trajectories
from mmaml.rl.explore import Exploration
from mmaml.rl.tasks import task_and_episode_keys


FIGURE_SEED = 39
"""Figures show the same tasks, whatever learner they are about; with this one none is far off its mode's centre."""


class Examples(NamedTuple):
    """A batch of tasks, with `episodes` (axes: tasks, rollouts, steps) of each phase, and the phases' names."""

    tasks: PyTree
    episodes: tuple[Trajectories, ...]
    phases: tuple[str, ...]


def examples_of(learner: AbstractLearner, exploration: Exploration, tasks: PyTree, seed: int) -> Examples:
    """What the agent does in `tasks` before and after each of its gradient steps."""
    steps, (_, episode_key) = learner.inner.steps, task_and_episode_keys(seed)
    explored = exploration.explore(learner, tasks, jr.split(episode_key, len(tasks.mode)), steps)
    return Examples(tasks, explored.episodes, phase_names(learner, steps))


def phase_names(learner: AbstractLearner, steps: int) -> tuple[str, ...]:
    """What was done to the policy before each phase."""
    how = "modulated, " if isinstance(learner, MMAML) else "after "
    after = (f"{how}{step} gradient step" + "s" * (step != 1) for step in range(1, steps + 1))
    return "before any gradient step", *after


def task_of_each_mode(environment: AbstractGoalEnvironment, seed: int) -> GoalTask:
    """One task of every mode, ordered by mode."""
    task_key, _ = task_and_episode_keys(seed)
    drawn = environment.sample_tasks(task_key, 20 * len(environment.modes))
    modes, first = np.unique(np.asarray(drawn.mode), return_index=True)
    assert len(modes) == len(environment.modes)
    return jax.tree.map(lambda leaf: leaf[first], drawn)
