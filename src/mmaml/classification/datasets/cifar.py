"""CIFAR-100 (Krizhevsky 2009) with the two splits of the few-shot literature, FC100 and CIFAR-FS."""

from pathlib import Path
from typing import Literal

import numpy as np

from mmaml.classification.datasets.archive import decode_text, files_in
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.pictures import fit
from mmaml.runs.errors import UserError


# Superclasses by their number in coarse_label_names.txt (Oreshkin et al. 2018); the others are for training.
FC100 = {8: 1, 11: 1, 13: 1, 16: 1, 0: 2, 7: 2, 12: 2, 14: 2}

# Classes for validation, then for test (Bertinetto et al. 2019); the others are for training.
_CIFAR_FS = (
    "beaver beetle butterfly camel cattle crab crocodile flatfish lamp maple_tree motorcycle otter sea shark "
    "television tractor",
    "baby bed bicycle chimpanzee fox leopard man pickup_truck plain poppy rocket rose snail sweet_pepper table "
    "telephone wardrobe whale woman worm",
)
CIFAR_FS = {class_name: i for i, class_names in enumerate(_CIFAR_FS, 1) for class_name in class_names.split()}

NAMES = "fine_label_names.txt"
RECORD = 2 + 3 * 32 * 32
"""Bytes of an image in the binary version: superclass, class, then the three colour planes."""


def read_cifar(path: Path, name: Literal["fc100", "cifar-fs"], side: int = 32) -> ImageSet:
    """Read the *binary* version, `cifar-100-binary.tar.gz` or its folder; training and test images are put together.

    `fc100` is split by superclass, 60 / 20 / 20 classes; `cifar-fs` by class, 64 / 16 / 20. Colours are as in the
    archive (the original program for FC100 inverts them by mistake).

    Raises `UserError` if the files are missing or not of that version.
    """
    found = {file.name: read() for file, read in files_in(path) if file.name in ("train.bin", "test.bin", NAMES)}
    if missing := {"train.bin", "test.bin", NAMES} - set(found):
        raise UserError(
            f"{path} lacks {', '.join(sorted(missing))}. It must be CIFAR-100's binary version, "
            "cifar-100-binary.tar.gz; the Python and Matlab versions are not read."
        )
    class_names = decode_text(found[NAMES], f"{path}: {NAMES}").split()
    for part in ("train.bin", "test.bin"):
        if len(found[part]) % RECORD:
            raise UserError(
                f"{path}: {part} has {len(found[part])} bytes, not a multiple of {RECORD}: it is cut short."
            )
    records = np.frombuffer(found["train.bin"] + found["test.bin"], np.uint8).reshape(-1, RECORD)
    coarse, fine = records[:, 0], records[:, 1]
    if len(class_names) != 100 or set(fine.tolist()) != set(range(100)):
        raise UserError(
            f"{path} has {len(set(fine.tolist()))} classes and {len(class_names)} class names; CIFAR-100 has 100."
        )
    superclass = dict(zip(fine.tolist(), coarse.tolist(), strict=True))
    split = {
        class_name: FC100.get(superclass[i], 0) if name == "fc100" else CIFAR_FS.get(class_name, 0)
        for i, class_name in enumerate(class_names)
    }
    images = fit(records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), side, 3)
    keys = [(class_names[label], f"{i:05}") for i, label in enumerate(fine)]
    return ImageSet.assemble(name, dict(zip(keys, images, strict=True)), split)
