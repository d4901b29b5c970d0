"""The paper's figures of reinforcement learning: embeddings (Figure 3c, d), paths (Figure 5) and frames (Figure 6)."""

import io
import warnings

import jax
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.experiments.embedding import CAPTION
from mmaml.report.drawing import MUTED, STYLE, colour, names_in_row, to_svg
from mmaml.rl.config import PolicyConfig
from mmaml.rl.envs.environment import AbstractGoalEnvironment
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.envs.mujoco import AbstractMujocoEnvironment
from mmaml.rl.experience import Trajectories
from mmaml.rl.explore import Exploration
from mmaml.rl.model import PolicyModel
from mmaml.rl.pictures.camera import Camera
from mmaml.rl.pictures.embedding import write_embeddings
from mmaml.rl.pictures.examples import FIGURE_SEED, Examples, examples_of, task_of_each_mode
from mmaml.rl.pictures.plane import draw_goals, mark_goal
from mmaml.runs.errors import Note, UserError
from mmaml.runs.files import write_atomically
from mmaml.runs.folder import RunFolder


CAPTIONS = {
    "trajectories": "Where a few episodes went in a task of each kind, before any gradient step and after each; behind "
    "them lies the density of the goals.",
    "frames": "Beginning, middle and end of an episode in a task of each kind, before any gradient step and after the "
    "last; the ball is the goal, and the line shows where the body has been.",
    "embedding": CAPTION,
    "embedding_by_goal": "The same tasks on the same map, coloured by their goals.",
}
"""Of the pictures in a run's `figures/`, by file name."""

SHOWN = 5
"""Rollouts of a task that are drawn, at most."""


@matplotlib.rc_context(STYLE)
def trajectories(environment: AbstractGoalEnvironment, examples: dict[str, Examples]) -> Figure:
    """Figure 5: paths of a few rollouts of each task over contours of the goals' density; a cheetah's x over time.

    `examples` are of the same tasks, by the name of who acts: a row of panels each, with a panel for every phase.
    """
    columns = max(len(shown.phases) for shown in examples.values())
    figure = Figure()
    grid = figure.subplots(len(examples), columns, sharex=True, sharey=True, squeeze=False)
    for row, (name, shown) in zip(grid, examples.items(), strict=True):
        for panel in row[len(shown.phases) :]:
            panel.remove()
        for panel, episodes, phase in zip(row, shown.episodes, shown.phases, strict=False):
            panel.set_title(phase)
            _draw_paths(panel, environment, shown.tasks, episodes)
            panel.label_outer()
        if len(examples) > 1:
            row[0].set_ylabel("\n".join(filter(None, (name, row[0].get_ylabel()))))
    first = grid[0, 0]
    shape = first.get_data_ratio() if first.get_aspect() == 1 else 0.8
    modes = dict.fromkeys(np.asarray(next(iter(examples.values())).tasks.mode).tolist())
    width = 3.0 * columns + 0.3
    names = [environment.mode_label(mode) for mode in modes]
    in_row = names_in_row(names, width)
    rows_of_names = -(-len(names) // in_row)
    figure.set_size_inches(width, (2.8 * shape + 0.5) * len(examples) + 0.15 + 0.25 * rows_of_names)
    handles = [first.plot([], [], color=colour(mode))[0] for mode in modes]
    figure.legend(handles, names, loc="outside upper left", ncols=in_row)
    return figure


def _draw_paths(panel: Axes, environment: AbstractGoalEnvironment, tasks: GoalTask, episodes: Trajectories) -> None:
    draw_goals(panel, environment)
    few = jax.tree.map(lambda leaf: leaf[:, :SHOWN], episodes)
    modes = np.asarray(tasks.mode).tolist()
    for mode, rollouts in zip(modes, environment.path(few.observations, few.actions), strict=True):
        panel.plot(*rollouts.transpose(2, 1, 0), color=colour(mode), linewidth=1.2, alpha=0.8)
    for mode, goal in zip(modes, np.asarray(tasks.goal), strict=True):
        mark_goal(panel, environment, goal, colour(mode))


def compare_trajectories(models: dict[str, PolicyModel]) -> dict[str, Figure]:
    """Figure 5 with the models of several runs, by name; nothing for an environment of the user's own."""
    environment = next(iter(models.values())).exploration.environment
    if not isinstance(environment, AbstractGoalEnvironment):
        return {}
    tasks = task_of_each_mode(environment, FIGURE_SEED)
    examples = {name: examples_of(m.learner, m.exploration, tasks, FIGURE_SEED) for name, m in models.items()}
    return {"trajectories": trajectories(environment, examples)}


@matplotlib.rc_context(STYLE)
def frames(environment: AbstractMujocoEnvironment, examples: Examples) -> Figure:
    """Figure 6: beginning, middle and end of an episode of each task, in the first phase and in the last.

    Raises `UserError` if there is no OpenGL to draw with.
    """
    last = environment.horizon - 1
    tasks = [GoalTask(*task) for task in zip(examples.tasks.goal, examples.tasks.mode, strict=True)]
    names = [environment.task_label(task) for task in tasks]
    with Camera(environment) as camera:
        aspect = camera.height / camera.width
        figure = Figure((11.0, (1.7 * aspect + 0.1) * len(names) + 0.5))
        grid = figure.subplots(len(names), 7, squeeze=False, width_ratios=(1, 1, 1, 0.1, 1, 1, 1))
        for gap in grid[:, 3]:
            gap.set_axis_off()
        for panels, phase in ((grid[:, :3], 0), (grid[:, 4:], -1)):
            panels[0, 1].set_title(examples.phases[phase], fontsize=10, fontweight="bold")
            for row, name in enumerate(names):
                episode = jax.tree.map(lambda leaf, row=row: leaf[row, 0], examples.episodes[phase])
                film = camera.film(episode.observations, episode.actions, tasks[row], (0, last // 2, last))
                for panel, image in zip(panels[row], film, strict=True):
                    panel.imshow(image)
                    panel.set(xticks=[], yticks=[])
                    panel.spines[:].set_visible(False)
                if phase == 0:
                    panels[row, 0].set_ylabel(name.replace(" ", "\n", 1), fontsize=8)
            for panel, when in zip(panels[-1], ("beginning", "middle", "end"), strict=True):
                panel.set_xlabel(when, color=MUTED)
    return figure


def write_figures(folder: RunFolder, learner: AbstractLearner, exploration: Exploration, config: PolicyConfig) -> None:
    """Draw a run's `figures/trajectories.svg`, `frames.png` of bodies, and MMAML's maps of task embeddings.

    The embeddings themselves, with modes and goals, are in `embedding.npz`. Without OpenGL to draw with there is a
    `Note` instead of `frames.png`; for an environment of the user's own there is only the map by modes, and no goals.
    Raises `UserError` if the disk does not take them.
    """
    environment = exploration.environment
    if isinstance(environment, AbstractGoalEnvironment):
        examples = examples_of(learner, exploration, task_of_each_mode(environment, FIGURE_SEED), FIGURE_SEED)
        figure = trajectories(environment, {config.learner: examples})
        write_atomically(folder.figures_path / "trajectories.svg", to_svg(figure))
        if isinstance(environment, AbstractMujocoEnvironment) and (png := _frames_if_possible(environment, examples)):
            write_atomically(folder.figures_path / "frames.png", png)
    if isinstance(learner, MMAML):
        write_embeddings(folder, learner, exploration, config)


def _frames_if_possible(environment: AbstractMujocoEnvironment, examples: Examples) -> bytes | None:
    try:
        figure = frames(environment, examples)
    except UserError as error:
        warnings.warn(f"the run has no figures/frames.png: {error}", Note, stacklevel=2)
        return None
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
