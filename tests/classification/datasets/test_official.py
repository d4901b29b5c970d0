"""Official archives, in small: what is read from them, how it is split, and what is said of wrong ones."""

import numpy as np
import pytest

from mmaml.classification.datasets.aircraft import aircraft_split, read_aircraft
from mmaml.classification.datasets.cifar import CIFAR_FS, read_cifar
from mmaml.classification.datasets.cub import read_cub
from mmaml.classification.datasets.mini_imagenet import PARTS, SPLIT, read_mini_imagenet
from mmaml.classification.datasets.omniglot import read_omniglot
from mmaml.runs.errors import UserError
from tests.classification.datasets.making import (
    aircraft_files,
    cifar_files,
    cub_files,
    omniglot_zips,
    picture,
    write_files,
    write_tar,
    write_zip,
)


# Stand-ins for the lines of variants.txt; the 74th is one of the two with a slash.
VARIANTS = [f"Plane {i:02}" if i != 73 else "F/A-18" for i in range(100)]


def classes_of(split, value):
    return {name for name, part in split.items() if part == value}


def same(one, other):
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.labels, other.labels)
    return (one.class_names, one.class_split.tolist()) == (other.class_names, other.class_split.tolist())


def test_omniglot_from_zips_and_unpacked(tmp_path):
    parts = omniglot_zips()
    for part, files in parts.items():
        write_zip(tmp_path / "zips" / f"{part}.zip", files)
        write_files(tmp_path / "unpacked", files)
    packed, unpacked = read_omniglot(tmp_path / "zips", 4), read_omniglot(tmp_path / "unpacked", 4)
    assert same(packed, unpacked) and packed.classes_per_split == (1100, 100, 423)
    assert packed.images.shape == (1623, 4, 4, 1) and (packed.images == 55).all()  # inverted: 255 − 200
    with pytest.raises(UserError, match=r"964 of Omniglot's 1623 characters.*both images_background.zip"):
        read_omniglot(tmp_path / "zips" / "images_background.zip", 4)


def test_cifar_from_its_binary_version(tmp_path):
    class_names = sorted([*CIFAR_FS, *(f"c{i}" for i in range(64))])
    coarse = [i // 5 for i in range(100)]
    path = write_tar(tmp_path / "cifar-100-binary.tar.gz", cifar_files(class_names, coarse))
    fc100, cifar_fs = read_cifar(path, "fc100"), read_cifar(path, "cifar-fs", side=10, channels=1)
    assert fc100.classes_per_split == (60, 20, 20) and cifar_fs.classes_per_split == (64, 16, 20)
    assert fc100.images.shape == (200, 32, 32, 3) and cifar_fs.images.shape == (200, 10, 10, 1)
    for name, part in zip(fc100.class_names, fc100.class_split, strict=True):
        superclass = coarse[class_names.index(name)]
        assert part == (1 if superclass in (8, 11, 13, 16) else 2 if superclass in (0, 7, 12, 14) else 0)
    for name, part in zip(cifar_fs.class_names, cifar_fs.class_split, strict=True):
        assert part == CIFAR_FS.get(name, 0)
    # Colours as they are, not inverted, and the planes in order.
    one = class_names.index(fc100.class_names[fc100.labels[7]])
    assert fc100.images[7, 3, 5].tolist() == [one, one + 1, one + 2]
    assert same(fc100, read_cifar(write_files(tmp_path, cifar_files(class_names, coarse)), "fc100"))


def test_wrong_kinds_of_cifar_are_named(tmp_path):
    with pytest.raises(UserError, match=r"lacks fine_label_names.txt, test.bin, train.bin.*binary version"):
        read_cifar(write_files(tmp_path / "python", {"cifar-100-python/train": b"x"}), "fc100")
    files = cifar_files(list("ab"), [0] * 100)
    with pytest.raises(UserError, match="100 classes and 2 class names"):
        read_cifar(write_files(tmp_path / "few", files), "fc100")
    files["cifar-100-binary/test.bin"] = files["cifar-100-binary/test.bin"][:-7]
    with pytest.raises(UserError, match=r"test.bin has \d+ bytes, not a multiple of 3074"):
        read_cifar(write_files(tmp_path / "cut", files), "fc100")


def test_cub_from_archive_and_unpacked(tmp_path):
    files = cub_files()
    packed = read_cub(write_tar(tmp_path / "CUB_200_2011.tgz", files), 4)
    assert packed.classes_per_split == (140, 30, 30) and packed.images.shape == (400, 4, 4, 3)
    assert same(packed, read_cub(write_files(tmp_path / "unpacked", files), 4))
    order = [f"Bird_{999 - i}" for i in range(1, 201)]  # by the folders' numbers, not by the names
    np.random.RandomState(123).shuffle(order)
    assert {n for n, s in zip(packed.class_names, packed.class_split, strict=True) if s == 2} == set(order[170:])
    (tmp_path / "part" / "images" / "001.One").mkdir(parents=True)
    (tmp_path / "part" / "images" / "001.One" / "1.jpg").write_bytes(picture(kind="JPEG"))
    with pytest.raises(UserError, match="1 of CUB's 200 species"):
        read_cub(tmp_path / "part")


def test_aircraft_split_is_the_published_one():
    split = aircraft_split(VARIANTS)
    assert [i for i, v in enumerate(VARIANTS) if split[v] == 1] == [
        2, 7, 27, 34, 39, 40, 48, 49, 52, 55, 61, 67, 68, 93, 99,
    ]  # fmt: skip
    assert [i for i, v in enumerate(VARIANTS) if split[v] == 2] == [
        17, 25, 32, 36, 46, 47, 57, 66, 73, 78, 80, 83, 86, 92, 96,
    ]  # fmt: skip
    assert "F/A-18" in classes_of(split, 2) and len(classes_of(split, 0)) == 70


def test_aircraft_from_archive_and_unpacked(tmp_path):
    files = aircraft_files(VARIANTS)
    packed = read_aircraft(write_tar(tmp_path / "fgvc-aircraft-2013b.tar.gz", files), 4, 1)
    assert packed.classes_per_split == (70, 15, 15) and packed.images.shape == (300, 4, 4, 1)
    assert same(packed, read_aircraft(write_files(tmp_path / "unpacked", files), 4, 1))
    assert np.bincount(packed.labels).tolist() == [3] * 100  # F/A-18 keeps its images
    first = VARIANTS.index(packed.class_names[0])
    assert abs(int(packed.images[0].mean()) - first) <= 2
    (tmp_path / "unpacked" / "fgvc-aircraft-2013b" / "data" / "images" / "00000.jpg").unlink()
    with pytest.raises(UserError, match="1 of the 300 listed images are missing"):
        read_aircraft(tmp_path / "unpacked", 4)


def mini_files(layout):
    named = {f"{s}0000000{i}.jpg": (s, picture(i, kind="JPEG")) for s in SPLIT for i in range(2)}
    if layout == "folders":
        return {f"{list(PARTS)[SPLIT[s]]}/{s}/{name}": data for name, (s, data) in named.items()}
    lists = {
        f"{part}.csv": "filename,label\n" + "\n".join(f"{n},{s}" for n, (s, _) in named.items() if s in synsets)
        for part, synsets in PARTS.items()
    }
    return {f"images/{n}": data for n, (_, data) in named.items()} | {n: t.encode() for n, t in lists.items()}


def test_mini_imagenet_in_both_layouts(tmp_path):
    folders = read_mini_imagenet(write_files(tmp_path / "folders", mini_files("folders")), 4)
    assert folders.classes_per_split == (64, 16, 20) and len(folders.images) == 200
    assert all(part == SPLIT[name] for name, part in zip(folders.class_names, folders.class_split, strict=True))
    flat = mini_files("flat")
    assert same(folders, read_mini_imagenet(write_zip(tmp_path / "flat.zip", flat), 4))
    unlisted = {"images/n0153282900000099.jpg": picture(kind="JPEG")}
    assert same(folders, read_mini_imagenet(write_files(tmp_path / "flat", flat | unlisted), 4))
    for part in PARTS:
        files = {n: d for n, d in mini_files("folders").items() if n.startswith(part)}
        write_tar(tmp_path / "tars" / f"{part}.tar.gz", files)
    assert same(folders, read_mini_imagenet(tmp_path / "tars", 4))


def test_wrong_kinds_of_mini_imagenet_are_named(tmp_path):
    files = mini_files("flat")
    del files["images/n0153282900000001.jpg"]
    with pytest.raises(UserError, match=r"lacks 1 of the 200 images that its lists name, n0153282900000001.jpg"):
        read_mini_imagenet(write_files(tmp_path / "missing", files), 4)
    files["val.csv"] = files["test.csv"]
    with pytest.raises(UserError, match=r"val.csv lists images of 'n01930112', a class that the published split"):
        read_mini_imagenet(write_files(tmp_path / "resplit", files), 4)
    whole = mini_files("folders") | {"train/n09999999/1.jpg": picture(kind="JPEG")}
    with pytest.raises(UserError, match=r"class n09999999, which is not one of mini-ImageNet's 100"):
        read_mini_imagenet(write_files(tmp_path / "whole", whole), 4)
    with pytest.raises(UserError, match=r"lacks 100 of .*mini-imagenet-cache-train.pkl is of a kind that can run"):
        read_mini_imagenet(write_files(tmp_path / "caches", {"mini-imagenet-cache-train.pkl": b"x"}), 4)
