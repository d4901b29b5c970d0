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
from jaxtyping import Array, Float, Int, PRNGKeyArray
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.core.task import Mixture, Samples, Task
from mmaml.regression.build import Sources, make_sources, mean_squared_error
from mmaml.regression.presets import RegressionConfig
from mmaml.regression.tables import Scaler
from mmaml.regression.tasks import FAMILIES, NOISE_STD, X_RANGE, FunctionTasks
from mmaml.report.drawing import INK, MUTED, STYLE, colour, line_style, to_svg
from mmaml.runs.files import write_atomically, write_json
from mmaml.runs.folder import RunFolder


FIGURE_SEED = 0
"""Figures show the same tasks, whatever learner they are about."""

EMBEDDED_TASKS = 1500
NEIGHBOURS = 15
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
    parts = source.sources if isinstance(source, Mixture) else (source,)
    functions = [part for part in parts if isinstance(part, FunctionTasks)]
    if len(functions) == len(parts):
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
        parameter_key, x_key, noise_key = jr.split(key, 3)
        family = FAMILIES[part.family]
        parameters = family.draw(parameter_key)
        x = jr.uniform(x_key, (part.shots, 1), minval=X_RANGE[0], maxval=X_RANGE[1])
        y = family(parameters, x) + NOISE_STD * jr.normal(noise_key, x.shape)
        return Task(Samples(x, y), Samples(grid, family(parameters, grid)), jnp.array(mode))

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
    curves = {label: y(_fits(learner, examples.tasks, examples.grid)) for label, learner in learners.items()}
    figure = Figure((2.3 * len(examples.names) + 0.6, 5.0))
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
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=len(learners) + 2)
    return figure


def _in_units(scaler: Scaler) -> tuple[Callable[[Array], np.ndarray], Callable[[Array], np.ndarray]]:
    """Bring a learner's inputs and targets, single numbers, back to the units of the data."""

    def x(inputs: Array) -> np.ndarray:
        return np.asarray(inputs)[..., 0] * scaler.x_std[0] + scaler.x_mean[0]

    def y(targets: Array) -> np.ndarray:
        return np.asarray(targets)[..., 0] * scaler.y_std + scaler.y_mean

    return x, y


@eqx.filter_jit
def _fits(learner: AbstractLearner, tasks: Task, grid: Float[Array, "grid 1"]) -> Float[Array, "tasks 2 grid 1"]:
    def before_and_after(support: Samples, mode: Int[Array, ""]) -> Float[Array, "2 grid 1"]:
        path = list(learner.adapt(support, mode, mean_squared_error))
        return jnp.stack([path[0](grid), path[-1](grid)])

    return jax.vmap(before_and_after)(tasks.support, tasks.mode)


def _after_steps(steps: set[int]) -> str:
    if len(steps) > 1:
        return "after the last gradient step"
    (count,) = steps
    return f"after {count} gradient step" + "s" * (count != 1)


@eqx.filter_jit
def _embed(learner: MMAML, tasks: Task) -> Float[Array, "tasks embedding"]:
    return jax.vmap(learner.modulator.encoder)(tasks.support)


def embeddings(learner: MMAML, tasks: Task) -> Float[np.ndarray, "tasks embedding"]:
    """The task embedding υ of every task."""
    return np.asarray(_embed(learner, tasks))


def neighbour_accuracy(
    embeddings: Float[np.ndarray, "tasks embedding"], modes: Int[np.ndarray, " tasks"], k: int = NEIGHBOURS
) -> float:
    """How often the mode of a task is the commonest one among its `k` nearest neighbours, itself left out.

    Ties go to the mode with the lowest number. Raises `ValueError` unless there are more than `k` tasks.
    """
    nearest = NearestNeighbors(n_neighbors=k).fit(embeddings).kneighbors(return_distance=False)
    votes = np.stack([(modes[nearest] == mode).sum(1) for mode in range(modes.max() + 1)])
    return float(np.mean(votes.argmax(0) == modes))


@matplotlib.rc_context(STYLE)
def embedding_map(
    embeddings: Float[np.ndarray, "tasks embedding"], modes: Int[np.ndarray, " tasks"], names: Sequence[str]
) -> Figure:
    """Figure 3a: tasks laid out in the plane by t-SNE, coloured by mode; `names[i]` is the name of mode `i`.

    Beside it stands the neighbour accuracy, which unlike the picture looks at all of the embedding.
    """
    # Threads that wait for one another are many times slower than one thread on a machine that is busy.
    with threadpool_limits(1):
        plane = TSNE(init="pca", random_state=FIGURE_SEED).fit_transform(embeddings)
    figure = Figure((6.6, 4.0))
    axes = figure.add_subplot()
    for i in range(len(names)):
        x, y = plane[modes == i].T
        # The markers differ too, for readers and printers who cannot tell the colours.
        axes.plot(x, y, "osD^vP"[i % 6], color=colour(i), markersize=3.5, alpha=0.8, markeredgewidth=0)
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set_visible(False)
    axes.legend(axes.lines, names, loc="upper left", bbox_to_anchor=(1, 1), markerscale=2, handletextpad=0.3)
    accuracy = neighbour_accuracy(embeddings, modes)
    note = f"mode told by the\n{NEIGHBOURS} nearest neighbours:\n{accuracy:.1%} right\n(chance: {1 / len(names):.0%})"
    axes.text(1.02, 0, note, transform=axes.transAxes, va="bottom", color=MUTED)
    return figure


def write_figures(folder: RunFolder, learner: AbstractLearner, config: RegressionConfig) -> None:
    """Draw a run's `figures/fits.svg`, if its functions have one input, and MMAML's `figures/embedding.svg`.

    `embedding.json` beside the latter holds the neighbour accuracy. Raises `UserError` if the disk does not take them.
    """
    sources = make_sources(config)
    examples = examples_of(sources)
    if examples.grid.shape[1] == 1:
        fits = function_fits({config.learner: learner}, examples)
        write_atomically(folder.figures_path / "fits.svg", to_svg(fits))
    if isinstance(learner, MMAML):
        tasks = eqx.filter_jit(sources.held_out.sample)(jr.key(FIGURE_SEED), EMBEDDED_TASKS)
        points, modes = embeddings(learner, tasks), np.asarray(tasks.mode)
        picture = embedding_map(points, modes, sources.held_out.modes)
        write_atomically(folder.figures_path / "embedding.svg", to_svg(picture))
        accuracy = neighbour_accuracy(points, modes)
        numbers = {"neighbour_accuracy": accuracy, "k": NEIGHBOURS, "tasks": EMBEDDED_TASKS}
        write_json(folder.figures_path / "embedding.json", numbers)
