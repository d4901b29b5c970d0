import os
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[3]


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("MMAML_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def research_packs(monkeypatch):
    """The folder with the research packs; without it, the test is skipped."""
    folder = Path(os.environ.get("MMAML_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "omniglot_28.npz").is_file():
        pytest.skip("the research packs are neither in ../shared/data nor in $MMAML_DATA")
    monkeypatch.setenv("MMAML_DATA", str(folder))
    return folder
