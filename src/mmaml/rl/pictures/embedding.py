"""What the modulator makes of tasks from their first episodes, on maps by mode and by goal (Figure 3c, d)."""

import io
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import matplotlib
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray
from matplotlib.figure import Figure

from mmaml.core.learners import MMAML
from mmaml.core.task import Samples
from mmaml.experiments.embedding import blank_map, tasks_on_map, write_embedding
from mmaml.experiments.neighbours import EmbeddedTasks
from mmaml.report.drawing import STYLE, to_svg
from mmaml.rl.config import PolicyConfig
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.evaluate import in_chunks
from mmaml.rl.explore import Exploration
from mmaml.rl.pictures.examples import FIGURE_SEED
from mmaml.rl.settings import settings_of
from mmaml.rl.tasks import task_and_episode_keys
from mmaml.runs.files import write_atomically
from mmaml.runs.folder import RunFolder


TASKS_AT_ONCE = 40


def write_embeddings(folder: RunFolder, learner: MMAML, exploration: Exploration, config: PolicyConfig) -> None:
    """Write a run's `figures/embedding.svg` and `embedding_by_goal.svg`, and the numbers behind them, `embedding.npz`.

    An environment of the user's own has no goals. Raises `UserError` if the disk does not take them.
    """
    environment = exploration.environment
    count = tasks_on_map(config, settings_of(config.environment).tasks_on_map)
    task_key, episode_key = task_and_episode_keys(FIGURE_SEED)
    tasks = environment.sample_tasks(task_key, count)
    embedded = embed_tasks(learner, exploration, tasks, episode_key)
    goals = np.asarray(tasks.goal) if isinstance(tasks, GoalTask) else np.zeros((count, 0), np.float32)
    plane = write_embedding(folder, embedded, environment.modes)
    if plane is not None and goals.size:
        write_atomically(folder.figures_path / "embedding_by_goal.svg", to_svg(goal_map(plane, goals)))
    buffer = io.BytesIO()
    np.savez(buffer, embeddings=embedded.points, modes=embedded.modes, goals=goals)
    write_atomically(folder.figures_path / "embedding.npz", buffer.getvalue())


def embed_tasks(learner: MMAML, exploration: Exploration, tasks: Any, key: PRNGKeyArray) -> EmbeddedTasks:
    """What the modulator makes of a batch of tasks from their first, unmodulated episodes."""

    def some(tasks: Any, keys: Key[Array, " some"]) -> Float[Array, "some embedding"]:
        (support,) = exploration.explore(learner, tasks, keys, 0).samples
        return _embed(learner, support)

    keys = jr.split(key, len(tasks.mode))
    return EmbeddedTasks(in_chunks(some, tasks, keys, TASKS_AT_ONCE), np.asarray(tasks.mode))


@eqx.filter_jit
def _embed(learner: MMAML, support: Samples) -> Float[Array, "tasks embedding"]:
    return jax.vmap(learner.modulator.encoder)(support)


@matplotlib.rc_context(STYLE)
def goal_map(plane: Float[np.ndarray, "tasks 2"], goals: Float[np.ndarray, "tasks size"]) -> Figure:
    """Tasks at their places in the plane, coloured by their goals: the value, or the direction from the origin."""
    if goals.shape[1] == 1:
        look, label = {"c": goals[:, 0], "cmap": "viridis"}, "goal"
    else:
        angle = np.degrees(np.arctan2(goals[:, 1], goals[:, 0]))
        look = {"c": angle, "cmap": "twilight_shifted", "vmin": -180, "vmax": 180}
        label = "direction of the goal (degrees)"
    figure, axes = blank_map()
    dots = axes.scatter(*plane.T, s=12, alpha=0.8, linewidths=0, **look)
    figure.colorbar(dots, label=label)
    return figure
