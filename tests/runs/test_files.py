"""Files that are whole or not there."""

import json
import os
import threading

import pytest

from mmaml.runs.errors import UserError
from mmaml.runs.files import read_json, write_atomically, write_json
from mmaml.runs.metrics import append_metrics, drop_metrics_after, read_metrics


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_json(path, {"mean": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*No space left on device.*untouched"):
        write_json(path, {"mean": 2})
    assert json.loads(path.read_text()) == {"mean": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_who_may_read_a_file_is_up_to_the_umask_and_to_the_file_before_it(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", "one")
        (tmp_path / "private").touch(0o600)
        write_atomically(tmp_path / "private", "one")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "private")] == [0o640, 0o600]


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path):
    link, file, pipe = (tmp_path / name for name in ("link", "file", "pipe"))
    link.symlink_to(file)
    write_atomically(link, "one")
    assert link.is_symlink() and file.read_text() == "one"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    read: list[str] = []
    reader.start()
    write_atomically(pipe, "two")
    reader.join()
    assert read == ["two"] and pipe.is_fifo()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_atomically(tmp_path / "file" / "inside.txt", "x")


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 10**5])
def test_broken_json_is_named(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"config.json cannot be read as JSON"):
        read_json(tmp_path / "config.json")


def test_metrics_survive_a_line_cut_short(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2, 3):
        append_metrics(path, {"step": step})
    path.write_text(path.read_text()[:-4])
    assert [row["step"] for row in read_metrics(path)] == [1, 2]
    drop_metrics_after(path, 1)
    assert path.read_text() == '{"step": 1}\n'


@pytest.mark.parametrize(
    "line", [b"xx", b"5", b'{"stap": 2}', b'{"step": "2"}', b'{"step": 2, "l\xeff": 1}', b"[" * 10**5]
)
def test_a_broken_line_in_the_middle_is_an_error(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    with pytest.raises(UserError, match=r"line 2 is not a JSON object .* Put the file back"):
        read_metrics(path)
