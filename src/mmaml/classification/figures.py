"""Pictures of classification: episodes with predictions before and after adaptation, task embeddings (Figure 3b)."""

import operator

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
from jaxtyping import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmaml.classification.config import ClassificationConfig
from mmaml.classification.loss import cross_entropy
from mmaml.classification.sources import Sources
from mmaml.core.evaluate import outputs_before_and_after
from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.core.task import Mixture, Task
from mmaml.experiments.embedding import CAPTION, tasks_on_map, write_embedding
from mmaml.report.drawing import COLOURS, MUTED, STYLE, to_svg
from mmaml.runs.files import write_atomically
from mmaml.runs.folder import RunFolder
from mmaml.supervised.embed import embed_tasks


FIGURE_SEED = 0
"""Figures show the same tasks, whatever learner they are about."""

CAPTIONS = {
    "episodes": "A task of each kind: a labelled image of each class, then images to classify, with the probability of "
    "their true class before any gradient step and after the last.",
    "embedding": CAPTION,
}
"""Of the pictures in a run's `figures/`, by file name."""

MOST_TASKS_ON_MAP = 1000
SHOWN = 5
"""Support and query images of an episode that are shown, at most."""


def example_episodes(source: Mixture) -> Task:
    """One episode of each mode, always the same, ordered by mode."""
    drawn = eqx.filter_jit(source.sample)(jr.key(FIGURE_SEED), len(source.modes))
    order = jnp.argsort(drawn.mode)
    return jax.tree.map(lambda leaf: leaf[order], drawn)


@matplotlib.rc_context(STYLE)
def episodes_picture(learner: AbstractLearner, episodes: Task, names: tuple[str, ...], way: int) -> Figure:
    """A row for each episode: one support image a class, then query images.

    Over each query image stands the probability of its true class before any gradient step and after the last one;
    its frame says whether the final prediction is right.
    """
    logits = outputs_before_and_after(learner, episodes, episodes.query.inputs, cross_entropy)
    probabilities = np.asarray(jax.nn.softmax(logits))
    classes = min(way, SHOWN)
    figure = Figure((1.05 * 2 * classes + 0.5, 1.45 * len(names) + 0.3))
    axes = figure.subplots(len(names), 2 * classes, squeeze=False)
    for row, name in enumerate(names):
        task = jax.tree.map(operator.itemgetter(row), episodes)
        support, query = np.asarray(task.support.targets), np.asarray(task.query.targets)
        for label in range(classes):
            panel = axes[row, label]
            _show(panel, task.support.inputs[np.flatnonzero(support == label)[0]], MUTED)
            panel.set_title(chr(ord("A") + label), fontsize=7.5)
            if label == 0:
                panel.set_ylabel(name, fontsize=8)
            i = np.flatnonzero(query == label)[0]
            before, after = probabilities[row, :, i]
            right = after.argmax() == label
            panel = axes[row, classes + label]
            _show(panel, task.query.inputs[i], COLOURS[2] if right else COLOURS[1])
            letter = chr(ord("A") + label)
            panel.set_title(f"{letter} {before[label]:.0%} → {after[label]:.0%}", fontsize=7.5, fontweight="normal")
            panel.set_xlabel("right" if right else f"taken for {chr(ord('A') + after.argmax())}", fontsize=7)
    return figure


def _show(panel: Axes, image: Array, frame: str) -> None:
    pixels = np.asarray(image)
    panel.imshow(pixels if pixels.shape[-1] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=1)
    panel.set(xticks=[], yticks=[])
    panel.grid(visible=False)
    panel.spines[:].set(visible=True, color=frame, linewidth=1.5)


def write_figures(folder: RunFolder, learner: AbstractLearner, sources: Sources, config: ClassificationConfig) -> None:
    """Draw a run's `figures/episodes.svg`, and MMAML's map of task embeddings.

    Raises `UserError` if the disk does not take them.
    """
    source = sources.test
    picture = episodes_picture(learner, example_episodes(source), source.modes, config.way)
    write_atomically(folder.figures_path / "episodes.svg", to_svg(picture))
    if isinstance(learner, MMAML):
        embedded = embed_tasks(learner, source, jr.key(FIGURE_SEED), tasks_on_map(config, MOST_TASKS_ON_MAP))
        write_embedding(folder, embedded, source.modes)
