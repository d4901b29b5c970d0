"""A person's own images: a folder with one sub-folder a class, or an archive of such a folder."""

import warnings
from itertools import combinations
from pathlib import Path

import numpy as np

from mmaml.classification.datasets.archive import ARCHIVES, archive_stem, is_archive, read_file, unpacked
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.pictures import FEWEST_BITS, bits_of, decode
from mmaml.classification.datasets.splits import split_in_order
from mmaml.runs.errors import Note, UserError
from mmaml.runs.files import refuse_unreadable_names


ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
DEEP = (".png", ".tif", ".tiff")
"""Endings of pictures that may have more than 8 bits."""
SPLIT_FOLDERS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2}
"""What folders for splits are called, in capitals or not."""
LAYOUT = "It needs one sub-folder a class with that class's images, or train, val and test with such sub-folders."


def read_images(
    path: Path, side: int = 84, *, name: str = "", seed: int = 0, least: int = 2, bits: int = FEWEST_BITS
) -> ImageSet:
    """Read class folders, or an archive of them; images of any size are squashed to `side` × `side`.

    Classes are split as the sub-folders `train`, `val` and `test` say. If there are none, they are shuffled with
    `seed`; of `n` classes, a fifth is for test and 0.16 for validation, but at least 2 for test, and at least 2 for
    validation if there are 6 or more. The set's name is that of the folder or archive if `name` is empty. Gray pictures
    with more than 8 bits are taken to have `bits` or more, and the set has one channel if all pictures are gray.

    Raises `UserError` that names the file or folder if there are too few classes, a class has fewer than `least`
    images, stands in two splits, or has an image that cannot be read.
    """
    if is_archive(path):
        with unpacked(path) as folder:
            return read_images(folder, side, name=name or archive_stem(path), seed=seed, least=least, bits=bits)
    refuse_unreadable_names([path.resolve()])
    if not path.is_dir():
        raise UserError(f"{path} is neither a folder nor an archive ({', '.join(ARCHIVES)}). {LAYOUT}")
    inner = class_folders(path)
    split_of = {folder: SPLIT_FOLDERS[lower] for folder in inner if (lower := folder.name.lower()) in SPLIT_FOLDERS}
    for folder, other in combinations(split_of, 2):
        if split_of[folder] == split_of[other]:
            raise UserError(f"{path} has both {folder.name} and {other.name}, which mean the same. {LAYOUT}")
    by_split = {folder: class_folders(folder) for folder in split_of}
    if by_split and len(by_split) < len(inner):
        other = next(folder for folder in inner if folder not in by_split)
        raise UserError(f"{path} has both {next(iter(by_split)).name} and {other.name}. {LAYOUT}")
    leaves = [folder for folders in by_split.values() for folder in folders] if by_split else inner
    if not leaves:
        raise UserError(f"{path} has no folders with images. {LAYOUT}")
    files_of = {folder: _pictures_of_class(folder, least) for folder in leaves}
    split: dict[str, int] = {}
    if by_split:
        for part, folders in by_split.items():
            if len(folders) < 2:
                raise UserError(f"{part} has {len(folders)} classes, but a task needs at least 2 to tell apart.")
            for folder in folders:
                if split.setdefault(folder.name, split_of[part]) != split_of[part]:
                    raise UserError(
                        f"{folder} is a class of another split, too. A class may be in one only, since the test is of "
                        "classes never seen: rename it or leave it out of one."
                    )
    else:
        split = _drawn_split(path, [folder.name for folder in leaves], seed)
    deep = (file for files in files_of.values() for file in files if file.suffix.lower() in DEEP)
    bits = max(bits, bits_of(deep))
    images = {
        (folder.name, file.name): decode(read_file(file), side, 3, str(file), bits)
        for folder, files in files_of.items()
        for file in files
    }
    if all((image == image[..., :1]).all() for image in images.values()):
        images = {key: image[..., :1] for key, image in images.items()}
    return ImageSet.assemble(name or path.resolve().name, images, split, bits)


def _pictures_of_class(folder: Path, least: int) -> list[Path]:
    files = pictures(folder)
    if len(files) < least:
        kind = any(p.is_dir() and not p.name.startswith(".") for p in folder.iterdir())
        advice = (
            f"If the folders in it are classes, it is a kind of its own: give {folder} and the others like it to "
            "--data, one beside the other."
        )
        raise UserError(
            f"{folder} has {len(files)} images ({', '.join(ENDINGS)}), but each class needs at least {least}. "
            f"{advice if kind else 'Add some, or remove the folder.'}"
        )
    return files


def class_folders(path: Path) -> list[Path]:
    """The folders in a folder, by name; hidden ones do not count. Raises `UserError` for images beside them."""
    inner = _visible(path)
    if loose := [p for p in inner if p.suffix.lower() in ENDINGS and p.is_file()]:
        raise UserError(f"{loose[0]} is an image outside any class's folder. Each class needs a folder of its own.")
    return [p for p in inner if p.is_dir()]


def pictures(folder: Path) -> list[Path]:
    """The pictures in a folder, by name; hidden files do not count.

    Warns (`Note`) of files that are left out because they end otherwise than pictures do, and of folders.
    """
    inside = _visible(folder)
    found = [p for p in inside if p.suffix.lower() in ENDINGS and not p.is_dir()]
    if left_out := [p.name for p in inside if p not in found]:
        message = f"{folder}: {len(left_out)} files or folders are left out, {left_out[0]} for one; pictures end in"
        warnings.warn(f"{message} {', '.join(ENDINGS)}.", Note, stacklevel=2)
    return found


def _visible(folder: Path) -> list[Path]:
    inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    refuse_unreadable_names(inside)
    return inside


def _drawn_split(path: Path, class_names: list[str], seed: int) -> dict[str, int]:
    n = len(class_names)
    if n < 4:
        raise UserError(
            f"{path} has only the class{'es' * (n > 1)} {', '.join(class_names)}; it takes at least 4 classes, 2 to "
            f"learn from and 2 others to test with. {LAYOUT}"
        )
    test = max(2, round(0.2 * n))
    validation = max(2, round(0.16 * n)) if n >= 6 else 0
    order = np.random.default_rng(seed).permutation(n)
    return split_in_order([class_names[i] for i in order], n - test - validation, validation)
