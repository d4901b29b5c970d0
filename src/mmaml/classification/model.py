"""A trained learner in use: adapt it to a few labelled images of new classes, then classify others."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float
from PIL import Image

from mmaml.classification.config import ClassificationConfig
from mmaml.classification.datasets.pictures import FEWEST_BITS, as_picture, bits_of
from mmaml.classification.learner import make_learner
from mmaml.classification.loss import cross_entropy
from mmaml.core.learners import AbstractLearner
from mmaml.core.network import TaskModel
from mmaml.core.task import Samples
from mmaml.experiments.modelfile import fill_learner, write_model
from mmaml.experiments.neighbours import EmbeddedTasks
from mmaml.nn.convnet import ConvNet
from mmaml.runs.config import from_dict, to_dict
from mmaml.runs.errors import Note
from mmaml.supervised.use import AdaptedTask, adapt_to, landmark_tensors, outputs, read_landmarks


class AdaptedClassifier(AdaptedTask):
    """The model of one task. `predict`, `predict_proba`, `score` and `classes_` as in scikit-learn.

    `embedding` and `mode_neighbours` as in `mmaml.AdaptedTask`.
    """

    def __init__(
        self,
        model: TaskModel,
        classes: np.ndarray,
        side: int,
        channels: int,
        bits: int,
        known: EmbeddedTasks | None,
        modes: tuple[str, ...],
    ):
        super().__init__(model, known, modes)
        self._side = side
        self._channels = channels
        self._bits = bits
        self.classes_ = classes

    def predict_proba(self, images: Any) -> Float[np.ndarray, "images classes"]:
        """Probability of each of `classes_` for each image; images as in `ClassificationModel.adapt`.

        A model trained with `--normalise-by support` (the default for images of one's own) looks at each image alone.
        One trained with `--normalise-by set`, as published, normalises them together and needs a mixed company: alone,
        or among images of one class, an image is classified at about chance. It warns (`Note`) of few images.
        """
        inputs = jnp.asarray(_inputs(_listed(images), self._side, self._channels, self._bits))
        network = self._model.network
        if isinstance(network, ConvNet) and not network.support_statistics and len(inputs) < 2 * len(self.classes_):
            warnings.warn(
                f"{len(inputs)} images are classified by a model that normalises them together, for which that is too "
                "few: give it many of all classes at once, or train with --normalise-by support.",
                Note,
                stacklevel=2,
            )
        logits = outputs(self._model, inputs)[:, : len(self.classes_)]
        return np.asarray(jax.nn.softmax(logits))

    def predict(self, images: Any) -> np.ndarray:
        """The likeliest class of each image."""
        return self.classes_[self.predict_proba(images).argmax(-1)]

    def score(self, images: Any, labels: Sequence[Any]) -> float:
        """The share of images whose likeliest class is their label. Raises `ValueError` for other numbers of these."""
        predicted = self.predict(images)
        if len(predicted) != len(labels):
            raise ValueError(f"there are {len(predicted)} images and {len(labels)} labels; give each image one label.")
        return float(np.mean(predicted == np.asarray(labels)))


@dataclass(frozen=True, eq=False)
class ClassificationModel:
    """A meta-trained learner with everything it takes to use it.

    It takes images with `channels` channels. Gray pictures with more than 8 bits have at least `bits`, as those it was
    trained with. `landmarks` are training tasks that it compares new ones with.
    """

    config: ClassificationConfig
    learner: AbstractLearner
    channels: int
    bits: int
    modes: tuple[str, ...]
    landmarks: EmbeddedTasks | None

    def adapt(
        self, images: Any, labels: Sequence[Any], *, steps: int | None = None, mode: str | None = None
    ) -> AdaptedClassifier:
        """Learn new classes from a few labelled images.

        `images` are paths of picture files, Pillow images or uint8 arrays, of any sizes: arrays of the shape `(height,
        width)` in gray, or `(height, width, channels)` with 1 or 3 channels. `labels` are anything that can be sorted;
        there may be fewer classes than in meta-training, not more. `steps` gradient steps are taken (default: as in
        meta-training). Multi-MAML must be told the `mode`.

        Raises `ValueError` for what does not fit, and `UserError` for files that cannot be read.
        """
        images = _listed(images)
        bits = max(self.bits, bits_of(images))
        inputs = _inputs(images, self.config.side, self.channels, bits)
        if self.config.drawings and inputs.mean() > 0.5:
            warnings.warn(
                "the model was trained on Omniglot's drawings, white on black, and these images are mostly bright: "
                "invert them, or it is right far less often.",
                Note,
                stacklevel=2,
            )
        given = np.asarray(labels)
        if given.shape != (len(inputs),):
            raise ValueError(
                f"there are {len(inputs)} images, and labels of the shape {given.shape}; give each image one label."
            )
        if given.dtype.kind == "U" and not all(isinstance(label, str) for label in labels):
            raise ValueError("labels must be of one kind, all numbers or all texts; NumPy would make texts of numbers.")
        if given.dtype.kind == "f" and np.isnan(given).any():
            raise ValueError("a label is nan; give each image a label.")
        try:
            classes, targets = np.unique(given, return_inverse=True)
        except TypeError as error:
            raise ValueError(f"labels must be of one kind, all numbers or all texts: {error}.") from error
        if not 2 <= len(classes) <= self.config.way:
            most = self.config.way
            takes = "2" if most == 2 else f"2 to {most}"
            more = f" Train one with --way {len(classes)} for more." if len(classes) > most else ""
            raise ValueError(f"the labels are of {len(classes)} classes; this model takes {takes}.{more}")
        support = Samples(jnp.asarray(inputs), jnp.asarray(targets))
        adapted = adapt_to(self.learner, support, cross_entropy, steps=steps, mode=mode, modes=self.modes)
        side, channels = self.config.side, self.channels
        return AdaptedClassifier(adapted, classes, side, channels, bits, self.landmarks, self.modes)

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file."""
        header = {"config": to_dict(self.config), "modes": self.modes, "channels": self.channels, "bits": self.bits}
        write_model(path, self.config.DOMAIN, self.learner, header, landmark_tensors(self.landmarks))

    @classmethod
    def restore(cls, header: dict[str, Any], tensors: dict[str, np.ndarray], path: Path) -> "ClassificationModel":
        """The model whose file at `path` holds `header` and `tensors`. Raises `UserError` if it is damaged."""
        config = from_dict(ClassificationConfig, header["config"])
        modes = tuple(header["modes"])
        like = eqx.filter_eval_shape(make_learner, config, channels=header["channels"], modes=modes, key=jr.key(0))
        learner = fill_learner(like, tensors, path)
        bits = header.get("bits", FEWEST_BITS)  # models written before it was remembered lack it
        return cls(config, learner, header["channels"], bits, modes, read_landmarks(tensors))


def _listed(images: Any) -> list[Any]:
    """Images one by one. Raises `ValueError` if they are a single one, or none."""
    numbers = isinstance(images, np.ndarray) and images.dtype.kind not in "OUS"
    one_array = numbers and (images.ndim < 3 or images.shape[2:] in ((1,), (3,)))
    if one_array or isinstance(images, str | Path | Image.Image):
        raise ValueError("a single image was given; give a list, [image], of it or of several.")
    images = list(images)
    if not images:
        raise ValueError("there are no images; give at least one.")
    return images


def _inputs(
    images: Sequence[Any], side: int, channels: int, bits: int
) -> Float[np.ndarray, "images side side channels"]:
    """What a network reads of images, of which deep gray ones are taken to have `bits`."""
    return np.stack([as_picture(image, side, channels, bits) for image in images]).astype(np.float32) / 255
