"""FGVC-Aircraft 2013b (Maji et al. 2013): 100 variants of aircraft, 100 photographs each."""

import re
from pathlib import Path

import numpy as np

from mmaml.classification.datasets.archive import decode_text, files_in
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.pictures import decode
from mmaml.classification.datasets.splits import split_in_order
from mmaml.runs.errors import UserError


def aircraft_split(variants: list[str]) -> dict[str, int]:
    """The original split, 70 / 15 / 15: `variants` as in variants.txt, shuffled by `RandomState(123)`."""
    order = list(variants)
    np.random.RandomState(123).shuffle(order)
    return split_in_order(order, 70, 15)


def read_aircraft(path: Path, side: int = 84) -> ImageSet:
    """Read `fgvc-aircraft-2013b.tar.gz` or its folder; whole pictures, the photographer's strip included.

    Variants with a slash in their name, F-16A/B and F/A-18, are in the split that the original list puts them in (the
    original program loses them, and so has one test class fewer).

    Raises `UserError` if lists or images are missing or a file cannot be read.
    """
    variants: list[str] = []
    variant_of, pictures = {}, {}
    for file, read in files_in(path):
        if file.name == "variants.txt":
            variants = decode_text(read(), f"{path}: {file}").splitlines()
        elif re.fullmatch(r"images_variant_(train|val|test)\.txt", file.name):
            for line in decode_text(read(), f"{path}: {file}").splitlines():
                image, _, variant_of[image] = line.partition(" ")
        elif file.suffix == ".jpg" and file.parent.name == "images":
            pictures[file.stem] = decode(read(), side, 3, f"{path}: {file}")
    missing = [image for image in variant_of if image not in pictures]
    if len(variants) != 100 or set(variant_of.values()) != set(variants) or missing:
        raise UserError(
            f"{path} has {len(variants)} variants in variants.txt, {len(set(variant_of.values()))} in "
            f"images_variant_train.txt, …_val.txt and …_test.txt, and {len(missing)} of the {len(variant_of)} listed "
            "images are missing; FGVC-Aircraft has 100 variants and all its images. It must be "
            "fgvc-aircraft-2013b.tar.gz or its folder."
        )
    images = {(variant, image): pictures[image] for image, variant in variant_of.items()}
    return ImageSet.assemble("aircraft", images, aircraft_split(variants))
