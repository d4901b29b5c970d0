"""From a configuration to what it names: task sources and learner."""

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmaml.classification.datasets.catalogue import find, is_here, read_path, stand_in_for, tell_apart
from mmaml.classification.datasets.known import DIGITS, OFFICIAL
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.splits import SPLITS, Split
from mmaml.classification.presets import ClassificationConfig
from mmaml.classification.tasks import ImageTasks
from mmaml.core.learners import AbstractLearner
from mmaml.core.task import Mixture
from mmaml.experiments.learner import assemble_learner
from mmaml.nn.convnet import ConvEncoder, ConvNet
from mmaml.runs.errors import DataError, Note, UserError
from mmaml.supervised.build import make_inner


def cross_entropy(logits: Float[Array, "images way"], labels: Int[Array, " images"]) -> Float[Array, ""]:
    """Mean over images."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def accuracy(logits: Float[Array, "images way"], labels: Int[Array, " images"]) -> Float[Array, ""]:
    """Share of images whose highest logit is that of their label."""
    return jnp.mean(logits.argmax(-1) == labels)


@dataclass(frozen=True)
class Sources:
    """Episodes of training, validation and test classes, of images with `channels` channels.

    They were made from gray pictures with `bits`, if any had more than 8. `digests` stand for all that the sets
    hold.
    """

    train: Mixture
    validation: Mixture
    test: Mixture
    channels: int
    bits: int
    digests: tuple[str, ...] = ()


def make_sources(config: ClassificationConfig) -> Sources:
    """Read the data sets and bring them to one size.

    Images are gray only if those of all data sets are. A set with fewer validation classes than an episode takes
    is validated on its training classes.

    Raises `UserError` if a data set is not here or too small for the episodes asked for, or is not what the
    configuration says it was.
    """
    sets = [_own(name, config.side) if config.data else find(name) for name in data_names(config)]
    names = [images.name for images in sets]
    if len(set(names)) < len(names):
        raise UserError(f"the data sets are named {', '.join(names)}; give each a name of its own to tell them apart.")
    digests = tuple(images.digest for images in sets)
    for images, began, now in zip(sets, config.data_digests or digests, digests, strict=False):
        if began != now:
            where = "" if config.data else ", or set MMAML_DATA to the folder that has them"
            raise UserError(
                f"{images.name} does not hold what this run was begun with. A run must keep to its images, or it "
                f"could be judged on classes that it has learnt from. Put them back as they were{where}, or start a "
                "new run with --out or --overwrite."
            )
    channels = max(images.images.shape[3] for images in sets)
    mixtures = {split: _mixture(sets, split, channels, config) for split in SPLITS}
    bits = max(images.bits for images in sets)
    return Sources(mixtures["train"], mixtures["validation"], mixtures["test"], channels, bits, digests)


def data_names(config: ClassificationConfig) -> tuple[str, ...]:
    """The data sets of a configuration: the paper's go by the name of what serves for them here."""
    if config.data:
        return config.data
    if config.budget == "smoke":
        return DIGITS
    return tuple(stand_in_for(name) if name in OFFICIAL else name for name in config.datasets)


def _own(path_or_name: str, side: int) -> ImageSet:
    """What lies at a path, or where nothing does, the set that was imported under that name."""
    path = Path(path_or_name)
    if not path.exists():
        return find(path_or_name)
    if is_here(path_or_name):
        tell_apart(path, "what lies here")
    return read_path(path, side)


def _mixture(sets: list[ImageSet], split: Split, channels: int, config: ClassificationConfig) -> Mixture:
    parts = []
    for images in sets:
        lacking = split == "validation" and images.classes_per_split[SPLITS.index(split)] < config.way
        if lacking:
            message = "has fewer validation classes than an episode takes, so training classes choose the checkpoint"
            warnings.warn(f"{images.name} {message}.", Note, stacklevel=2)
        taken = "train" if lacking else split
        part = images.of_split(taken, side=config.side, channels=channels)
        turned = _is_omniglot(images.name, config)
        try:
            parts.append(
                ImageTasks(
                    part.images,
                    part.counts,
                    way=config.way,
                    shot=config.shot,
                    queries=config.queries,
                    name=images.name,
                    rotate=turned,
                    augment=config.augment and split == "train" and not turned,
                )
            )
        except ValueError as error:
            too_few = "Lower --way, or add classes."
            too_small = f"{_smallest(images, taken)}. Lower --shot or --queries, add images, or remove that class."
            raise DataError(
                f"the {split} classes do not suffice: {error}. Of its classes {_shares(images)}. "
                f"{too_few if len(part.counts) < config.way else too_small}"
            ) from error
    return Mixture(tuple(parts), tuple(images.name for images in sets))


def _shares(images: ImageSet) -> str:
    counts = zip(images.classes_per_split, SPLITS, strict=True)
    return ", ".join(f"{count} are for {split}" for count, split in counts)


def _smallest(images: ImageSet, split: Split) -> str:
    counts = np.where(images.class_split == SPLITS.index(split), np.bincount(images.labels), len(images.labels))
    return f"The smallest is {images.class_names[counts.argmin()]} with {counts.min()} images"


def make_learner(
    config: ClassificationConfig, *, channels: int, modes: tuple[str, ...], key: PRNGKeyArray
) -> AbstractLearner:
    """The untrained learner for images with `channels` channels."""
    multi = config.learner == "multi-maml" and config.mode_rates == "published"

    def network(key: PRNGKeyArray) -> ConvNet:
        by_support = config.normalise_by == "support"
        return ConvNet(
            channels, config.way, config.channels, support_statistics=by_support, precision=config.precision, key=key
        )

    def encoder(key: PRNGKeyArray) -> ConvEncoder:
        labels = config.way if config.encoder_labels else None
        return ConvEncoder(
            channels, config.channels, config.embedding, classes=labels, precision=config.precision, key=key
        )

    inner = partial(make_inner, config)
    rates = published_rates(config, modes) if multi else None
    return assemble_learner(config, network, encoder, inner, modes=len(modes), key=key, rates=rates)


def published_rates(config: ClassificationConfig, modes: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    """Step sizes of the paper's Multi-MAML by mode and step.

    Omniglot's are 0.4 and a single step, or 0.1 in every step of 20-way tasks; all others', and those of a person's own
    images, are 0.01.
    """
    steps = config.inner_steps
    omniglot = (0.4, *[0.0] * (steps - 1)) if config.way < 20 else (0.1,) * steps
    return tuple(omniglot if _is_omniglot(mode, config) else (0.01,) * steps for mode in modes)


def _is_omniglot(mode: str, config: ClassificationConfig) -> bool:
    # A folder of one's own may be called so, too.
    return mode == "omniglot" and not config.data
