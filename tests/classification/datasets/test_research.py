"""The research packs as they are, and our splits against theirs."""

import random

import numpy as np
import pytest

from mmaml.classification.datasets import catalogue
from mmaml.classification.datasets.aircraft import aircraft_split
from mmaml.classification.datasets.cifar import CIFAR_FS
from mmaml.classification.datasets.known import OFFICIAL, RESEARCH
from mmaml.classification.datasets.mini_imagenet import SPLIT
from mmaml.classification.datasets.research import read_research_pack
from mmaml.classification.datasets.splits import split_in_order
from mmaml.runs.errors import UserError


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("omniglot", (32460, 28, 28, 1), (1100, 100, 423)),
        ("tiny-imagenet-100", (9000, 32, 32, 3), (64, 16, 20)),
        ("cifar100", (18000, 32, 32, 3), (60, 20, 20)),
        ("cifar100-fs", (18000, 32, 32, 3), (64, 16, 20)),
        ("cub-100", (5902, 32, 32, 3), (70, 15, 15)),
        ("aircraft-edges", (10000, 32, 64, 1), (70, 15, 15)),
    ],
)
def test_each_pack_is_what_the_catalogue_says(research_packs, name, shape, classes):
    found, about = catalogue.find(name), RESEARCH[name]
    assert found.name == name and found.images.shape == shape
    assert found.classes_per_split == classes == about.classes
    assert about.size == "×".join(map(str, shape[1:]))


def test_research_packs_serve_the_modes(research_packs):
    assert [catalogue.stand_in_for(mode) for mode in OFFICIAL] == [
        "omniglot", "tiny-imagenet-100", "cifar100", "cifar100-fs", "cub-100", "aircraft-edges",
    ]  # fmt: skip


def test_our_splits_are_those_of_the_packs(research_packs):
    def parts(file, key="class_names", split="class_split"):
        pack = np.load(research_packs / file)
        return pack[key].tolist(), dict(zip(pack[key].tolist(), pack[split].tolist(), strict=True)), pack

    variants, aircraft, _ = parts("aircraft_edges_32x64.npz")
    assert aircraft_split(variants) == aircraft and aircraft["F/A-18"] == 2
    characters, omniglot, _ = parts("omniglot_28.npz")
    random.Random(1).shuffle(characters)
    assert split_in_order(characters, 1100, 100) == omniglot
    names, cifar_fs, _ = parts("cifar100_32.npz", split="class_split_cifarfs")
    assert {name: CIFAR_FS.get(name, 0) for name in names} == cifar_fs
    _, tiny, pack = parts("tinyimagenet100_32.npz", "class_wnid")
    shared = pack["class_wnid"][pack["class_in_mini_imagenet"] == 1].tolist()
    assert len(shared) == 25 and all(SPLIT[synset] == tiny[synset] for synset in shared)


def npz(path, **changes):
    arrays = {
        "images": np.zeros((2, 3, 3), np.uint8),
        "labels": np.array([0, 1], np.int16),
        "class_names": np.array(["a", "b"]),
        "class_split": np.array([0, 2], np.uint8),
    }
    np.savez(path, **arrays | changes)
    return path


def test_a_pack_file_of_ones_own(tmp_path):
    made = catalogue.read_path(npz(tmp_path / "own.npz"), 3)
    assert made.name == "own" and made.images.shape == (2, 3, 3, 1) and made.class_names == ("a", "b")


def test_a_damaged_pack_is_named(tmp_path):
    path = npz(tmp_path / "own.npz")
    whole = path.read_bytes()
    for damaged in (b"", b"<html>", whole[:200], whole[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"own.npz cannot be read as a research pack"):
            read_research_pack(path)
    with pytest.raises(UserError, match=r"lacks class_split_x; it has images, labels, class_names, class_split"):
        read_research_pack(npz(path), split="class_split_x")
    with pytest.raises(UserError, match=r"labels go from 0 to 9"):
        read_research_pack(npz(path, labels=np.array([0, 9])))
    with pytest.raises(UserError, match=r"cannot be read as a research pack"):
        read_research_pack(npz(path, class_names=np.array(["a", object()], object)))
    with pytest.raises(UserError, match="does not exist"):
        read_research_pack(tmp_path / "nothing.npz")
