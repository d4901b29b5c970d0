"""What a run depends on besides its configuration."""

import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import pytest

from mmaml.runs import environment
from mmaml.runs.environment import prepare_jax, provenance
from mmaml.runs.errors import Note


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


def test_the_commit_is_ours_and_not_that_of_a_project_we_are_installed_in(tmp_path, monkeypatch):
    ours = Path(shutil.copy(environment.__file__, tmp_path))
    monkeypatch.setattr(environment, "__file__", str(ours))

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    (tmp_path / "theirs.py").write_text("")
    git("init", "-q")
    git("add", "theirs.py")
    git("commit", "-qm", "theirs")
    assert provenance()["commit"] is None
    git("add", ours.name)
    git("commit", "-qm", "ours")
    assert len(provenance()["commit"]) == 12
