"""Runs from beginning to end: what is said when one goes on elsewhere."""

from dataclasses import replace

import pytest
from rich.console import Console

from mmaml.experiments import run
from mmaml.regression.experiment import RegressionExperiment
from mmaml.regression.presets import PRESETS
from mmaml.runs.config import to_dict
from mmaml.runs.errors import Interrupted, Note
from mmaml.runs.files import write_json
from mmaml.runs.folder import RunFolder


@pytest.mark.parametrize(
    ("changes", "begun"),
    [
        ({}, None),
        ({"device_kind": None}, None),  # not told by runs from before it was kept
        ({"devices": 7}, "7 devices (cpu)"),
        ({"device_kind": "NVIDIA H100"}, "2 devices (NVIDIA H100)"),
    ],
)
def test_going_on_with_other_devices_is_spoken_of(tmp_path, monkeypatch, recwarn, changes, begun):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train_run", interrupt)
    config = replace(PRESETS["regression-2"], budget="smoke")
    folder = RunFolder.create(tmp_path / "run", config.DOMAIN, config.short_name, to_dict(config))
    stored = folder.read_config() | changes
    write_json(folder.config_path, {name: value for name, value in stored.items() if value is not None})
    with pytest.raises(Interrupted):
        run.complete_run(folder, RegressionExperiment(config), Console(), lambda step, numbers: None)
    said = [str(warning.message) for warning in recwarn if warning.category is Note]
    expected = f"{folder.path} was begun on {begun} and goes on with 2 devices (cpu), so not bit for bit"
    assert said == ([] if begun is None else [expected])
