"""JAX set up for a run."""

import errno
import os
import tempfile

import jax
import pytest

from mmaml.classification.datasets.catalogue import data_folder
from mmaml.runs.devices import prepare_jax
from mmaml.runs.errors import Note, UserError


def test_where_programs_cannot_be_kept_it_is_said_and_goes_on(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MMAML_CACHE", str(tmp_path / "file"))
    with pytest.warns(Note, match="every start compiles anew; set MMAML_CACHE"):
        prepare_jax(1)
    assert jax.config.jax_compilation_cache_dir == before


def test_a_folder_for_programs_that_takes_none_is_spoken_of(tmp_path, monkeypatch):
    def refuse(dir):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setenv("MMAML_CACHE", str(tmp_path))
    with pytest.warns(Note, match=r"compiled \(Read-only file system\), so every start compiles anew"):
        prepare_jax(1)


def test_without_a_home_nothing_is_kept_and_that_is_said(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", nowhere)
    for name in ("MMAML_CACHE", "MMAML_DATA"):
        monkeypatch.delenv(name, raising=False)
    with pytest.warns(Note, match=r"kept in a home \(Could not .*\), so every start compiles anew; set MMAML_CACHE"):
        prepare_jax(1)
    with pytest.raises(UserError, match="Set MMAML_DATA to a folder"):
        data_folder()
