"""Which classes are learnt from, which are looked at while learning, and which are kept for the end."""

from collections.abc import Sequence
from typing import Literal


Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
"""The names of the values 0, 1, 2 of `ImageSet.class_split`."""


def split_in_order(class_names: Sequence[str], train: int, validation: int) -> dict[str, int]:
    """The first `train` classes are 0, the next `validation` are 1, the others 2."""
    return {name: (i >= train) + (i >= train + validation) for i, name in enumerate(class_names)}
