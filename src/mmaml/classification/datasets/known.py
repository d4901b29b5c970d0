"""The data sets that have a name here: what has been published of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmaml.classification.datasets.aircraft import read_aircraft
from mmaml.classification.datasets.cifar import read_cifar
from mmaml.classification.datasets.cub import read_cub
from mmaml.classification.datasets.fetch import Archive
from mmaml.classification.datasets.mini_imagenet import read_mini_imagenet
from mmaml.classification.datasets.omniglot import read_omniglot
from mmaml.classification.datasets.pack import ImageSet


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

    @property
    def size(self) -> str:
        """Height and width, in print."""
        return f"{self.side}×{self.side}"


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
