"""TensorBoard as a tracker."""

import sys

import pytest

from mmaml.runs.errors import UserError
from mmaml.runs.trackers import tensorboard


def test_tensorboard_files_hold_the_numbers(tmp_path):
    with tensorboard(tmp_path) as track:
        track(3, {"query_loss": 0.5})
    (file,) = tmp_path.iterdir()
    assert b"query_loss" in file.read_bytes()


def test_a_missing_tensorboardx_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match=r"pip install 'mmaml\[tensorboard\]'"), tensorboard(tmp_path):
        pass
