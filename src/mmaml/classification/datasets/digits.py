"""The 8 × 8 handwritten digits that scikit-learn brings along: no files, for trying out and for tests."""

import numpy as np

from mmaml.classification.datasets.pack import ImageSet


TURNS = (0, 90, 180, 270)


def read_digits(name: str) -> ImageSet:
    """1,797 gray images turned four ways: 40 classes, a digit and its turn.

    Digits 0 to 3 are for training, 4 to 6 for validation, 7 to 9 for test. Under the name `digits-negative` they are
    dark on bright.
    """
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    images = 255 - images if name == "digits-negative" else images
    turned = np.concatenate([np.rot90(images, turn, (1, 2)) for turn in range(len(TURNS))])
    labels = np.concatenate([len(TURNS) * digit + turn for turn in range(len(TURNS))]).astype(np.int32)
    split = np.repeat([0] * 4 + [1] * 3 + [2] * 3, len(TURNS)).astype(np.uint8)
    return ImageSet(name, turned, labels, tuple(f"{d} turned {t}°" for d in range(10) for t in TURNS), split)
