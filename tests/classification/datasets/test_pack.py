"""Packs: what goes in comes out, lazily; anything else is refused with one message."""

import resource
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from mmaml.classification.datasets.pack import ImageSet
from mmaml.runs.errors import UserError
from tests.classification.datasets.making import image_set


@pytest.fixture
def pack(tmp_path):
    image_set().save(tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_what_is_saved_is_loaded_and_stays_on_disk(pack):
    saved, loaded = image_set(), ImageSet.load(pack)
    assert loaded.bits == 12
    for part in ("images", "labels", "class_split"):
        np.testing.assert_array_equal(getattr(saved, part), getattr(loaded, part))
    assert (loaded.name, loaded.class_names) == (saved.name, saved.class_names)
    assert isinstance(loaded.images.base, np.memmap) and not loaded.images.flags.writeable


def test_a_pack_remembers_the_bits_of_gray(tmp_path):
    replace(image_set(), bits=16).save(tmp_path / "deep.safetensors")
    assert ImageSet.load(tmp_path / "deep.safetensors").bits == 16


def test_a_pack_is_a_plain_safetensors_file(pack):
    arrays = safetensors.numpy.load_file(pack)
    np.testing.assert_array_equal(arrays["images"], image_set().images)
    np.testing.assert_array_equal(arrays["labels"], image_set().labels)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_pack_cut_short_is_named(pack, kept):
    pack.write_bytes(pack.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"tiny.safetensors cannot be read as a data set.*make it again"):
        ImageSet.load(pack)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "page.html").write_text("<html>no</html>" * 100)
    safetensors.numpy.save_file({"w": np.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"page.html cannot be read as a data set"):
        ImageSet.load(tmp_path / "page.html")
    with pytest.raises(UserError, match=r"model.safetensors is not a data set of mmaml"):
        ImageSet.load(tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="does not exist"):
        ImageSet.load(tmp_path / "nothing.safetensors")
    with pytest.raises(UserError, match="cannot be read"):
        ImageSet.load(tmp_path)


def test_a_pack_whose_parts_do_not_fit_is_refused(tmp_path):
    about = {"format": "mmaml-images-1", "name": "x", "class_names": '["a"]'}
    arrays = {
        "images": np.zeros((2, 2, 2, 1), np.uint8),
        "labels": np.array([0, 7], np.int32),
        "class_split": np.zeros(1, np.uint8),
    }
    safetensors.numpy.save_file(arrays, tmp_path / "x.safetensors", about)
    with pytest.raises(UserError, match=r"labels go from 0 to 7, but must be in 0..0"):
        ImageSet.load(tmp_path / "x.safetensors")
    safetensors.numpy.save_file({"images": arrays["images"]}, tmp_path / "x.safetensors", about)
    with pytest.raises(UserError, match="labels"):
        ImageSet.load(tmp_path / "x.safetensors")


def test_a_full_disk_harms_no_pack(pack):
    before = pack.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*tiny.safetensors.*untouched.*free some space"):
            image_set(shape=(60, 60, 3)).save(pack)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert pack.read_bytes() == before and [p.name for p in pack.parent.iterdir()] == [pack.name]


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("images", np.zeros((12, 5, 5, 3), np.float32), "images are float32 with 4 dimensions, but must be uint8"),
        ("images", np.zeros((12, 5, 5), np.uint8), "with 3 dimensions"),
        ("images", np.zeros((12, 5, 5, 2), np.uint8), "2 channels, but must have 1 or 3"),
        ("images", np.zeros((11, 5, 5, 3), np.uint8), "11 images and 12 labels"),
        ("labels", np.zeros(12, np.int64), "labels are int64"),
        ("labels", np.zeros(12, np.int32), "class 'b' has no image"),
        ("labels", np.full(12, -1, np.int32), "labels go from -1"),
        ("class_names", ("a", "b", "b", "c"), "4 class names, 3 of them different"),
        ("class_split", np.zeros(3, np.uint8), "the splits of 3 classes"),
        ("class_split", np.full(4, 3, np.uint8), "class_split has the value 3"),
    ],
)
def test_parts_that_do_not_fit_are_named(part, value, message):
    parts = {name: getattr(image_set(), name) for name in ("name", "images", "labels", "class_names", "class_split")}
    with pytest.raises(ValueError, match=message):
        ImageSet(**parts | {part: value})


def test_assembled_sets_are_ordered_by_split_class_and_file():
    images = {(c, f): np.full((2, 2, 1), ord(c), np.uint8) for c, f in [("b", "2"), ("b", "1"), ("a", "1"), ("c", "1")]}
    made = ImageSet.assemble("x", images, {"a": 2, "b": 0, "c": 0, "unused": 1})
    assert made.class_names == ("b", "c", "a") and made.class_split.tolist() == [0, 0, 2]
    assert made.images[:, 0, 0, 0].tolist() == [ord(c) for c in "bbca"] and made.labels.tolist() == [0, 0, 1, 2]
    assert made.classes_per_split == (2, 0, 1)


@pytest.mark.parametrize("part", ["images", "labels", "class_split"])
def test_sets_that_differ_in_one_number_have_different_digests(part):
    one, numbers = image_set(), getattr(image_set(), part).copy()
    numbers.flat[1] ^= 1
    assert replace(one, **{part: numbers}).digest != one.digest == image_set().digest


def test_a_set_in_numbers():
    assert image_set(shape=(4, 8, 1)).summary() == {
        "name": "tiny",
        "images": 12,
        "image_size": [4, 8, 1],
        "classes": {"train": 2, "validation": 1, "test": 1},
        "images_per_class": [3, 3],
    }


def test_a_split_comes_class_by_class():
    mixed = image_set(split=(0, 2, 0, 1), per_class=2)
    order = np.random.default_rng(1).permutation(8)
    mixed = ImageSet("m", mixed.images[order], mixed.labels[order], mixed.class_names, mixed.class_split)
    train = mixed.of_split("train", side=5, channels=3)
    assert train.counts.tolist() == [2, 2]
    for part, label in zip((train.images[:2], train.images[2:]), (0, 2), strict=True):
        np.testing.assert_array_equal(part, mixed.images[mixed.labels == label])


def test_images_that_fit_are_not_copied(pack):
    loaded = ImageSet.load(pack)
    assert np.shares_memory(loaded.of_split("train", side=5, channels=3).images, loaded.images)


def test_images_are_brought_to_size_and_channels():
    colour = image_set(shape=(4, 8, 3)).of_split("test", side=6, channels=1)
    assert colour.images.shape == (3, 6, 6, 1)
    gray = image_set(shape=(6, 6, 1))
    tiled = gray.of_split("test", side=6, channels=3).images
    np.testing.assert_array_equal(tiled, np.repeat(gray.images[-3:], 3, axis=-1))


def test_a_split_without_classes_is_empty():
    assert image_set(split=(0, 0, 2, 2)).of_split("validation", side=5, channels=3).images.shape == (0, 5, 5, 3)
