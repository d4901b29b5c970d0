"""What the modulator makes of tasks: how well embeddings tell the modes, and a map of them (Figure 3).

scikit-learn takes a second to import, which commands that draw no map should not wait for.
"""

import warnings
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from mmaml.experiments.neighbours import NEIGHBOURS, EmbeddedTasks
from mmaml.report.drawing import MUTED, STYLE, colour, to_svg
from mmaml.runs.errors import Note
from mmaml.runs.files import write_atomically, write_json
from mmaml.runs.folder import RunFolder


def neighbour_accuracy(tasks: EmbeddedTasks, k: int = NEIGHBOURS) -> float:
    """How often the mode of a task is the commonest one among its `k` nearest neighbours, itself left out.

    Ties go to the mode with the lowest number. Raises `ValueError` unless there are more than `k` tasks.
    """
    from sklearn.neighbors import NearestNeighbors

    points, modes = tasks
    nearest = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    votes = np.stack([(modes[nearest] == mode).sum(1) for mode in range(modes.max() + 1)])
    return float(np.mean(votes.argmax(0) == modes))


@matplotlib.rc_context(STYLE)
def embedding_map(tasks: EmbeddedTasks, names: Sequence[str]) -> Figure:
    """Tasks laid out in the plane by t-SNE, coloured by mode; `names[i]` is the name of mode `i`.

    Beside it stands the neighbour accuracy, which unlike the picture looks at all of the embedding.
    """
    from sklearn.manifold import TSNE

    # Threads that wait for one another are many times slower than one thread on a machine that is busy.
    with threadpool_limits(1):
        plane = TSNE(init="pca", random_state=0).fit_transform(tasks.points)
    figure = Figure((6.6, 4.0))
    axes = figure.add_subplot()
    for i in range(len(names)):
        x, y = plane[tasks.modes == i].T
        # The markers differ too, for readers and printers who cannot tell the colours.
        axes.plot(x, y, "osD^vP"[i % 6], color=colour(i), markersize=3.5, alpha=0.8, markeredgewidth=0)
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set_visible(False)
    axes.legend(axes.lines, names, loc="upper left", bbox_to_anchor=(1, 1), markerscale=2, handletextpad=0.3)
    accuracy = neighbour_accuracy(tasks)
    note = f"mode told by the\n{NEIGHBOURS} nearest neighbours:\n{accuracy:.1%} right\n(chance: {1 / len(names):.0%})"
    axes.text(1.02, 0, note, transform=axes.transAxes, va="bottom", color=MUTED)
    return figure


def write_embedding(folder: RunFolder, tasks: EmbeddedTasks, names: Sequence[str]) -> None:
    """Write the map to a run's `figures/embedding.svg`, and the neighbour accuracy to `embedding.json` beside it.

    There is none, and a `Note` says so, if all embeddings are the same: t-SNE would crash on them.
    """
    spread = np.ptp(tasks.points, axis=0).max()
    if not spread > 1e-6 * np.abs(tasks.points).max():
        message = "the modulator gives all tasks the same embedding, so there is no map of them"
        warnings.warn(f"{folder.path}: {message}.", Note, stacklevel=2)
        return
    picture = embedding_map(tasks, names)
    write_atomically(folder.figures_path / "embedding.svg", to_svg(picture))
    numbers = {"neighbour_accuracy": neighbour_accuracy(tasks), "k": NEIGHBOURS, "tasks": len(tasks.modes)}
    write_json(folder.figures_path / "embedding.json", numbers)
