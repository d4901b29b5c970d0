"""A person's own images."""

import numpy as np
import pytest

from mmaml.classification.datasets.folder import read_folder
from mmaml.runs.errors import UserError
from tests.classification.datasets.making import picture, write_files


def classes(names, images=2, under=""):
    return {f"{under}{name}/{i}.png": picture(10 * i) for name in names for i in range(images)}


def test_class_folders_are_split_by_the_seed(tmp_path):
    write_files(tmp_path / "moths", classes("abcdefghij"))
    made = read_folder(tmp_path / "moths", 8)
    assert made.name == "moths" and made.images.shape == (20, 8, 8, 3) and made.classes_per_split == (6, 2, 2)
    again, other = read_folder(tmp_path / "moths", 8), read_folder(tmp_path / "moths", 8, seed=1)
    assert made.class_names == again.class_names and made.class_names != other.class_names
    assert set(made.class_names) == set(other.class_names) == set("abcdefghij")


@pytest.mark.parametrize(("n", "expected"), [(4, (2, 0, 2)), (5, (3, 0, 2)), (6, (2, 2, 2)), (25, (16, 4, 5))])
def test_shares_of_the_splits(tmp_path, n, expected):
    write_files(tmp_path, classes([f"c{i}" for i in range(n)]))
    assert read_folder(tmp_path, 4).classes_per_split == expected


def test_given_splits_are_kept(tmp_path):
    for part, names in {"train": "abc", "val": "de", "test": "fg"}.items():
        write_files(tmp_path, classes(names, under=f"{part}/"))
    made = read_folder(tmp_path, 4, name="mine")
    assert made.name == "mine" and "".join(made.class_names) == "abcdefg"
    assert made.class_split.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_pictures_of_every_kind_and_size(tmp_path):
    odd = {
        "a/1.PNG": picture(9, mode="RGBA", size=(30, 2)),
        "a/2.jpeg": picture(9, kind="JPEG"),
        "a/3.webp": picture(9, kind="WEBP"),
        "a/4.bmp": picture(9, mode="L", kind="BMP", size=(1, 1)),
        "a/notes.txt": b"not a picture",
        "a/.hidden.png": b"not a picture",
        ".git/x": b"",
    }
    write_files(tmp_path, odd | classes("bcd"))
    assert np.bincount(read_folder(tmp_path, 5, 1).labels).tolist().count(4) == 1


def test_what_is_wrong_with_a_folder_is_named(tmp_path):
    def message(files, pattern, **options):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with pytest.raises(UserError, match=pattern):
            read_folder(write_files(folder, files), 4, **options)

    message({}, "has no folders with images.*one sub-folder a class")
    message({"readme.txt": b""}, "has no folders with images")
    message(classes("a"), r"has only the class a; it takes at least 4 classes")
    message(classes("abc"), r"has only the classes a, b, c")
    message(classes("abcd") | {"x.jpg": b""}, r"x.jpg is an image outside any class's folder")
    message(classes("abcd") | {"e/x.heic": b""}, r"e has 0 images \(.png, .*needs at least 2")
    message(classes("abcd"), r"has 2 images .*at least 16", least=16)
    message(classes("abcd") | {"b/broken.png": picture()[:45]}, r"b/broken.png cannot be read as a picture")
    message(classes("abcd", under="train/") | classes("x"), r"has both train and x")
    message(classes("abcd", under="train/") | classes("e", under="test/"), r"test has 1 classes")
    message(classes("abcd", under="train/") | classes("ad", under="test/"), r"(a|d) is a class of another split")
    message({"train/1.png": picture()}, r"train/1.png is an image outside any class's folder")
    (tmp_path / "dangling" / "a").mkdir(parents=True)
    (tmp_path / "dangling" / "a" / "0.png").symlink_to(tmp_path / "gone.png")
    write_files(tmp_path / "dangling", classes("bcd"))
    with pytest.raises(UserError, match=r"a/0.png cannot be read: No such file"):
        read_folder(tmp_path / "dangling", 4, least=1)
    with pytest.raises(UserError, match="is not a folder"):
        read_folder(tmp_path / "nothing")
