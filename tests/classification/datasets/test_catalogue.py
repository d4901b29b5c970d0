"""What is found under a name, and what is said when nothing is."""

import numpy as np
import pytest

from mmaml.classification.datasets import catalogue
from mmaml.classification.datasets.known import DIGITS, OFFICIAL, RESEARCH
from mmaml.runs.errors import UserError
from tests.classification.datasets.making import image_set, picture, write_files


def test_digits_are_always_here(data_folder):
    digits = catalogue.find("digits")
    assert digits.images.shape == (4 * 1797, 8, 8, 1) and digits.images.max() == 255
    assert digits.classes_per_split == (16, 12, 12) and catalogue.is_here("digits")
    assert np.array_equal(catalogue.find("digits-negative").images, 255 - digits.images)
    three = [digits.images[digits.labels == digits.class_names.index(f"3 turned {t}°")] for t in (0, 90)]
    assert np.array_equal(three[1], np.rot90(three[0], 1, (1, 2)))


def test_the_official_set_comes_before_its_research_pack(data_folder):
    data_folder.mkdir()
    (data_folder / "cub100_32.npz").write_bytes(b"never read here")
    assert catalogue.stand_in_for("cub") == "cub-100" and not catalogue.is_here("cub")
    image_set(name="cub").save(catalogue.pack_path("cub"))
    assert catalogue.stand_in_for("cub") == "cub" and catalogue.find("cub").name == "cub"


def test_own_sets_are_found_by_name_and_read_from_files_and_folders(data_folder, tmp_path):
    image_set(name="moths").save(data_folder / "moths.safetensors")
    assert catalogue.is_here("moths") and catalogue.find("moths").name == "moths"
    assert catalogue.read_path(data_folder / "moths.safetensors", 6).name == "moths"
    write_files(tmp_path / "own", {f"{c}/{i}.png": picture() for c in "abcd" for i in range(2)})
    assert catalogue.read_path(tmp_path / "own", 6).images.shape == (8, 6, 6, 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cub", r"cub is not here: .*data has no cub.safetensors. Get it with `mmaml data fetch cub`"),
        ("mini-imagenet", r"mini-imagenet is not here.*`mmaml data import mini-imagenet PATH`"),
        ("cifar100", r"cifar100 is not here: .* has no cifar100_32.npz.*set MMAML_DATA"),
        ("cubs", r"cubs is not a data set; these are omniglot, mini-imagenet, .*digits"),
    ],
)
def test_what_is_not_here_is_explained(data_folder, name, message):
    with pytest.raises(UserError, match=message):
        catalogue.find(name)


def test_a_path_is_not_a_name(data_folder):
    image_set(name="moths").save(data_folder / "moths.safetensors")
    assert not catalogue.is_here(str(data_folder / "moths"))
    with pytest.raises(UserError, match=r"moths is not a data set"):
        catalogue.find(str(data_folder / "moths"))
    with pytest.raises(UserError, match=r"nothing does not exist"):
        catalogue.read_path(data_folder / "nothing", 6)


def test_a_mode_that_nothing_serves_is_explained(data_folder):
    with pytest.raises(UserError, match=r"mmaml data fetch fc100"):
        catalogue.stand_in_for("fc100")


def test_the_data_folder_without_a_variable(monkeypatch):
    monkeypatch.delenv("MMAML_DATA", raising=False)
    assert catalogue.data_folder().parts[-3:] == (".cache", "mmaml", "data")


def test_the_listing_says_what_is_here_and_as_what(data_folder):
    data_folder.mkdir()
    (data_folder / "omniglot_28.npz").write_bytes(b"never read here")
    image_set(name="cub").save(catalogue.pack_path("cub"))
    image_set(name="moths").save(catalogue.pack_path("moths"))
    catalogue.pack_path("broken").write_bytes(b"x")
    rows = catalogue.listing()
    assert [row.name for row in rows if row.here] == ["omniglot", "cub", "digits", "digits-negative", "broken", "moths"]
    by_name = {row.name: row for row in rows}
    assert len(by_name) == len(rows) and by_name.keys() > OFFICIAL.keys() | RESEARCH.keys()
    assert (by_name["omniglot"].size, by_name["cub"].size) == ("28×28×1", "5×5×3")
    assert by_name["cub"].terms == OFFICIAL["cub"].terms
    assert [row.name for row in rows if row.damaged] == ["broken"] and by_name["broken"].classes is None
    assert by_name["moths"].classes == {"train": 2, "validation": 1, "test": 1}
    for name in DIGITS:
        assert tuple(by_name[name].classes.values()) == catalogue.find(name).classes_per_split
    catalogue.pack_path("cub").write_bytes(b"x")
    assert {row.name for row in catalogue.listing() if row.damaged} == {"broken", "cub"}
    (data_folder / "omniglot_28.npz").unlink()
    assert {row.name: row.size for row in catalogue.listing()}["omniglot"] == "84×84"


def test_official_sets_are_as_large_as_published():
    """Omniglot's 100 validation classes are ours, of the published 523 for test."""
    assert {name: (official.classes, official.images) for name, official in OFFICIAL.items()} == {
        "omniglot": ((1100, 100, 423), 1623 * 20),
        "mini-imagenet": ((64, 16, 20), 100 * 600),
        "fc100": ((60, 20, 20), 100 * 600),
        "cifar-fs": ((64, 16, 20), 100 * 600),
        "cub": ((140, 30, 30), 11_788),
        "aircraft": ((70, 15, 15), 100 * 100),
    }


def test_archives_have_hashes_of_the_right_length():
    for official in OFFICIAL.values():
        assert sum(official.classes) and (official.archives or official.how)
        for archive in official.archives:
            kind, _, digest = archive.hash.partition(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[kind] and all(
                m.startswith("https") for m in archive.mirrors
            )
