"""Where a run's tasks come from."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmaml.classification.config import ClassificationConfig
from mmaml.classification.datasets.catalogue import find, is_here, read_path, stand_in_for, tell_apart
from mmaml.classification.datasets.known import DIGITS, OFFICIAL
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.pictures import FEWEST_BITS
from mmaml.classification.datasets.splits import SPLITS, Split
from mmaml.classification.tasks import ImageTasks
from mmaml.core.task import Mixture
from mmaml.runs.errors import DataError, Note, UserError


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

    Images are gray only if those of all data sets are. Episodes of validation take fewer classes than others where a
    set has no more for it, and the training classes of a set that has not even two.

    Raises `UserError` if a data set is not here or too small for the episodes asked for, or is not what the
    configuration says it was.
    """
    sets = _own_sets(config) if config.data else [find(name) for name in data_names(config)]
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
    ways = dict.fromkeys(SPLITS, config.way) | {"validation": _validation_way(sets, config.way)}
    mixtures = {split: _mixture(sets, split, ways[split], channels, config) for split in SPLITS}
    bits = max(images.bits for images in sets)
    return Sources(mixtures["train"], mixtures["validation"], mixtures["test"], channels, bits, digests)


def data_names(config: ClassificationConfig) -> tuple[str, ...]:
    """The data sets of a configuration: the paper's go by the name of what serves for them here."""
    if config.data:
        return config.data
    if config.budget == "smoke":
        return DIGITS
    return tuple(stand_in_for(name) if name in OFFICIAL else name for name in config.datasets)


def _own_sets(config: ClassificationConfig) -> list[ImageSet]:
    """All deep gray pictures have as many bits as those with most, as later those of new tasks are taken to have."""
    sets = [_own(name, config) for name in config.data]
    bits = max(images.bits for images in sets)
    return [
        _own(name, config, bits) if images.bits < bits else images
        for name, images in zip(config.data, sets, strict=True)
    ]


def _own(path_or_name: str, config: ClassificationConfig, bits: int = FEWEST_BITS) -> ImageSet:
    """What lies at a path, or where nothing does, the set that was imported under that name.

    Deep gray pictures at a path are taken to have `bits` or more.
    """
    path = Path(path_or_name)
    if not path.exists() and path.is_absolute() and config.data_digests:
        raise UserError(f"this run was begun with the images in {path}, where nothing is any more; put them back.")
    if not path.exists():
        return find(path_or_name)
    if is_here(path_or_name):
        tell_apart(path, "what lies here")
    return read_path(path, config.side, bits)


_FEWEST = 2
"""Classes that can be told apart."""


def _validation_way(sets: list[ImageSet], way: int) -> int:
    """How many classes an episode of validation has, of `way` at most. A `Note` says so if there are fewer."""
    few = [images for images in sets if _FEWEST <= _for_validation(images) < way]
    if not few:
        return way
    smallest = min(few, key=_for_validation)
    count, name = _for_validation(smallest), smallest.name
    message = f"validation tasks are of {count} classes and not of {way}, since {name} has no more for validation"
    warnings.warn(f"{message}.", Note, stacklevel=2)
    return count


def _for_validation(images: ImageSet) -> int:
    return images.classes_per_split[SPLITS.index("validation")]


def _mixture(sets: list[ImageSet], split: Split, way: int, channels: int, config: ClassificationConfig) -> Mixture:
    parts = []
    for images in sets:
        lacking = split == "validation" and _for_validation(images) < _FEWEST
        if lacking:
            message = "has fewer than two validation classes, so training classes choose the checkpoint"
            warnings.warn(f"{images.name} {message}.", Note, stacklevel=2)
        taken = "train" if lacking else split
        part = images.of_split(taken, side=config.side, channels=channels)
        turned = config.is_omniglot(images.name)
        try:
            parts.append(
                ImageTasks(
                    part.images,
                    part.counts,
                    way=way,
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
                f"{too_few if len(part.counts) < way else too_small}"
            ) from error
    return Mixture(tuple(parts), tuple(images.name for images in sets))


def _shares(images: ImageSet) -> str:
    counts = zip(images.classes_per_split, SPLITS, strict=True)
    return ", ".join(f"{count} are for {split}" for count, split in counts)


def _smallest(images: ImageSet, split: Split) -> str:
    counts = np.where(images.class_split == SPLITS.index(split), np.bincount(images.labels), len(images.labels))
    return f"The smallest is {images.class_names[counts.argmin()]} with {counts.min()} images"
