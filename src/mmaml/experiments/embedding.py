"""What the modulator makes of tasks: how well embeddings tell the modes, and a map of them (Figure 3).

scikit-learn takes a second to import, which commands that draw no map should not wait for.
"""

import warnings
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from mmaml.experiments.config import ExperimentConfig
from mmaml.experiments.neighbours import NEIGHBOURS, EmbeddedTasks
from mmaml.report.drawing import MUTED, STYLE, colour, to_svg
from mmaml.runs.errors import Note
from mmaml.runs.files import write_atomically, write_json
from mmaml.runs.folder import RunFolder


CAPTION = (
    "What the modulator makes of tasks it has not seen, laid out in the plane by t-SNE: every point is a task, and "
    "tasks that look alike to the learner lie close together."
)
"""Of the map, in a report."""


FEWEST_GROUPS = 5
"""How many files of each mode there must be for neighbours of other files to say what kind a task is."""


def tasks_on_map(config: ExperimentConfig, most: int) -> int:
    """How many tasks a run's map shows: as many as the run is judged on, but at least 40 and at most `most`."""
    return min(most, max(40, config.final_tasks))


def neighbour_accuracy(tasks: EmbeddedTasks, k: int = NEIGHBOURS) -> float:
    """How often the mode of a task is the commonest one among its `k` nearest neighbours, itself left out.

    All of its group are left out too: that two draws from one file are alike says nothing about kinds.
    Ties go to the mode with the lowest number. Raises `ValueError` unless each task has `k` others.
    """
    from sklearn.metrics import pairwise_distances

    modes, groups = tasks.modes, tasks.origins()
    others = len(groups) - np.bincount(groups).max()
    if others < k:
        raise ValueError(f"a task has {others} others to be compared with; there must be {k}.")
    distances = pairwise_distances(tasks.points)
    distances[groups[:, None] == groups] = np.inf
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    votes = np.stack([(modes[nearest] == mode).sum(1) for mode in range(modes.max() + 1)])
    return float(np.mean(votes.argmax(0) == modes))


def _tells_kinds(tasks: EmbeddedTasks) -> bool:
    """Whether neighbour accuracy is about kinds of task, and not about a few files."""
    groups = tasks.origins()
    groups_of_modes = [len(np.unique(groups[tasks.modes == mode])) for mode in np.unique(tasks.modes)]
    return len(groups_of_modes) > 1 and min(groups_of_modes) >= FEWEST_GROUPS


def layout(points: Float[np.ndarray, "tasks embedding"]) -> Float[np.ndarray, "tasks 2"] | None:
    """Places in the plane by t-SNE; `None` if all embeddings are the same, on which it would crash."""
    from sklearn.manifold import TSNE

    if not np.ptp(points, axis=0).max() > 1e-6 * np.abs(points).max():
        return None
    # Threads that wait for one another are many times slower than one thread on a machine that is busy.
    with threadpool_limits(1):
        return TSNE(init="pca", random_state=0).fit_transform(points)


def blank_map() -> tuple[Figure, Axes]:
    """Where tasks are laid out: no scales, as distances on the map mean little."""
    figure = Figure((6.6, 4.0))
    axes = figure.add_subplot()
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set_visible(False)
    return figure, axes


@matplotlib.rc_context(STYLE)
def embedding_map(
    plane: Float[np.ndarray, "tasks 2"],
    modes: Int[np.ndarray, " tasks"],
    names: Sequence[str],
    accuracy: float | None,
) -> Figure:
    """Tasks at their places in the plane, coloured by mode; `names[i]` is the name of mode `i`.

    Beside it stands the neighbour `accuracy`, if any, which unlike the picture looks at all of the embedding.
    """
    figure, axes = blank_map()
    for i in range(len(names)):
        x, y = plane[modes == i].T
        # The markers differ too, for readers and printers who cannot tell the colours.
        axes.plot(x, y, "osD^vP"[i % 6], color=colour(i), markersize=3.5, alpha=0.8, markeredgewidth=0)
    axes.legend(axes.lines, names, loc="upper left", bbox_to_anchor=(1, 1), markerscale=2, handletextpad=0.3)
    if accuracy is not None:
        told = f"mode told by the\n{NEIGHBOURS} nearest neighbours:\n{accuracy:.1%} right"
        note = f"{told}\n(chance: {1 / len(names):.0%})"
        axes.text(1.02, 0, note, transform=axes.transAxes, va="bottom", color=MUTED)
    return figure


def write_embedding(
    folder: RunFolder, tasks: EmbeddedTasks, names: Sequence[str]
) -> Float[np.ndarray, "tasks 2"] | None:
    """Write the map to a run's `figures/embedding.svg`, and the neighbour accuracy to `embedding.json` beside it.

    Tasks of a single mode have no such accuracy, nor have those of a few files.
    Returns the places on the map; there is none, and a `Note` says so, if all embeddings are the same.
    """
    plane = layout(tasks.points)
    if plane is None:
        message = "the modulator gives all tasks the same embedding, so there is no map of them"
        warnings.warn(f"{folder.path}: {message}.", Note, stacklevel=2)
        return None
    accuracy = neighbour_accuracy(tasks) if _tells_kinds(tasks) else None
    picture = embedding_map(plane, tasks.modes, names, accuracy)
    write_atomically(folder.figures_path / "embedding.svg", to_svg(picture))
    if accuracy is not None:
        numbers = {"neighbour_accuracy": accuracy, "k": NEIGHBOURS, "tasks": len(tasks.modes)}
        write_json(folder.figures_path / "embedding.json", numbers)
    return plane
