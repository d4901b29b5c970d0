"""`mmaml data` as its user meets it."""

import dataclasses
import json

import numpy as np
import pytest
import tyro

from mmaml import cli_data
from mmaml.classification.datasets import catalogue, mini_imagenet
from mmaml.classification.datasets.known import OFFICIAL
from mmaml.classification.datasets.pack import ImageSet
from mmaml.runs.errors import Note, UserError
from tests.classification.datasets.making import cub_files, image_set, imagenet_files, picture, write_files, write_tar


@pytest.fixture
def run(capsys):
    """Run `mmaml data …` from an app that has other commands, too: exit code, standard output, standard error."""
    app = tyro.extras.SubcommandApp()
    app.command(cli_data.data, name="data", help="Image data sets: list, fetch, import and inspect them.")

    @app.command
    def other() -> None:
        """Something else."""

    style = (
        tyro.conf.OmitArgPrefixes,
        tyro.conf.OmitSubcommandPrefixes,
        tyro.conf.CascadeSubcommandArgs,
        tyro.conf.FlagCreatePairsOff,
    )

    def run(*arguments):
        code, said = 0, ""
        try:
            app.cli(args=["data", *map(str, arguments)], prog="mmaml", config=style)
        except UserError as error:
            code, said = 2, str(error)
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err + said

    return run


@pytest.fixture
def small_cub(monkeypatch):
    """An official data set of 400 small images."""
    monkeypatch.setitem(OFFICIAL, "cub", dataclasses.replace(OFFICIAL["cub"], images=400))


@pytest.fixture
def moths(tmp_path):
    return write_files(tmp_path / "moths", {f"{c}/{i}.png": picture() for c in "abcdefg" for i in range(3)})


def test_help_names_the_commands(run):
    code, out, _ = run("--help")
    assert code == 0 and all(command in out for command in ("list", "fetch", "import", "inspect"))


def test_list(run, data_folder):
    image_set(name="moths").save(data_folder / "moths.safetensors")
    (data_folder / "broken.safetensors").write_bytes(b"x")
    code, out, _ = run("list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and rows["digits"]["here"] and rows["moths"]["here"]
    assert rows["broken"]["damaged"] and not (rows["cub"]["here"] or rows["cifar100-fs"]["here"])
    assert rows["cub"]["classes"] == {"train": 140, "validation": 30, "test": 30}
    assert "non-commercial" in rows["cub"]["terms"] and rows["moths"]["size"] == "5×5×3"
    code, out, _ = run("list")
    assert code == 0 and "mini-imagenet" in out and "aircraft-edges" in out


def test_import_of_an_official_archive(run, data_folder, tmp_path, small_cub):
    archive = write_tar(tmp_path / "CUB_200_2011.tgz", cub_files())
    code, out, _ = run("import", "cub", archive, "--image-size", "6", "--json")
    assert code == 0 and json.loads(out)["classes"] == {"train": 140, "validation": 30, "test": 30}
    assert catalogue.find("cub").images.shape == (400, 6, 6, 3)
    code, _, said = run("import", "cub", archive)
    assert code == 2 and "cub is here already" in said and "--overwrite" in said
    code, _, _ = run("import", "cub", archive, "--overwrite")
    assert code == 0 and catalogue.find("cub").images.shape == (400, 84, 84, 3)


def test_import_of_mini_imagenet_from_imagenet(run, data_folder, tmp_path, monkeypatch):
    small = dataclasses.replace(OFFICIAL["mini-imagenet"], images=200)
    monkeypatch.setitem(OFFICIAL, "mini-imagenet", small)
    monkeypatch.setattr(mini_imagenet, "IMAGES_PER_CLASS", 2)
    archive = write_tar(tmp_path / "imagenet.tar", imagenet_files())
    code, out, _ = run("import", "mini-imagenet", archive, "--image-size", "6", "--json")
    assert code == 0 and json.loads(out)["classes"] == {"train": 64, "validation": 16, "test": 20}
    assert json.loads(out)["images_per_class"] == [2, 2]


def test_an_incomplete_official_archive_is_refused(run, data_folder, tmp_path):
    code, _, said = run("import", "cub", write_tar(tmp_path / "CUB_200_2011.tgz", cub_files()))
    assert code == 2 and "400 images, but cub has 11788" in said and not data_folder.exists()


def test_import_of_own_images(run, data_folder, moths):
    code, out, _ = run("import", "my-moths", moths, "--image-size", "9")
    assert code == 0 and "my-moths: 21 images of 9×9×1, 3 a class" in out and "3 train, 2 validation, 2 test" in out
    assert ImageSet.load(data_folder / "my-moths.safetensors").name == "my-moths"
    assert catalogue.find("my-moths").images.shape == (21, 9, 9, 1)


def test_where_a_folder_is_called_like_the_data_set_both_are_told_apart(run, data_folder, moths, monkeypatch):
    monkeypatch.chdir(moths.parent)
    pack = data_folder / "moths.safetensors"
    assert f"train classification --data {pack}`" in run("import", "moths", "moths")[2]
    with pytest.warns(Note, match=rf"both {moths} and a data set are called moths: the data set is taken.*{pack}"):
        run("inspect", "moths")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("import", "digits", "{moths}"), "'digits' cannot be the name of your own images"),
        (("import", "../x", "{moths}"), "'../x' cannot be the name"),
        (("import", "my", "{moths}", "--image-size", "0"), "--image-size is 0, but must be from 1 to 1024"),
        (("import", "my", "{moths}", "--image-size", "1000000"), "must be from 1 to 1024"),
        (("import", "my", "{moths}", "--seed", "-1"), "--seed is -1, but must be 0 or more"),
        (("import", "my", "{moths}", "--min-images", "16"), "has 3 images"),
        (("import", "cub", "{moths}"), "has 0 of CUB's 200 species"),
        (("import", "cub", "nowhere"), "nowhere does not exist"),
        (("fetch", "mini-imagenet"), "mini-imagenet cannot be fetched. ImageNet's terms"),
        (("fetch", "digits"), "digits cannot be fetched; what can is omniglot, fc100, cifar-fs, cub, aircraft"),
        (("inspect", "moth"), "moth is not a data set; these are omniglot"),
        (("inspect", "digits", "--out", "sheet.jpg"), "must end in .png"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(run, data_folder, moths, arguments, message):
    code, _, said = run(*(moths if a == "{moths}" else a for a in arguments))
    assert code == 2 and message in said and not data_folder.exists()


def test_fetch_downloads_then_makes_the_pack(run, data_folder, monkeypatch, small_cub):
    asked = []

    def instead(archive, folder, console):
        asked.append(archive.file)
        return write_tar(folder / archive.file, cub_files())

    monkeypatch.setattr(cli_data, "download", instead)
    code, out, err = run("fetch", "cub", "--image-size", "5", "--json")
    assert code == 0 and asked == ["CUB_200_2011.tgz"] and "is not needed any more" in err
    assert json.loads(out)["image_size"] == [5, 5, 3] and catalogue.find("cub").images.shape == (400, 5, 5, 3)
    code, _, said = run("fetch", "cub")
    assert code == 2 and "is here already" in said and len(asked) == 1


def test_inspect_a_name_a_file_and_a_folder(run, data_folder, moths, tmp_path):
    code, out, _ = run("inspect", "digits", "--out", tmp_path / "sheet.png", "--json")
    about = json.loads(out)
    assert code == 0 and about["images"] == 4 * 1797 and about["images_per_class"] == [174, 183]
    assert about["class_names"]["test"][0] == "7 turned 0°" and (tmp_path / "sheet.png").stat().st_size > 1000
    image_set().save(tmp_path / "x.safetensors")
    assert "12 images of 5×5×3, 3 a class" in run("inspect", tmp_path / "x.safetensors")[1]
    code, out, _ = run("inspect", moths, "--image-size", "6")
    assert code == 0 and "moths: 21 images of 6×6×1" in out


def test_inspect_takes_a_name_before_a_path(run, data_folder, moths, monkeypatch):
    monkeypatch.chdir(moths.parent)
    assert "moths: 21 images" in run("inspect", "moths")[1]
    image_set(name="moths").save(data_folder / "moths.safetensors")
    with pytest.warns(Note, match="the data set is taken"):
        assert "moths: 12 images" in run("inspect", "moths")[1]
    assert "moths: 21 images" in run("inspect", moths)[1]


def test_a_damaged_set_is_named(run, data_folder):
    image_set(name="cub").save(data_folder / "cub.safetensors")
    damaged = (data_folder / "cub.safetensors").read_bytes()[:-1]
    (data_folder / "cub.safetensors").write_bytes(damaged)
    code, _, said = run("inspect", "cub")
    assert code == 2 and "cub.safetensors cannot be read as a data set of mmaml" in said
    assert np.array_equal(list((data_folder / "cub.safetensors").read_bytes()), list(damaged))
