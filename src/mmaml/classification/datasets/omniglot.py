"""Omniglot (Lake et al. 2015): 1,623 characters of 50 alphabets, each drawn by 20 people."""

import random
from pathlib import Path

from mmaml.classification.datasets.archive import files_in
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.pictures import decode
from mmaml.classification.datasets.splits import split_in_order
from mmaml.runs.errors import UserError


SETS = ("images_background", "images_evaluation")


def read_omniglot(path: Path, side: int = 84) -> ImageSet:
    """Read a folder with the authors' `images_background.zip` and `images_evaluation.zip`, packed or unpacked.

    Strokes are bright on dark. The split is 1,100 / 100 / 423 characters: all characters, the background set's before
    the evaluation set's and each by alphabet and number, shuffled by `random.Random(1)`. The original split, 1,100 and
    523, follows the order of files on the authors' disk and cannot be had again.

    Raises `UserError` if characters are missing or a file cannot be read.
    """
    images, characters = {}, set()
    for file, read in files_in(path):
        if file.suffix != ".png" or len(file.parts) < 4 or file.parts[-4] not in SETS:
            continue
        drawn_in, alphabet, character, drawing = file.parts[-4:]
        images[f"{alphabet}/{character}", drawing] = 255 - decode(read(), side, 1, f"{path}: {file}")
        characters.add((SETS.index(drawn_in), f"{alphabet}/{character}"))
    if len(characters) != 1623:
        raise UserError(
            f"{path} has {len(characters)} of Omniglot's 1623 characters. It must be a folder with both "
            "images_background.zip and images_evaluation.zip, or with what is in them."
        )
    order = [character for _, character in sorted(characters)]
    random.Random(1).shuffle(order)
    return ImageSet.assemble("omniglot", images, split_in_order(order, 1100, 100))
