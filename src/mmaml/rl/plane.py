"""Goals drawn in the plane, and pictures of what moves in it."""

from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmaml.report.drawing import GRID, INK, MUTED, STYLE, colour
from mmaml.rl.envs.cheetah import AbstractCheetah, CheetahSpeed
from mmaml.rl.envs.environment import AbstractGoalEnvironment
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.envs.reacher import REACH, Reacher
from mmaml.rl.experience import Trajectories
from mmaml.rl.paths import Motion, paths


DPI = 100


class Plane:
    """Films episodes of a point in the plane, over the density of the goals. Used as a `Camera` is.

    Pictures are of `width` × `height` pixels.
    """

    width = height = 480

    def __init__(self, environment: AbstractGoalEnvironment):
        self.environment = environment

    def __enter__(self) -> "Plane":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def film(
        self, episode: Motion | Trajectories, task: GoalTask, steps: Sequence[int]
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """Pictures of one episode before each of `steps`, with a star at the goal and a line where the point was."""
        shade, path = colour(int(task.mode)), paths(self.environment, episode)
        with matplotlib.rc_context(STYLE):
            figure = Figure((self.width / DPI, self.height / DPI), dpi=DPI)
            canvas = FigureCanvasAgg(figure)
            panel = figure.add_subplot()
            draw_goals(panel, self.environment)
            mark_goal(panel, self.environment, np.asarray(task.goal), shade)
            (line,) = panel.plot([], [], color=shade)
            (agent,) = panel.plot([], [], "o", color=INK)
        for step in steps:
            line.set_data(*path[: step + 1].T)
            agent.set_data(*path[step : step + 1].T)
            canvas.draw()
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def draw_goals(panel: Axes, environment: AbstractGoalEnvironment) -> None:
    """Limits, labels and the density of the goals: contours, or bands of one standard deviation for a cheetah."""
    panel.grid(False)
    centres, std = np.array(environment.goals.centres), environment.goals.std
    # What the goals take, and the start; a bad policy may leave the panel.
    low, high = np.minimum(centres.min(0) - 3 * std, 0), np.maximum(centres.max(0) + 3 * std, 0)
    if isinstance(environment, AbstractCheetah):
        seconds = np.array([0, environment.horizon * environment.physics.seconds])
        grows = seconds if isinstance(environment, CheetahSpeed) else np.ones(2)
        for (centre,) in centres:
            panel.fill_between(seconds, (centre - std) * grows, (centre + std) * grows, color=GRID, linewidth=0)
        panel.set(xlim=seconds, ylim=(low[0] * grows[1], high[0] * grows[1]), xlabel="time (s)", ylabel="x (m)")
        return
    if isinstance(environment, Reacher):
        low, high = np.full(2, -1.1 * REACH), np.full(2, 1.1 * REACH)
    x, y = np.meshgrid(*np.linspace(low, high, 121).T)
    density = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * std**2)) for a, b in centres)
    if isinstance(environment, Reacher):
        density = np.where(np.hypot(x, y) < REACH, density, np.nan)
        angle = np.linspace(0, 2 * np.pi, 121)
        panel.plot(REACH * np.cos(angle), REACH * np.sin(angle), color=MUTED, linewidth=0.5)
    panel.contour(
        x, y, density, levels=np.exp(-0.5 * np.array([2.5, 2, 1.5, 1, 0.5]) ** 2), colors=GRID, linewidths=0.8
    )
    panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    panel.set_aspect("equal")


def mark_goal(panel: Axes, environment: AbstractGoalEnvironment, goal: Float[np.ndarray, " size"], colour: str) -> None:
    """A star where the goal is; a dashed line for a cheetah's place or speed."""
    if isinstance(environment, AbstractCheetah):
        seconds = np.array([0, environment.horizon * environment.physics.seconds])
        line = goal[0] * (seconds if isinstance(environment, CheetahSpeed) else np.ones(2))
        panel.plot(seconds, line, color=colour, linewidth=1.4, linestyle=(0, (4, 3)))
    else:
        panel.plot(*goal[:2], "*", color=colour, markersize=13, markeredgecolor=INK, markeredgewidth=0.8)
