"""Where runs may be begun."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder


def begin(path, seed=0, **options):
    return RunFolder.create(path, "regression", "r", {"seed": seed}, **options)


def test_of_two_that_begin_at_once_one_is_refused_and_the_other_s_configuration_stays(tmp_path, monkeypatch):
    lock = RunFolder.locked

    @contextmanager
    def after_the_other(folder):
        monkeypatch.setattr(RunFolder, "locked", lock)
        begin(tmp_path / "run", seed=1)
        with folder.locked():
            yield

    monkeypatch.setattr(RunFolder, "locked", after_the_other)
    with pytest.raises(UserError, match="already holds a run"):
        begin(tmp_path / "run", seed=2)
    assert RunFolder(tmp_path / "run").read_config()["config"] == {"seed": 1}


def test_nothing_is_begun_or_replaced_where_another_process_is_at_work(tmp_path):
    folder = begin(tmp_path / "run", seed=1)
    with folder.locked(), pytest.raises(UserError, match="another process is working on"):
        begin(folder.path, seed=2, overwrite=True)
    assert folder.read_config()["config"] == {"seed": 1}
    assert begin(folder.path, seed=2, overwrite=True).read_config()["config"] == {"seed": 2}


def test_no_run_is_begun_inside_another(tmp_path):
    outer = begin(tmp_path / "run")
    with pytest.raises(UserError, match=r"inner lies in the run .*run, with which it would go"):
        begin(outer.path / "figures" / "inner")
    assert not outer.figures_path.exists()


def test_a_run_that_holds_another_is_not_replaced(tmp_path):
    outer = begin(tmp_path / "run")
    inner = RunFolder(Path(shutil.copytree(outer.path, outer.figures_path / "inner")))
    with pytest.raises(UserError, match=r"holds another run, .*inner; --overwrite would delete it"):
        begin(outer.path, overwrite=True)
    assert inner.read_config() == outer.read_config()


def test_names_that_are_no_text_are_refused(tmp_path):
    odd = tmp_path / os.fsdecode(b"a\xff")
    for use in (begin, RunFolder.open):
        with pytest.raises(UserError, match=r"a\\xff is not text in UTF-8"):
            use(odd / "run")
    assert not odd.exists()
