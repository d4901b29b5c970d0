"""A trained learner in use: adapt it to a few labelled images of new classes, then classify others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float, UInt8

from mmaml.classification.build import cross_entropy, make_learner
from mmaml.classification.datasets.pictures import fit
from mmaml.classification.presets import ClassificationConfig
from mmaml.core.learners import AbstractLearner
from mmaml.core.network import TaskModel
from mmaml.core.task import Samples
from mmaml.experiments.modelfile import fill_learner, write_model
from mmaml.experiments.neighbours import EmbeddedTasks
from mmaml.runs.config import from_dict, to_dict
from mmaml.supervised.use import AdaptedTask, adapt_to, landmark_tensors, outputs, read_landmarks


DOMAIN = "classification"


class AdaptedClassifier(AdaptedTask):
    """The model of one task. `predict`, `predict_proba` and `classes_` as in scikit-learn.

    `embedding` and `mode_neighbours` as in `AdaptedTask`.
    """

    def __init__(
        self,
        model: TaskModel,
        classes: np.ndarray,
        side: int,
        channels: int,
        known: EmbeddedTasks | None,
        modes: tuple[str, ...],
    ):
        super().__init__(model, known, modes)
        self._side = side
        self._channels = channels
        self.classes_ = classes

    def predict_proba(self, images: Any) -> Float[np.ndarray, "images classes"]:
        """Probability of each of `classes_` for each image; images as in `ClassificationModel.adapt`.

        By default images are normalised together, as in training, so the answer depends a little on the company
        they come in; models trained with `--normalise-by support` look at each one alone.
        """
        inputs = jnp.asarray(_inputs(images, self._side, self._channels))
        logits = outputs(self._model, inputs)[:, : len(self.classes_)]
        return np.asarray(jax.nn.softmax(logits))

    def predict(self, images: Any) -> np.ndarray:
        """The likeliest class of each image."""
        return self.classes_[self.predict_proba(images).argmax(-1)]


class ClassificationModel:
    """A meta-trained learner with everything it takes to use it.

    `landmarks` are training tasks that it compares new ones with.
    """

    def __init__(
        self,
        config: ClassificationConfig,
        learner: AbstractLearner,
        channels: int,
        modes: tuple[str, ...],
        landmarks: EmbeddedTasks | None,
    ):
        self.config = config
        self.learner = learner
        self.channels = channels
        self.modes = modes
        self.landmarks = landmarks

    def adapt(
        self, images: Any, labels: Sequence[Any], *, steps: int | None = None, mode: str | None = None
    ) -> AdaptedClassifier:
        """Learn new classes from a few labelled images.

        `images` are uint8 arrays of the shape `(images, height, width, channels)` with 1 or 3 channels, or
        `(images, height, width)` in gray, of any size, or a sequence of such images of different sizes. `labels` are
        anything that can be sorted; there may be fewer classes than in meta-training, not more. `steps` gradient
        steps are taken (default: as in meta-training). Multi-MAML must be told the `mode`.

        Raises `ValueError` for what does not fit.
        """
        inputs = _inputs(images, self.config.side, self.channels)
        classes, targets = np.unique(np.asarray(labels), return_inverse=True)
        if len(targets) != len(inputs):
            raise ValueError(f"there are {len(inputs)} images and {len(targets)} labels; give each image one label.")
        if not 2 <= len(classes) <= self.config.way:
            raise ValueError(
                f"there are {len(classes)} classes; this model was trained to tell {self.config.way} apart and takes "
                f"2 to {self.config.way}. Train one with --way {len(classes)} for more."
            )
        support = Samples(jnp.asarray(inputs), jnp.asarray(targets))
        adapted = adapt_to(self.learner, support, cross_entropy, steps=steps, mode=mode, modes=self.modes)
        side, channels = self.config.side, self.channels
        return AdaptedClassifier(adapted, classes, side, channels, self.landmarks, self.modes)

    def save(self, path: Path) -> None:
        """Write the model to one safetensors file."""
        header = {"config": to_dict(self.config), "modes": self.modes, "channels": self.channels}
        write_model(path, DOMAIN, self.learner, header, landmark_tensors(self.landmarks))

    @classmethod
    def restore(cls, header: dict[str, Any], tensors: dict[str, np.ndarray], path: Path) -> "ClassificationModel":
        """The model whose file at `path` holds `header` and `tensors`. Raises `UserError` if it is damaged."""
        config = from_dict(ClassificationConfig, header["config"])
        modes = tuple(header["modes"])
        make = eqx.Partial(make_learner, config, channels=header["channels"], modes=modes)
        like = eqx.filter_eval_shape(lambda key: make(key=key), jr.key(0))
        return cls(config, fill_learner(like, tensors, path), header["channels"], modes, read_landmarks(tensors))


def _inputs(images: Any, side: int, channels: int) -> Float[np.ndarray, "images side side channels"]:
    def one(image: Any) -> UInt8[np.ndarray, "side side channels"]:
        array = np.asarray(image)
        array = array[..., None] if array.ndim == 2 else array
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3):
            raise ValueError(
                f"an image is {array.dtype} of the shape {array.shape}; it must be uint8 of the shape "
                "(height, width), or (height, width, channels) with 1 or 3 channels."
            )
        return fit(array[None], side, channels)[0]

    if len(images) == 0:
        raise ValueError("there are no images; give at least one.")
    return np.stack([one(image) for image in images]).astype(np.float32) / 255
