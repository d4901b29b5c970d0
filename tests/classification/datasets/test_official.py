"""Official archives, in small: what is read from them, how it is split, and what is said of wrong ones."""

import numpy as np
import pytest

from mmaml.classification.datasets import mini_imagenet
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
    imagenet_files,
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
    fc100, cifar_fs = read_cifar(path, "fc100"), read_cifar(path, "cifar-fs", side=10)
    assert fc100.classes_per_split == (60, 20, 20) and cifar_fs.classes_per_split == (64, 16, 20)
    assert fc100.images.shape == (200, 32, 32, 3) and cifar_fs.images.shape == (200, 10, 10, 3)
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
    packed = read_aircraft(write_tar(tmp_path / "fgvc-aircraft-2013b.tar.gz", files), 4)
    assert packed.classes_per_split == (70, 15, 15) and packed.images.shape == (300, 4, 4, 3)
    assert same(packed, read_aircraft(write_files(tmp_path / "unpacked", files), 4))
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


def mini_lists(*places):
    """The published lists, in small: of each class the images at these places."""
    return {
        f"{part}.csv": "\n".join(
            ["filename,label", *(f"{s}{p:08}.jpg,{s}" for s in synsets.split() for p in places)]
        ).encode()
        for part, synsets in PARTS.items()
    }


def class_tars(folder, files):
    for synset in {name.partition("/")[0] for name in files}:
        inside = {name.partition("/")[2]: data for name, data in files.items() if name.startswith(synset)}
        write_tar(folder / f"{synset}.tar", inside)
    return folder


def shades(image_set):
    """The shades of each class's images."""
    values = image_set.images.mean((1, 2, 3)).reshape(100, -1)
    assert (values == values[0]).all()
    return values[0].round(-1).tolist()


@pytest.fixture
def two_per_class(monkeypatch):
    monkeypatch.setattr(mini_imagenet, "IMAGES_PER_CLASS", 2)


def test_mini_imagenet_made_of_imagenet(tmp_path, two_per_class):
    files = imagenet_files()
    deep = {f"ILSVRC/Data/CLS-LOC/train/{name}": data for name, data in files.items()}
    validation = {"ILSVRC/Data/CLS-LOC/val/n01532829/ILSVRC2012_val_00000001.JPEG": b"not taken"}
    unpacked = read_mini_imagenet(write_files(tmp_path / "unpacked", deep | validation), 4)
    assert unpacked.classes_per_split == (64, 16, 20) and len(unpacked.images) == 200
    assert all(part == SPLIT[name] for name, part in zip(unpacked.class_names, unpacked.class_split, strict=True))
    assert shades(unpacked) == [40, 80]
    tars = class_tars(tmp_path / "tars", files)
    assert same(unpacked, read_mini_imagenet(tars, 4))
    whole = {tar.name: tar.read_bytes() for tar in sorted(tars.iterdir())}
    assert same(unpacked, read_mini_imagenet(write_tar(tmp_path / "whole" / "ILSVRC2012_img_train.tar", whole), 4))
    write_files(tmp_path / "whole", mini_lists(3, 1))
    assert shades(read_mini_imagenet(tmp_path / "whole", 4)) == [40, 120]


def test_only_the_images_that_are_taken_are_read(tmp_path, two_per_class):
    files = imagenet_files() | {f"{s}/{s}_9.JPEG": b"not a picture" for s in ("n01440764", *SPLIT)}
    write_files(tmp_path, files | mini_lists(2, 3))
    assert shades(read_mini_imagenet(tmp_path, 4)) == [80, 120]
    (tmp_path / "n01532829" / "n01532829_10.JPEG").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"n01532829_10.JPEG cannot be read as a picture"):
        read_mini_imagenet(tmp_path, 4)


def test_an_incomplete_imagenet_is_named(tmp_path, two_per_class):
    write_files(tmp_path, imagenet_files() | mini_lists(1, 4))
    with pytest.raises(UserError, match=r"lacks 100 of the 200 .*n0153282900000004.jpg for one.* 3 images are here"):
        read_mini_imagenet(tmp_path, 4)
    for file in ("train.csv", "val.csv", "test.csv", "n01532829/n01532829_9.JPEG", "n01532829/n01532829_10.JPEG"):
        (tmp_path / file).unlink()
    with pytest.raises(UserError, match=r"has 1 images of the class n01532829, but .* takes 2 of each. Complete"):
        read_mini_imagenet(tmp_path, 4)
    (tmp_path / "n01532829" / "n01532829_11.JPEG").unlink()
    with pytest.raises(UserError, match=r"lacks 1 of mini-ImageNet's 100 classes, n01532829 for one"):
        read_mini_imagenet(tmp_path, 4)


def test_lists_that_are_not_utf8_are_named(tmp_path):
    with pytest.raises(UserError, match=r"train.csv is not text in UTF-8"):
        read_mini_imagenet(write_files(tmp_path / "mini", {"train.csv": b"filename,label\n\xff"}), 4)
    with pytest.raises(UserError, match=r"variants.txt is not text in UTF-8"):
        read_aircraft(write_files(tmp_path / "aircraft", aircraft_files(VARIANTS) | {"variants.txt": b"\xff"}), 4)
    files = cifar_files([], [0] * 100) | {"cifar-100-binary/fine_label_names.txt": b"\xff"}
    with pytest.raises(UserError, match=r"fine_label_names.txt is not text in UTF-8"):
        read_cifar(write_files(tmp_path / "cifar", files), "fc100")
