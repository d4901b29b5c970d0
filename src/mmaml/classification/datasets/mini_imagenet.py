"""mini-ImageNet (Vinyals et al. 2016) with the split of Ravi & Larochelle (2017)."""

import csv
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mmaml.classification.datasets.archive import decode_text, files_in
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.pictures import decode
from mmaml.runs.errors import UserError


# Synsets of the classes, as Ravi & Larochelle share them out.
PARTS = {
    "train": """
        n01532829 n01558993 n01704323 n01749939 n01770081 n01843383 n01910747 n02074367 n02089867 n02091831
        n02101006 n02105505 n02108089 n02108551 n02108915 n02111277 n02113712 n02120079 n02165456 n02457408
        n02606052 n02687172 n02747177 n02795169 n02823428 n02966193 n03017168 n03047690 n03062245 n03207743
        n03220513 n03337140 n03347037 n03400231 n03476684 n03527444 n03676483 n03838899 n03854065 n03888605
        n03908618 n03924679 n03998194 n04067472 n04243546 n04251144 n04258138 n04275548 n04296562 n04389033
        n04435653 n04443257 n04509417 n04515003 n04596742 n04604644 n04612504 n06794110 n07584110 n07697537
        n07747607 n09246464 n13054560 n13133613
    """,
    "val": """
        n01855672 n02091244 n02114548 n02138441 n02174001 n02950826 n02971356 n02981792 n03075370 n03417042
        n03535780 n03584254 n03770439 n03773504 n03980874 n09256479
    """,
    "test": """
        n01930112 n01981276 n02099601 n02110063 n02110341 n02116738 n02129165 n02219486 n02443484 n02871525
        n03127925 n03146219 n03272010 n03544143 n03775546 n04146614 n04149813 n04418357 n04522168 n07613480
    """,
}
SPLIT = {synset: i for i, synsets in enumerate(PARTS.values()) for synset in synsets.split()}
IMAGES_PER_CLASS = 600

IMAGENET = re.compile(r"n\d{8}_(\d+)\.JPEG")
"""How ImageNet names its training images."""

Key = tuple[str, str]
"""The class and the file name of an image."""


def read_mini_imagenet(path: Path, side: int = 84) -> ImageSet:
    """Read a copy of mini-ImageNet, or make it of ImageNet's training images: a folder, or an archive.

    Two layouts of a copy are known: folders named by synset (`train/n01532829/….jpg`), and one folder of images beside
    the lists `train.csv`, `val.csv`, `test.csv` (columns filename and label). With lists, just the listed images are
    taken. A folder may have the archives of its parts instead.

    It is ImageNet if images of the 100 classes are named as there (`n01532829_123.JPEG`): in folders at any depth, in
    class tars or in `ILSVRC2012_img_train.tar`. Other classes are then passed over. The lists, in the same folder, mean
    by `n0153282900000005.jpg` the fifth image of the class, ordered by the numbers in their names; so the class must be
    whole. Without lists, the first 600 of each class are taken.

    Raises `UserError` if classes or listed images are missing, ImageNet has fewer than 600 images of a class, a copy
    has other classes, the split is not the published one, or there are only `.pkl` files, which can run any program
    when they are opened and are therefore not read.
    """
    names = _names_of_files(path)
    images = {}
    for file, read in files_in(path):
        if (key := _key(file)) in names:
            images[names.pop(key)] = decode(read(), side, 3, f"{path}: {file}")
    return ImageSet.assemble("mini-imagenet", images, SPLIT)


@dataclass
class _Contents:
    images: set[Key] = field(default_factory=set)
    listed: set[Key] = field(default_factory=set)
    strange: dict[str, PurePosixPath] = field(default_factory=dict)
    """A file of each class that is not one of the 100: ImageNet has a million of them."""
    refused: list[str] = field(default_factory=list)


def _names_of_files(path: Path) -> dict[Key, Key]:
    """The files to take, each with the name that it has in mini-ImageNet."""
    here = _look_through(path)
    imagenet = _imagenet(here.images)
    if here.strange and not imagenet:
        synset, file = next(iter(here.strange.items()))
        raise UserError(
            f"{path}: {file} is of the class {synset}, which is not one of mini-ImageNet's 100. Leave out what "
            "does not belong to it, or import the folder under a name of your own."
        )
    first = {_published(synset, place) for synset in imagenet for place in range(1, IMAGES_PER_CLASS + 1)}
    wanted = here.listed or first or here.images
    _check_classes(path, {synset for synset, _ in wanted}, here.refused)
    if imagenet:
        _check_sizes(path, imagenet)
    files = {key: key for key in here.images} | {
        _published(synset, place): (synset, name)
        for synset, names in imagenet.items()
        for place, name in enumerate(names, 1)
    }
    if missing := sorted(wanted - set(files)):
        synset, name = missing[0]
        hint = f" It is a place in the whole class, and {len(imagenet[synset])} images are here." if imagenet else ""
        raise UserError(
            f"{path} lacks {len(missing)} of the {len(wanted)} images that its lists name, {name} for one.{hint}"
        )
    return {files[key]: key for key in wanted}


def _look_through(path: Path) -> _Contents:
    here = _Contents()
    for file, read in files_in(path):
        if file.suffix == ".csv" and file.stem in PARTS:
            here.listed |= _listed(file.stem, read(), f"{path}: {file}")
        elif key := _key(file):
            if key[0] in SPLIT:
                here.images.add(key)
            else:
                here.strange.setdefault(key[0], file)
        elif file.suffix == ".pkl":
            here.refused.append(file.name)
    return here


def _listed(part: str, data: bytes, name: str) -> set[Key]:
    rows = csv.DictReader(decode_text(data, name).splitlines())
    listed = {(row.get("label") or "", row.get("filename") or "") for row in rows}
    if strange := sorted({synset for synset, _ in listed} - set(PARTS[part].split())):
        raise UserError(
            f"{name} lists images of {strange[0]!r}, a class that the published split does not have "
            "there. Import a split of your own under a name of your own."
        )
    return listed


def _imagenet(images: set[Key]) -> dict[str, list[str]]:
    """ImageNet's files of each class in the order in which the lists number them; none if it is a ready copy."""
    numbered = defaultdict(list)
    for synset, name in images:
        if match := IMAGENET.fullmatch(name):
            numbered[synset].append((int(match[1]), name))
    return {synset: [name for _, name in sorted(pairs)] for synset, pairs in numbered.items()}


def _published(synset: str, place: int) -> Key:
    # Counted from 1, by the number in the name, as in yaoyao-liu/mini-imagenet-tools and open-mmlab/mmfewshot.
    return synset, f"{synset}{place:08}.jpg"


def _check_classes(path: Path, classes: set[str], refused: list[str]) -> None:
    if missing := sorted(set(SPLIT) - classes):
        hint = f" ({refused[0]} is of a kind that can run any program, and is not read.)" if refused else ""
        raise UserError(
            f"{path} lacks {len(missing)} of mini-ImageNet's 100 classes, {missing[0]} for one.{hint} It must have the "
            "images as files, in folders named by synset or beside train.csv, val.csv and test.csv, or be ImageNet's "
            "training set."
        )


def _check_sizes(path: Path, imagenet: dict[str, list[str]]) -> None:
    for synset in SPLIT:
        if (n := len(imagenet.get(synset, ()))) < IMAGES_PER_CLASS:
            raise UserError(
                f"{path} has {n} images of the class {synset}, but mini-ImageNet takes {IMAGES_PER_CLASS} of each. "
                "Complete the class from ImageNet's training set (ILSVRC2012_img_train.tar)."
            )


def _key(file: PurePosixPath) -> Key | None:
    match = re.fullmatch(r"n\d{8}", file.parent.name) or re.match(r"n\d{8}", file.name)
    return (match[0], file.name) if match and file.suffix.lower() in (".jpg", ".jpeg", ".png") else None
