"""Caltech-UCSD Birds-200-2011 (Wah et al. 2011)."""

import re
from pathlib import Path

import numpy as np

from mmaml.classification.datasets.archive import files_in
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.pictures import decode
from mmaml.classification.datasets.splits import split_in_order
from mmaml.runs.errors import UserError


def read_cub(path: Path, side: int = 84) -> ImageSet:
    """Read `CUB_200_2011.tgz` or its folder; whole pictures, without the bounding boxes.

    The split is 140 / 30 / 30 species: their folders' names in order, shuffled by `RandomState(123)`. The original
    split shuffles the order of folders on the authors' disk, and cannot be had again.

    Raises `UserError` if species are missing or a file cannot be read.
    """
    images, species = {}, set()
    for file, read in files_in(path):
        if file.suffix.lower() == ".jpg" and re.match(r"\d{3}\.", file.parent.name):
            species.add(file.parent.name)
            class_name = file.parent.name.partition(".")[2]
            images[class_name, file.name] = decode(read(), side, 3, f"{path}: {file}")
    if len(species) != 200:
        raise UserError(
            f"{path} has {len(species)} of CUB's 200 species. It must be CUB_200_2011.tgz or the folder CUB_200_2011, "
            "whose folder images has folders such as 001.Black_footed_Albatross."
        )
    order = sorted(species)
    np.random.RandomState(123).shuffle(order)
    return ImageSet.assemble("cub", images, split_in_order([name.partition(".")[2] for name in order], 140, 30))
