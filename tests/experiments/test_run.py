"""Runs from beginning to end: what is said when one goes on elsewhere."""

from dataclasses import replace

import pytest
from rich.console import Console

from mmaml.experiments import run
from mmaml.regression.experiment import RegressionExperiment
from mmaml.regression.presets import PRESETS
from mmaml.runs.config import to_dict
from mmaml.runs.errors import Interrupted, Note
from mmaml.runs.folder import RunFolder


@pytest.mark.parametrize("begun", [2, 7])
def test_going_on_with_other_devices_is_spoken_of(tmp_path, monkeypatch, recwarn, begun):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train_run", interrupt)
    config = replace(PRESETS["regression-2"], budget="smoke")
    folder = RunFolder.create(tmp_path / "run", config.DOMAIN, config.short_name, to_dict(config))
    stored = folder.config_path.read_text()
    folder.config_path.write_text(stored.replace('"devices": 2', f'"devices": {begun}'))
    with pytest.raises(Interrupted):
        run.complete_run(folder, RegressionExperiment(config), Console(), lambda step, numbers: None)
    said = [str(warning.message) for warning in recwarn if warning.category is Note]
    assert said == (
        [] if begun == 2 else [f"{folder.path} was begun on 7 devices and goes on with 2, so not bit for bit"]
    )
