"""mini-ImageNet (Vinyals et al. 2016) with the split of Ravi & Larochelle (2017)."""

import csv
import re
from pathlib import Path

from mmaml.classification.datasets.archive import files_in
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


def read_mini_imagenet(path: Path, side: int = 84, channels: int = 3) -> ImageSet:
    """Read a copy of mini-ImageNet: a folder or an archive, or a folder with the archives of its parts.

    Two layouts are known: folders named by synset (`train/n01532829/….jpg`), and one folder of images beside the lists
    `train.csv`, `val.csv`, `test.csv` (columns filename and label). With lists, just the listed images are taken.

    Raises `UserError` if classes or listed images are missing, the split is not the published one, or there are only
    `.pkl` files, which can run any program when they are opened and are therefore not read.
    """
    images, listed, refused = {}, {}, []
    for file, read in files_in(path):
        if file.suffix == ".csv" and file.stem in PARTS:
            rows = csv.DictReader(read().decode().splitlines())
            part = {row.get("filename") or "": row.get("label") or "" for row in rows}
            if strange := sorted(set(part.values()) - set(PARTS[file.stem].split())):
                raise UserError(
                    f"{path}: {file} lists images of {strange[0]!r}, a class that the published split does not have "
                    "there. Import a split of your own under a name of your own."
                )
            listed |= part
        elif file.suffix.lower() in (".jpg", ".jpeg", ".png") and (synset := _synset(file.parent.name, file.name)):
            if synset not in SPLIT:
                raise UserError(
                    f"{path}: {file} is of the class {synset}, which is not one of mini-ImageNet's 100. Leave out what "
                    "does not belong to it, or import the folder under a name of your own."
                )
            images[synset, file.name] = decode(read(), side, channels, f"{path}: {file}")
        elif file.suffix == ".pkl":
            refused.append(file.name)
    if listed:
        if missing := sorted(name for name, synset in listed.items() if (synset, name) not in images):
            raise UserError(
                f"{path} lacks {len(missing)} of the {len(listed)} images that its lists name, {missing[0]} for one."
            )
        images = {(synset, name): images[synset, name] for name, synset in listed.items()}
    if missing := sorted(set(SPLIT) - {synset for synset, _ in images}):
        hint = f" ({refused[0]} is of a kind that can run any program, and is not read.)" if refused else ""
        raise UserError(
            f"{path} lacks {len(missing)} of mini-ImageNet's 100 classes, {missing[0]} for one.{hint} It must have the "
            "images as files, in folders named by synset or beside train.csv, val.csv and test.csv."
        )
    return ImageSet.assemble("mini-imagenet", images, SPLIT)


def _synset(folder: str, file: str) -> str | None:
    match = re.fullmatch(r"n\d{8}", folder) or re.match(r"n\d{8}", file)
    return match[0] if match else None
