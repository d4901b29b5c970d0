"""What is printed where nobody can read it."""

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mmaml.cli import main
from mmaml.runs.console import OutputConsole, progress_console


linux = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")


@contextmanager
def output_to(file, monkeypatch):
    """Standard output that cannot be written."""
    stream = open(file, "w", buffering=1)  # noqa: SIM115  # closing it fails, too
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        yield
    with suppress(OSError):
        stream.close()


def closed_pipe():
    """The end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_what_is_said_along_the_way_ends_in_silence(monkeypatch):
    with output_to(closed_pipe(), monkeypatch):
        console = progress_console()
        for _ in range(3):
            console.print("1 of 100")
        print("no error later either", flush=True)


def test_what_was_asked_for_and_cannot_be_told_is_an_error(monkeypatch):
    with output_to(closed_pipe(), monkeypatch), pytest.raises(BrokenPipeError):
        OutputConsole().print("0.77")


def test_a_reader_who_has_seen_enough_is_no_failure(monkeypatch):
    with output_to(closed_pipe(), monkeypatch):
        assert main(["presets"]) == 0


@linux
def test_a_full_disk_under_a_log_stops_no_run(monkeypatch):
    with output_to("/dev/full", monkeypatch):
        console = progress_console()
        for _ in range(3):
            console.print("1 of 100")


@linux
def test_a_version_that_cannot_be_told_is_one_message(monkeypatch, capsys):
    with output_to("/dev/full", monkeypatch):
        assert main(["--version"]) == 2
    assert "No space left" in capsys.readouterr().err


def test_without_standard_output_commands_work(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert main(["presets", "--json"]) == 0
        sys.stdout.close()
