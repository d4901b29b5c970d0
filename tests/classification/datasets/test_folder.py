"""A person's own images."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmaml.classification.datasets.folder import read_images
from mmaml.runs.errors import Note, UserError
from tests.classification.datasets.making import picture, write_files, write_tar, write_zip


def classes(names, images=2, under=""):
    return {f"{under}{name}/{i}.png": picture(10 * i) for name in names for i in range(images)}


def test_class_folders_are_split_by_the_seed(tmp_path):
    write_files(tmp_path / "moths", classes("abcdefghij"))
    made = read_images(tmp_path / "moths", 8)
    assert made.name == "moths" and made.images.shape == (20, 8, 8, 1) and made.classes_per_split == (6, 2, 2)
    again, other = read_images(tmp_path / "moths", 8), read_images(tmp_path / "moths", 8, seed=1)
    assert made.class_names == again.class_names and made.class_names != other.class_names
    assert set(made.class_names) == set(other.class_names) == set("abcdefghij")


@pytest.mark.parametrize(("n", "expected"), [(4, (2, 0, 2)), (5, (3, 0, 2)), (6, (2, 2, 2)), (25, (16, 4, 5))])
def test_shares_of_the_splits(tmp_path, n, expected):
    write_files(tmp_path, classes([f"c{i}" for i in range(n)]))
    assert read_images(tmp_path, 4).classes_per_split == expected


def test_given_splits_are_kept(tmp_path):
    for part, names in {"train": "abc", "val": "de", "test": "fg"}.items():
        write_files(tmp_path, classes(names, under=f"{part}/"))
    made = read_images(tmp_path, 4, name="mine")
    assert made.name == "mine" and "".join(made.class_names) == "abcdefg"
    assert made.class_split.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_splits_go_by_other_names_too(tmp_path):
    for part, names in {"Training": "abc", "valid": "de", "TEST": "fg"}.items():
        write_files(tmp_path, classes(names, under=f"{part}/"))
    assert read_images(tmp_path, 4).class_split.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_one_picture_in_colour_makes_a_set_one_of_colours(tmp_path):
    write_files(tmp_path, classes("abcd"))
    assert read_images(tmp_path, 4).images.shape == (8, 4, 4, 1)
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "a" / "0.png")
    assert read_images(tmp_path, 4).images.shape == (8, 4, 4, 3)


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
    assert np.bincount(read_images(tmp_path, 5).labels).tolist().count(4) == 1


def test_a_dark_picture_is_not_brighter_than_the_others(tmp_path):
    write_files(tmp_path, classes("abcd"))
    for i, white in enumerate((3200, 65535)):
        Image.fromarray(np.full((4, 4), white, np.uint16)).save(tmp_path / "a" / f"{i}.png")
    made = read_images(tmp_path, 4)
    pictures = made.images[made.labels == made.class_names.index("a")]
    np.testing.assert_array_equal(pictures[:, 0, 0, 0], [12, 255])


def test_dark_pictures_are_as_dark_as_beside_a_kind_of_brighter_ones(tmp_path):
    write_files(tmp_path, classes("abcd"))
    Image.fromarray(np.full((4, 4), 3200, np.uint16)).save(tmp_path / "a" / "0.png")
    levels = [read_images(tmp_path, 4, bits=bits).images[..., 0].tolist() for bits in (12, 16)]
    assert [[200] * 4] * 4 in levels[0] and [[12] * 4] * 4 in levels[1]


def test_what_is_wrong_with_a_folder_is_named(tmp_path):
    def message(files, pattern, **options):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        with pytest.raises(UserError, match=pattern):
            read_images(write_files(folder, files), 4, **options)

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
    both = classes("abcd", under="val/") | classes("ef", under="validation/")
    message(classes("gh", under="train/") | both, r"has both val and validation")
    message({"train/1.png": picture()}, r"train/1.png is an image outside any class's folder")
    (tmp_path / "dangling" / "a").mkdir(parents=True)
    (tmp_path / "dangling" / "a" / "0.png").symlink_to(tmp_path / "gone.png")
    write_files(tmp_path / "dangling", classes("bcd"))
    with pytest.raises(UserError, match=r"a/0.png cannot be read: No such file"):
        read_images(tmp_path / "dangling", 4, least=1)
    with pytest.raises(UserError, match=r"nothing is neither a folder nor an archive"):
        read_images(tmp_path / "nothing")


@pytest.mark.parametrize("under", ["", "photos/2026/"])
def test_an_archive_is_read_as_the_folder_in_it(tmp_path, under):
    files = {f"{under}{name}": content for name, content in classes("abcdefg", under="").items()}
    expected = read_images(write_files(tmp_path / "moths", classes("abcdefg")), 8)
    for archive in (write_zip(tmp_path / "moths.zip", files), write_tar(tmp_path / "moths.tar.gz", files)):
        made = read_images(archive, 8)
        assert (made.name, made.class_names) == ("moths", expected.class_names)
        np.testing.assert_array_equal(made.images, expected.images)
        np.testing.assert_array_equal(made.class_split, expected.class_split)


def test_folders_in_a_class_s_folder_are_spoken_of(tmp_path):
    with pytest.warns(Note, match=r"a: 1 files or folders are left out, more for one"):
        read_images(write_files(tmp_path, classes("abcd") | {"a/more/9.png": picture()}), 4)


def test_an_archive_may_have_more_beside_the_folder_and_end_in_capitals(tmp_path):
    packed = write_zip(tmp_path / "f.zip", classes("abcd", under="set/") | {"README.txt": b"", "set/list.csv": b""})
    path = packed.rename(tmp_path / "MOTHS.ZIP")
    with pytest.warns(Note, match=rf"^{path}: what lies beside set is left out: README.txt"):
        made = read_images(path, 4)
    assert made.name == "MOTHS" and made.classes_per_split == (2, 0, 2)


def test_given_splits_in_an_archive_are_kept(tmp_path):
    files = classes("abc", under="mine/train/") | classes("de", under="mine/test/")
    assert read_images(write_zip(tmp_path / "mine.zip", files), 4).class_split.tolist() == [0, 0, 0, 2, 2]


def test_archives_in_an_archive_may_be_the_splits(tmp_path):
    parts = {"train": "abc", "test": "de"}
    inner = {f"{part}.zip": write_zip(tmp_path / part, classes(names)).read_bytes() for part, names in parts.items()}
    made = read_images(write_zip(tmp_path / "mine.zip", inner), 4)
    assert "".join(made.class_names) == "abcde" and made.class_split.tolist() == [0, 0, 0, 2, 2]


@pytest.mark.parametrize("name", [b"v\xf6gel", b"a/v\xf6gel.png"])
def test_names_that_are_no_text_are_refused(tmp_path, name):
    write_files(tmp_path, classes("abcd"))
    odd = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    odd.write_bytes(picture()) if odd.suffix else odd.mkdir()
    with pytest.raises(UserError, match=r"v\\xf6gel.* is not text in UTF-8. Rename it"):
        read_images(tmp_path, 4)


def test_messages_about_an_archive_name_it_and_the_file(tmp_path):
    broken = write_zip(tmp_path / "few.zip", classes("abcd") | {"b/broken.png": picture()[:45]})
    with pytest.raises(UserError, match=rf"^{broken}/b/broken.png cannot be read as a picture"):
        read_images(broken, 4)
    with pytest.raises(UserError, match=r"has only the class cats"):
        read_images(write_zip(tmp_path / "cats.zip", classes(["cats"])), 4)
    more = write_zip(tmp_path / "more.zip", classes("abcd", under="more/") | {"more/b/notes.txt": b""})
    with pytest.warns(Note, match=rf"^{more}/more/b: 1 files or folders are left out, notes.txt for one"):
        read_images(more, 4)


def test_nothing_is_written_outside_while_an_archive_is_read(tmp_path):
    files = classes("abcd", under=f"{tmp_path}/absolute/") | classes("e", under="../")
    made = read_images(write_zip(tmp_path / "sly.zip", files), 4)
    assert set(made.class_names) == set("abcd")
    assert [path.name for path in tmp_path.iterdir()] == ["sly.zip"]
