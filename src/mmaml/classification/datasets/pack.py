"""A data set in one file: all images, their classes, and the split of the classes."""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8
from safetensors import SafetensorError, safe_open

from mmaml.classification.datasets.pictures import FEWEST_BITS, fit
from mmaml.classification.datasets.splits import SPLITS, Split
from mmaml.runs.errors import UserError
from mmaml.runs.files import replacing


FORMAT = "mmaml-images-1"
SUFFIX = ".safetensors"
DTYPES = {"U8": np.dtype("uint8"), "I32": np.dtype("int32")}
"""The types of a pack's arrays, as safetensors calls them."""


@dataclass(frozen=True)
class ClassImages:
    """Images of one split, class after class, `counts[k]` of class `k`."""

    images: UInt8[np.ndarray, "n side side channels"]
    counts: Int32[np.ndarray, " k"]


@dataclass(frozen=True)
class ImageSet:
    """Images with their classes.

    `images` are uint8 of the shape `(n, h, w, c)`, `c` being 1 (gray) or 3 (RGB); `labels`, int32 of the shape `(n,)`,
    index `class_names`; `class_split`, uint8 of the shape `(k,)`, says of each class whether it is for training (0),
    validation (1) or test (2). `bits` is what `bits_of` says of the pictures they were made from.

    Raises `ValueError` if the parts are not so, or a class has no image.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    class_split: np.ndarray
    bits: int = FEWEST_BITS

    def __post_init__(self) -> None:
        # Files come from outside, so shapes and types are always checked, and not by annotations in tests only.
        for part, dtype, rank in (("images", np.uint8, 4), ("labels", np.int32, 1), ("class_split", np.uint8, 1)):
            array = getattr(self, part)
            if array.dtype != dtype or array.ndim != rank:
                raise ValueError(
                    f"{part} are {array.dtype} with {array.ndim} dimensions, but must be {np.dtype(dtype)} with {rank}"
                )
        if self.images.shape[3] not in (1, 3):
            raise ValueError(f"images have {self.images.shape[3]} channels, but must have 1 or 3")
        if len(self.labels) != len(self.images):
            raise ValueError(f"there are {len(self.images)} images and {len(self.labels)} labels")
        k = len(self.class_names)
        if len(set(self.class_names)) < k or len(self.class_split) != k or k == 0:
            raise ValueError(
                f"there are {k} class names, {len(set(self.class_names))} of them different, and the splits of "
                f"{len(self.class_split)} classes; all must be the same number, and at least 1"
            )
        if self.class_split.max() > 2:
            raise ValueError(f"class_split has the value {self.class_split.max()}, but must be 0, 1 or 2")
        if len(self.labels) and not (self.labels.min() >= 0 and self.labels.max() < k):
            raise ValueError(f"labels go from {self.labels.min()} to {self.labels.max()}, but must be in 0..{k - 1}")
        if (counts := np.bincount(self.labels, minlength=k)).min() == 0:
            raise ValueError(f"class {self.class_names[counts.argmin()]!r} has no image")

    @classmethod
    def assemble(
        cls,
        name: str,
        images: Mapping[tuple[str, str], UInt8[np.ndarray, "h w c"]],
        split: Mapping[str, int],
        bits: int = FEWEST_BITS,
    ) -> "ImageSet":
        """A data set from single images, keyed by class and file name, and the split of each class.

        Classes are ordered by split and name, images by file name: the images of a split then lie together on disk.
        """
        class_names = tuple(sorted({class_name for class_name, _ in images}, key=lambda n: (split[n], n)))
        index = {class_name: i for i, class_name in enumerate(class_names)}
        keys = sorted(images, key=lambda key: (index[key[0]], key[1]))
        return cls(
            name,
            np.stack([images[key] for key in keys]),
            np.array([index[class_name] for class_name, _ in keys], np.int32),
            class_names,
            np.array([split[class_name] for class_name in class_names], np.uint8),
            bits,
        )

    @classmethod
    def load(cls, path: Path) -> "ImageSet":
        """Open a file that `save` wrote; its images stay on disk until they are used.

        Raises `UserError` if the file is missing, damaged or something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:  # checks the header, and that the file is whole
                about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise UserError(f"{path} is not a data set of mmaml. Data sets are made by `mmaml data import`.")
            with open(path, "rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length))

            def mapped(part: str) -> np.ndarray:
                start, _ = header[part]["data_offsets"]
                dtype, shape = DTYPES[header[part]["dtype"]], tuple(header[part]["shape"])
                return np.asarray(np.memmap(path, dtype, "r", 8 + length + start, shape))

            return cls(
                about["name"],
                mapped("images"),
                mapped("labels"),
                tuple(json.loads(about["class_names"])),
                mapped("class_split"),
                int(about.get("bits", FEWEST_BITS)),
            )
        except FileNotFoundError:
            raise UserError(f"{path} does not exist.") from None
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} cannot be read as a data set of mmaml: {error}. "
                "If it is one that is damaged, make it again with `mmaml data fetch` or `import` and --overwrite; your "
                "own images come in a folder or an archive: zip or tar."
            ) from error

    def save(self, path: Path) -> None:
        """Write the data set to one safetensors file.

        Raises `UserError` if the disk or the folder does not take it; a file that was there before is then untouched.
        """
        arrays = {"labels": self.labels, "class_split": self.class_split, "images": self.images}
        names = json.dumps(self.class_names)
        about = {"format": FORMAT, "name": self.name, "class_names": names, "bits": str(self.bits)}
        try:
            with replacing(path) as file:
                # Array after array, since the library's own writer needs them all in memory a second time.
                file.write(_header(arrays, about))
                for array in arrays.values():
                    file.write(np.ascontiguousarray(array).data)
        except OSError as error:
            raise UserError(
                f"cannot write {path} ({self.images.nbytes / 1e6:.0f} MB): {error.strerror}. What was there before is "
                "untouched; free some space, or choose another folder with the environment variable MMAML_DATA."
            ) from error

    def of_split(self, split: Split, *, side: int, channels: int) -> ClassImages:
        """The images of one split, grouped by class, squashed to `side` × `side` with `channels` 1 or 3.

        Images that are so already are not touched, and stay on disk if those of the split lie there together.
        """
        classes = np.flatnonzero(self.class_split == SPLITS.index(split))
        counts = np.bincount(self.labels, minlength=len(self.class_names))[classes]
        order = np.argsort(self.labels, kind="stable")
        order = order[np.isin(self.labels[order], classes)]
        if len(order) and np.array_equal(order, np.arange(order[0], order[0] + len(order))):
            images = self.images[order[0] : order[0] + len(order)]
        else:
            images = self.images[order]
        return ClassImages(fit(images, side, channels), counts.astype(np.int32))

    @property
    def digest(self) -> str:
        """Short for all its images, classes and splits."""
        content = hashlib.sha256(json.dumps(self.class_names).encode())
        for array in (self.class_split, self.labels, self.images):
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()[:16]

    @property
    def classes_per_split(self) -> tuple[int, int, int]:
        """Number of classes for training, validation and test."""
        train, validation, test = np.bincount(self.class_split, minlength=3).tolist()
        return train, validation, test

    def summary(self) -> dict[str, Any]:
        """In words and numbers, as JSON takes them: name, images, their size, classes and images per class.

        `image_size` is `[h, w, c]`, `classes` their number by split, `images_per_class` the least and the most.
        """
        counts = np.bincount(self.labels)
        return {
            "name": self.name,
            "images": len(self.images),
            "image_size": list(self.images.shape[1:]),
            "classes": dict(zip(SPLITS, self.classes_per_split, strict=True)),
            "images_per_class": [int(counts.min()), int(counts.max())],
        }


def _header(arrays: Mapping[str, np.ndarray], about: dict[str, str]) -> bytes:
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": about}
    start = 0
    for part, array in arrays.items():
        end = start + array.nbytes
        header[part] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
