"""The data sets that have a name here: what they are, and where they are found."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmaml.classification.datasets.aircraft import read_aircraft
from mmaml.classification.datasets.archive import is_archive
from mmaml.classification.datasets.cifar import read_cifar
from mmaml.classification.datasets.cub import read_cub
from mmaml.classification.datasets.digits import read_digits
from mmaml.classification.datasets.fetch import Archive
from mmaml.classification.datasets.folder import read_images
from mmaml.classification.datasets.mini_imagenet import read_mini_imagenet
from mmaml.classification.datasets.omniglot import read_omniglot
from mmaml.classification.datasets.pack import SUFFIX, ImageSet
from mmaml.classification.datasets.research import read_research_pack
from mmaml.runs.errors import DataError, UserError


@dataclass(frozen=True)
class Official:
    """A published data set, made into a pack from its authors' archives.

    `classes` are those of training, validation and test, `images` is their number, `side` the size they are kept at
    unless another is asked for. `downloads` names the archives' folder, which two sets may share; a set without
    `archives` cannot be downloaded, and `how` says where it comes from.
    """

    title: str
    classes: tuple[int, int, int]
    images: int
    side: int
    terms: str
    read: Callable[[Path, int], ImageSet]
    downloads: str
    archives: tuple[Archive, ...]
    how: str = ""


@dataclass(frozen=True)
class Research:
    """A smaller pack for research on machines without downloads; `instead_of` names what it stands in for."""

    title: str
    classes: tuple[int, int, int]
    size: str
    terms: str
    file: str
    instead_of: str
    split: str = "class_split"


_OMNIGLOT = (
    "https://github.com/brendenlake/omniglot/raw/master/python",
    "https://raw.githubusercontent.com/brendenlake/omniglot/master/python",
)
_CIFAR = Archive(
    file="cifar-100-binary.tar.gz",
    hash="sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    megabytes=169,
    mirrors=("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
)
_CIFAR_TERMS = "none stated; cite Krizhevsky 2009"
_IMAGENET_TERMS = "ImageNet's: non-commercial"
_CUB_TERMS = "non-commercial"
_AIRCRAFT_TERMS = "non-commercial"

OFFICIAL = {
    "omniglot": Official(
        title="Omniglot, all characters",
        classes=(1100, 100, 423),
        images=32460,
        side=84,
        terms="MIT",
        read=read_omniglot,
        downloads="omniglot",
        archives=(
            Archive(
                file="images_background.zip",
                hash="md5:68d2efa1b9178cc56df9314c21c6e718",
                megabytes=10,
                mirrors=tuple(f"{mirror}/images_background.zip" for mirror in _OMNIGLOT),
            ),
            Archive(
                file="images_evaluation.zip",
                hash="md5:6b91aef0f799c5bb55b94e3f2daec811",
                megabytes=7,
                mirrors=tuple(f"{mirror}/images_evaluation.zip" for mirror in _OMNIGLOT),
            ),
        ),
    ),
    "mini-imagenet": Official(
        title="mini-ImageNet, split of Ravi & Larochelle",
        classes=(64, 16, 20),
        images=60000,
        side=84,
        terms=_IMAGENET_TERMS,
        read=read_mini_imagenet,
        downloads="mini-imagenet",
        archives=(),
        how="ImageNet's terms do not allow it to be offered for download. Get ImageNet's training images "
        "(ILSVRC2012_img_train.tar, packed or unpacked; with the published train.csv, val.csv and test.csv in the same "
        "folder, just the listed images are taken), or a copy of mini-ImageNet with image files (folders named by "
        "synset, or one folder of images with the lists), then run `mmaml data import mini-imagenet PATH`.",
    ),
    "fc100": Official(
        title="CIFAR-100, split of FC100",
        classes=(60, 20, 20),
        images=60000,
        side=32,
        terms=_CIFAR_TERMS,
        read=lambda path, side: read_cifar(path, "fc100", side),
        downloads="cifar-100",
        archives=(_CIFAR,),
    ),
    "cifar-fs": Official(
        title="CIFAR-100, split of CIFAR-FS",
        classes=(64, 16, 20),
        images=60000,
        side=32,
        terms=_CIFAR_TERMS,
        read=lambda path, side: read_cifar(path, "cifar-fs", side),
        downloads="cifar-100",
        archives=(_CIFAR,),
    ),
    "cub": Official(
        title="Caltech-UCSD Birds 200-2011",
        classes=(140, 30, 30),
        images=11788,
        side=84,
        terms=_CUB_TERMS,
        read=read_cub,
        downloads="cub",
        archives=(
            Archive(
                file="CUB_200_2011.tgz",
                hash="sha256:0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
                megabytes=1151,
                mirrors=(
                    "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                    "https://s3.amazonaws.com/fast-ai-imageclas/CUB_200_2011.tgz",
                ),
            ),
        ),
    ),
    "aircraft": Official(
        title="FGVC-Aircraft 2013b, by variant",
        classes=(70, 15, 15),
        images=10000,
        side=84,
        terms=_AIRCRAFT_TERMS,
        read=read_aircraft,
        downloads="aircraft",
        archives=(
            Archive(
                file="fgvc-aircraft-2013b.tar.gz",
                hash="md5:d4acdd33327262359767eeaa97a4f732",
                megabytes=2753,
                mirrors=("https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",),
            ),
        ),
    ),
}

RESEARCH = {
    "omniglot": Research(
        title="Omniglot, all characters",
        classes=(1100, 100, 423),
        size="28×28×1",
        terms="MIT",
        file="omniglot_28.npz",
        instead_of="omniglot",
    ),
    "tiny-imagenet-100": Research(
        title="100 classes of Tiny ImageNet",
        classes=(64, 16, 20),
        size="32×32×3",
        terms=_IMAGENET_TERMS,
        file="tinyimagenet100_32.npz",
        instead_of="mini-imagenet",
    ),
    "cifar100": Research(
        title="CIFAR-100, 180 images a class, split of FC100",
        classes=(60, 20, 20),
        size="32×32×3",
        terms=_CIFAR_TERMS,
        file="cifar100_32.npz",
        instead_of="fc100",
    ),
    "cifar100-fs": Research(
        title="CIFAR-100, 180 images a class, split of CIFAR-FS",
        classes=(64, 16, 20),
        size="32×32×3",
        terms=_CIFAR_TERMS,
        file="cifar100_32.npz",
        instead_of="cifar-fs",
        split="class_split_cifarfs",
    ),
    "cub-100": Research(
        title="100 of CUB's 200 species, cropped",
        classes=(70, 15, 15),
        size="32×32×3",
        terms=_CUB_TERMS,
        file="cub100_32.npz",
        instead_of="cub",
    ),
    "aircraft-edges": Research(
        title="edge maps of FGVC-Aircraft",
        classes=(70, 15, 15),
        size="32×64×1",
        terms=_AIRCRAFT_TERMS,
        file="aircraft_edges_32x64.npz",
        instead_of="aircraft",
    ),
}

DIGITS = ("digits", "digits-negative")
"""Sets that are always here."""


def data_folder() -> Path:
    """Where data sets are kept: `$MMAML_DATA`, or else `~/.cache/mmaml/data`."""
    return Path(os.environ.get("MMAML_DATA") or Path.home() / ".cache" / "mmaml" / "data")


def pack_path(name: str) -> Path:
    """Where the pack of a data set is kept, whether it is there or not."""
    return data_folder() / f"{name}{SUFFIX}"


def is_here(name: str) -> bool:
    """Whether `find` will find a data set of that name."""
    research = RESEARCH.get(name)
    return name in DIGITS or _has_pack(name) or bool(research and (data_folder() / research.file).is_file())


def stand_in_for(mode: str) -> str:
    """The name of the data set that serves a mode of the paper here: the official one, or else its research pack.

    A research pack goes by a name of its own, so that nobody takes it for the official set; Omniglot's has all of
    Omniglot and keeps its name.

    Raises `UserError` if there is neither.
    """
    if is_here(mode):
        return mode
    for name, research in RESEARCH.items():
        if research.instead_of == mode and is_here(name):
            return name
    raise _not_here(mode)


def find(name: str) -> ImageSet:
    """A data set by name: the official or imported pack in the data folder, or else the research pack there.

    Raises `UserError` if there is none, or it is damaged.
    """
    if _has_pack(name):
        return ImageSet.load(pack_path(name))
    if name in RESEARCH and is_here(name):
        return read_research_pack(data_folder() / RESEARCH[name].file, name, RESEARCH[name].split)
    if name in DIGITS:
        return read_digits(name)
    if name in OFFICIAL or name in RESEARCH:
        raise _not_here(name)
    raise UserError(
        f"{name} is not a data set; these are {', '.join(dict.fromkeys([*OFFICIAL, *RESEARCH, *DIGITS]))}. "
        "`mmaml data list` says which are here, and `mmaml data import` adds your own. A file or folder that is named "
        "instead, with --data or to `mmaml data inspect`, must exist."
    )


def read_path(path: Path, side: int) -> ImageSet:
    """A data set from a pack file, or from a folder or archive of class folders, whose images get `side`.

    Raises `UserError` if nothing is there, or it is damaged or something else.
    """
    if path.is_dir() or is_archive(path):
        return read_images(path, side)
    return read_research_pack(path) if path.suffix == ".npz" else ImageSet.load(path)


def _has_pack(name: str) -> bool:
    # A path is not a name, though the pack beside it may be called so.
    return Path(name).name == name and pack_path(name).is_file()


def _not_here(name: str) -> DataError:
    if name not in OFFICIAL:
        return DataError(
            f"{name} is not here: {data_folder()} has no {RESEARCH[name].file}. It is a research pack and cannot be "
            "fetched; set MMAML_DATA to the folder that has it."
        )
    advice = OFFICIAL[name].how or f"Get it with `mmaml data fetch {name}` or `mmaml data import {name} PATH`."
    return DataError(f"{name} is not here: {data_folder()} has no {name}{SUFFIX}. {advice}")
