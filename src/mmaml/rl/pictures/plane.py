"""Goals drawn in the plane, and pictures of what moves in it."""

from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmaml.report.drawing import GRID, INK, MUTED, STYLE, colour
from mmaml.rl.envs.environment import AbstractGoalEnvironment, Actions, Observations
from mmaml.rl.envs.goals import GoalTask


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
        self, observations: Observations, actions: Actions, task: GoalTask, steps: Sequence[int]
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """Pictures of one episode before each of `steps`, with a star at the goal and a line where the point was."""
        shade, path = colour(int(task.mode)), self.environment.path(observations, actions)
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
    """Limits, labels and the density of the goals: contours in the plane, bands of one standard deviation over time."""
    panel.grid(False)
    centres, std = np.array(environment.goals.centres), environment.goals.std
    # What the goals take, and the start; a bad policy may leave the panel.
    low, high = np.minimum(centres.min(0) - 3 * std, 0), np.maximum(centres.max(0) + 3 * std, 0)
    if environment.over_time:
        for centre in centres:
            (seconds, least), (_, most) = (environment.goal_line(goal).T for goal in (centre - std, centre + std))
            panel.fill_between(seconds, least, most, color=GRID, linewidth=0)
        (seconds, least), (_, most) = environment.goal_line(low).T, environment.goal_line(high).T
        panel.set(xlim=seconds, ylim=(least[-1], most[-1]), xlabel="time (s)", ylabel="x (m)")
        return
    reach = environment.reach
    if reach is not None:
        low, high = np.full(2, -1.1 * reach), np.full(2, 1.1 * reach)
    x, y = np.meshgrid(*np.linspace(low, high, 121).T)
    density = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * std**2)) for a, b in centres)
    if reach is not None:
        density = np.where(np.hypot(x, y) < reach, density, np.nan)
        angle = np.linspace(0, 2 * np.pi, 121)
        panel.plot(reach * np.cos(angle), reach * np.sin(angle), color=MUTED, linewidth=0.5)
    panel.contour(
        x, y, density, levels=np.exp(-0.5 * np.array([2.5, 2, 1.5, 1, 0.5]) ** 2), colors=GRID, linewidths=0.8
    )
    panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="x", ylabel="y")
    panel.set_aspect("equal")


def mark_goal(panel: Axes, environment: AbstractGoalEnvironment, goal: Float[np.ndarray, " size"], colour: str) -> None:
    """A star where the goal is, or a dashed line over time."""
    line = environment.goal_line(goal).T
    if environment.over_time:
        panel.plot(*line, color=colour, linewidth=1.4, linestyle=(0, (4, 3)))
    else:
        panel.plot(*line, "*", color=colour, markersize=13, markeredgecolor=INK, markeredgewidth=0.8)
