"""Zip, tar and folder look alike."""

import pytest

from mmaml.classification.datasets.archive import files_in
from mmaml.runs.errors import UserError
from tests.classification.datasets.making import write_files, write_tar, write_zip


FILES = {"a/x.txt": b"1" * 5000, "a/b/y.txt": b"2", "z.txt": b"3"}
HIDDEN = {"__MACOSX/a/._x.txt": b"?", ".cache/x": b"?", "a/.DS_Store": b"?"}


def content(path):
    return {str(name): read() for name, read in files_in(path)}


def test_zip_tar_and_folder_have_the_same_files(tmp_path):
    assert content(write_zip(tmp_path / "f.zip", FILES | HIDDEN)) == FILES
    assert content(write_tar(tmp_path / "f.tar.gz", FILES | HIDDEN)) == FILES
    assert content(write_files(tmp_path / "f", FILES | HIDDEN)) == FILES


def test_archives_in_a_folder_are_looked_into(tmp_path):
    write_zip(tmp_path / "in" / "one.zip", {"1": b"1"})
    write_tar(tmp_path / "in" / "deep" / "two.tgz", {"2": b"2"})
    assert content(tmp_path / "in") == {"1": b"1", "2": b"2"}


@pytest.mark.parametrize("name", ["f.zip", "f.tar.gz"])
def test_a_damaged_archive_is_named(tmp_path, name):
    path = (write_zip if name == "f.zip" else write_tar)(tmp_path / name, {"a": bytes(range(256)) * 100, "b": b"x"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"{name} cannot be read to its end: .*download it again"):
        content(path)
    path.write_text("<html>quota exceeded</html>")
    with pytest.raises(UserError, match="cannot be read to its end"):
        content(path)


def test_what_is_neither_is_named(tmp_path):
    (tmp_path / "f.rar").write_text("")
    with pytest.raises(UserError, match=r"f.rar is not of that kind: .*\.zip"):
        content(tmp_path / "f.rar")
    with pytest.raises(UserError, match="nothing does not exist"):
        content(tmp_path / "nothing")
