"""Zip, tar and folder look alike."""

import io
import random
import tarfile

import pytest

from mmaml.classification.datasets.archive import decode_text, files_in
from mmaml.runs.errors import Note, UserError
from tests.classification.datasets.making import write_files, write_tar, write_zip


FILES = {"a/x.txt": b"1" * 5000, "a/b/y.txt": b"2", "z.txt": b"3"}
HIDDEN = {"__MACOSX/a/._x.txt": b"?", ".cache/x": b"?", "a/.DS_Store": b"?"}


def content(path):
    return {str(name): read() for name, read in files_in(path)}


def test_zip_tar_and_folder_have_the_same_files(tmp_path):
    assert content(write_zip(tmp_path / "f.zip", FILES | HIDDEN)) == FILES
    assert content(write_tar(tmp_path / "f.tar.gz", FILES | HIDDEN)) == FILES
    assert content(write_files(tmp_path / "f", FILES | HIDDEN)) == FILES


def test_a_zip_with_the_separators_of_windows_has_folders(tmp_path):
    of_windows = write_zip(tmp_path / "f.zip", {r"a\x.txt": b"1", r"a\b\y.txt": b"2"})
    assert content(of_windows) == {"a/x.txt": b"1", "a/b/y.txt": b"2"}
    assert content(write_zip(tmp_path / "g.zip", {r"a/x\y.txt": b"1"})) == {r"a/x\y.txt": b"1"}


def test_archives_in_a_folder_are_looked_into(tmp_path):
    write_zip(tmp_path / "in" / "one.zip", {"1": b"1"})
    write_tar(tmp_path / "in" / "deep" / "two.tgz", {"2": b"2"})
    assert content(tmp_path / "in") == {"1": b"1", "2": b"2"}


@pytest.mark.parametrize("outer", ["f.zip", "f.tar.gz"])
def test_archives_in_archives_are_looked_into(tmp_path, outer):
    one = write_tar(tmp_path / "one.tar", {"1": b"1" * 3000, "2": b"2", "._3": b"?"}).read_bytes()
    two = write_zip(tmp_path / "two.zip", {"4": b"4", "deep/one.tar": one}).read_bytes()
    path = (write_zip if outer == "f.zip" else write_tar)(
        tmp_path / outer, {"a/two.zip": two, "5": b"5", "._two.zip": b"?"}
    )
    assert content(path) == {"4": b"4", "1": b"1" * 3000, "2": b"2", "5": b"5"}


@pytest.mark.parametrize("pack", [write_zip, write_tar])
def test_archives_may_stand_for_folders(tmp_path, pack):
    inner = write_tar(tmp_path / "in.tar", {"a/1": b"1"}).read_bytes()
    path = pack(tmp_path / "f", {"deep/test.tar": inner, "train.tar": inner, "/b/2": b"2"})
    path = path.rename(tmp_path / ("f.zip" if pack is write_zip else "f.tar.gz"))
    files = {str(name): read() for name, read in files_in(path, nested=True)}
    assert files == {"deep/test/a/1": b"1", "train/a/1": b"1", "b/2": b"2"}
    write_files(tmp_path / "f", {"train.tar": inner})
    assert {str(name) for name, _ in files_in(tmp_path / "f", nested=True)} == {"train/a/1"}


def test_links_in_a_tar_have_the_content_of_what_they_link_to(tmp_path):
    with tarfile.open(tmp_path / "f.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("a/1")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"1"))
        for name, kind, target in (
            ("b/2", tarfile.LNKTYPE, "a/1"),
            ("b/3", tarfile.SYMTYPE, "../a/1"),
            ("b/4", tarfile.SYMTYPE, "../a"),
            ("b/5", tarfile.SYMTYPE, "/elsewhere"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    with pytest.warns(Note, match=r"b/[45] is left out, a link to what is not in the archive"):
        assert content(tmp_path / "f.tar.gz") == {"a/1": b"1", "b/2": b"1", "b/3": b"1"}


def test_a_damaged_archive_in_an_archive_is_named(tmp_path):
    half = write_tar(tmp_path / "x.tar", {"a": bytes(range(256)) * 100}).read_bytes()[:200]
    for broken in (half, b"<html>quota exceeded</html>", b""):
        with pytest.raises(UserError, match=r"f\.zip: in/x\.tar cannot be read to its end: .*download it again"):
            content(write_zip(tmp_path / "f.zip", {"in/x.tar": broken}))


def test_a_corrupt_xz_is_named(tmp_path):
    with tarfile.open(tmp_path / "f.tar.xz", "w:xz") as archive:
        info = tarfile.TarInfo("a")
        info.size = 300_000
        archive.addfile(info, io.BytesIO(random.Random(0).randbytes(info.size)))
    whole = (tmp_path / "f.tar.xz").read_bytes()
    (tmp_path / "f.tar.xz").write_bytes(whole[:200_000] + bytes(len(whole) - 200_000))
    with pytest.raises(UserError, match=r"f\.tar\.xz cannot be read to its end: .*download it again"):
        content(tmp_path / "f.tar.xz")


def test_text_that_is_not_utf8_is_named():
    assert decode_text("\ufeffGrünfink".encode(), "x.csv") == "Grünfink"
    with pytest.raises(UserError, match=r"x\.csv is not text in UTF-8: .* 0xfc at byte 2\. Save it as UTF-8"):
        decode_text("Grünfink".encode("latin-1"), "x.csv")


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
