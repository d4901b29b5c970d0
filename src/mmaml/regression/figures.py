"""The paper's figures of regression: fits before and after adaptation (Figure 2), task embeddings (Figure 3a)."""

import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from matplotlib.figure import Figure

from mmaml.core.evaluate import outputs_before_and_after
from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.core.task import Samples, Task
from mmaml.experiments.embedding import CAPTION, tasks_on_map, write_embedding
from mmaml.regression.config import RegressionConfig
from mmaml.regression.loss import mean_squared_error
from mmaml.regression.model import RegressionModel
from mmaml.regression.scaler import Scaler
from mmaml.regression.sources import Sources, make_sources
from mmaml.regression.tasks import FAMILIES, X_RANGE, FunctionTasks
from mmaml.report.drawing import INK, STYLE, colour, line_style, names_in_row, to_svg
from mmaml.runs.files import write_atomically
from mmaml.runs.folder import RunFolder
from mmaml.supervised.embed import embed_tasks


FIGURE_SEED = 0
"""Figures show the same tasks, whatever learner they are about."""

CAPTIONS = {
    "fits": "Predictions on one task of each kind, before any gradient step and after the last; what is too far off "
    "lies outside the picture.",
    "embedding": CAPTION,
}
"""Of the pictures in a run's `figures/`, by file name."""

MOST_TASKS_ON_MAP = 1500
GRID_POINTS = 201


class Examples(NamedTuple):
    """One task of each mode, to draw fits of, and the scale of its numbers.

    Predictions are drawn at the inputs `grid`. If `noise_free`, the tasks' query sets are the true functions there,
    curves to compare with; else they are some more noisy points.
    """

    names: tuple[str, ...]
    tasks: Task
    grid: Float[Array, "grid in"]
    noise_free: bool
    scaler: Scaler


def examples_of(sources: Sources) -> Examples:
    """A held-out task of each mode, always the same, with the true functions where they are known."""
    source, key = sources.held_out, jr.key(FIGURE_SEED)
    functions = [part for part in source.sources if isinstance(part, FunctionTasks)]
    if len(functions) == len(source.sources):
        return _known_functions(functions, key=key)
    drawn = eqx.filter_jit(source.sample)(key, 20 * len(source.modes))
    modes, first = np.unique(np.asarray(drawn.mode), return_index=True)
    x = drawn.support.inputs
    grid = jnp.linspace(x.min((0, 1)), x.max((0, 1)), GRID_POINTS)
    tasks = jax.tree.map(lambda leaf: leaf[first], drawn)
    return Examples(tuple(source.modes[mode] for mode in modes), tasks, grid, noise_free=False, scaler=sources.scaler)


def _known_functions(functions: Sequence[FunctionTasks], *, key: PRNGKeyArray) -> Examples:
    """The families' own definition says what a task's targets would be without noise."""
    grid = jnp.linspace(*X_RANGE, GRID_POINTS)[:, None]

    def draw(part: FunctionTasks, mode: int, key: PRNGKeyArray) -> Task:
        parameters, support = part.draw(key, part.shots)
        return Task(support, Samples(grid, FAMILIES[part.family](parameters, grid)), jnp.array(mode))

    keys = jr.split(key, len(functions))
    tasks = [draw(part, mode, k) for mode, (part, k) in enumerate(zip(functions, keys, strict=True))]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *tasks)
    names = tuple(part.family for part in functions)
    return Examples(names, batch, grid, noise_free=True, scaler=Scaler.identity(1))


@matplotlib.rc_context(STYLE)
def function_fits(learners: dict[str, AbstractLearner], examples: Examples) -> Figure:
    """Figure 2: what each learner (by its label) predicts before any gradient step and after the last.

    The figure has two rows, before and after, and a column for each task of `examples`, whose inputs and targets
    must be single numbers.
    """
    x, y = _in_units(examples.scaler)
    grid = x(examples.grid)
    grids = jnp.broadcast_to(examples.grid, (len(examples.names), *examples.grid.shape))
    curves = {
        label: y(outputs_before_and_after(learner, examples.tasks, grids, mean_squared_error))
        for label, learner in learners.items()
    }
    width = 2.3 * len(examples.names) + 0.6
    figure = Figure((width, 5.0))
    axes = figure.subplots(2, len(examples.names), sharex=True, sharey="col", squeeze=False)
    for (row, column), panel in np.ndenumerate(axes):
        task = jax.tree.map(operator.itemgetter(column), examples.tasks)
        support, query = ((x(samples.inputs), y(samples.targets)) for samples in (task.support, task.query))
        if examples.noise_free:
            panel.plot(*query, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="true function")
        else:
            panel.plot(*query, "o", color=INK, markersize=4.5, fillstyle="none", label="query points")
        for i, label in enumerate(curves):
            panel.plot(grid, curves[label][column, row], color=colour(i), linestyle=line_style(i), label=label)
        panel.plot(*support, "o", color=INK, markersize=4.5, label="support points")
        # A bad prediction may leave the panel; it must not squeeze what it is compared with.
        known = np.concatenate([query[1], support[1]])
        margin = max(0.3 * np.ptp(known), examples.scaler.y_std)
        panel.set_ylim(known.min() - margin, known.max() + margin)
        if row == 0:
            panel.set_title(examples.names[column])
    axes[0, 0].set_ylabel("before any gradient step")
    axes[1, 0].set_ylabel(_after_steps({learner.inner.steps for learner in learners.values()}))
    handles, names = axes[0, 0].get_legend_handles_labels()
    in_row = names_in_row(names, width)
    figure.set_figheight(4.75 + 0.25 * -(-len(names) // in_row))
    figure.legend(handles, names, loc="outside upper left", ncols=in_row)
    return figure


def _in_units(scaler: Scaler) -> tuple[Callable[[Array], np.ndarray], Callable[[Array], np.ndarray]]:
    """Bring a learner's inputs and targets, single numbers, back to the units of the data."""

    def x(inputs: Array) -> np.ndarray:
        return np.asarray(inputs, float)[..., 0] * scaler.x_std[0] + scaler.x_mean[0]

    def y(targets: Array) -> np.ndarray:
        return np.asarray(targets, float)[..., 0] * scaler.y_std + scaler.y_mean

    return x, y


def _after_steps(steps: set[int]) -> str:
    if len(steps) > 1:
        return "after the last gradient step"
    (count,) = steps
    return f"after {count} gradient step" + "s" * (count != 1)


def compare_fits(models: dict[str, RegressionModel]) -> dict[str, Figure]:
    """Figure 2 with the models of several runs, by name, unless their functions have more than one input."""
    examples = examples_of(make_sources(next(iter(models.values())).config))
    if examples.grid.shape[1] > 1:
        return {}
    return {"fits": function_fits({name: model.learner for name, model in models.items()}, examples)}


def write_figures(folder: RunFolder, learner: AbstractLearner, sources: Sources, config: RegressionConfig) -> None:
    """Draw a run's `figures/fits.svg`, if its functions have one input, and MMAML's map of task embeddings.

    Raises `UserError` if the disk does not take them.
    """
    examples = examples_of(sources)
    if examples.grid.shape[1] == 1:
        fits = function_fits({config.learner: learner}, examples)
        write_atomically(folder.figures_path / "fits.svg", to_svg(fits))
    if isinstance(learner, MMAML):
        count = tasks_on_map(config, MOST_TASKS_ON_MAP)
        embedded = embed_tasks(learner, sources.held_out, jr.key(FIGURE_SEED), count)
        write_embedding(folder, embedded, sources.held_out.modes)
