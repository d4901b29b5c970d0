"""Which runs of a table are done, and how they go on."""

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from mmaml.classification.config import ClassificationConfig
from mmaml.experiments import reproduce
from mmaml.experiments.reproduce import reproduce_table
from mmaml.regression.presets import PRESETS
from mmaml.runs.config import to_dict
from mmaml.runs.errors import DataError, UserError
from mmaml.runs.folder import RunFolder
from tests.experiments.records import SPEC, record


def test_a_run_that_was_stopped_and_evaluated_is_not_taken_for_done(tmp_path):
    def begin(config):
        raise DataError(f"{config.learner} goes on")

    said = io.StringIO()
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    record(tmp_path, "mmaml-film", [[2, 1], [2, 2]], trained=500)
    options = {"budget": "cpu", "settings": (), "methods": (), "seeds": (0,), "console": Console(file=said)}
    reproduce_table(replace(SPEC, experiment=begin), tmp_path, **options)
    assert said.getvalue() == "2 modes is left out: mmaml goes on\n"


@pytest.mark.parametrize(("option", "value"), [("task_microbatch", 3), ("precision", "bfloat16"), ("meta_lr", 0.5)])
def test_a_run_goes_on_as_it_began_unless_it_is_another(tmp_path, monkeypatch, option, value):
    """What suits the machine it was begun on is the run's own business."""
    setting = ClassificationConfig(preset="classification-2", datasets=("digits",), precision="float32")
    begun = replace(setting, **{option: value})
    spec = replace(SPEC, settings={"2 modes": setting}, experiment=lambda config: SimpleNamespace(config=config))
    path = spec.run_path(tmp_path, "2 modes", "mmaml-film", "cpu", 0)
    RunFolder.create(path, "classification", "c", to_dict(begun))
    went_on = []
    monkeypatch.setattr(reproduce, "complete_run", lambda folder, experiment, *rest: went_on.append(experiment.config))
    monkeypatch.setattr(reproduce, "write_table", lambda *table: [])
    options = {"budget": "cpu", "settings": (), "methods": ("mmaml-film",), "seeds": (0,), "console": Console()}
    if option != "meta_lr":
        reproduce_table(spec, tmp_path, **options)
        assert went_on == [begun]
    else:
        with pytest.raises(UserError, match="with other options than this table's"):
            reproduce_table(spec, tmp_path, **options)


def test_a_setting_without_its_data_is_left_out(tmp_path):
    def no_data(config):
        raise DataError("moths are not here")

    record(tmp_path, "maml", [[9, 3], [9, 5]])
    said = io.StringIO()
    spec = replace(SPEC, settings={"2 modes": SPEC.settings["2 modes"], "3 modes": PRESETS["regression-3"]})
    spec = replace(spec, experiment=no_data)
    options = {"budget": "cpu", "settings": (), "methods": ("maml",), "seeds": (0,), "console": Console(file=said)}
    cells = reproduce_table(spec, tmp_path, **options)
    assert {c["setting"] for c in cells} == {"2 modes"}
    assert said.getvalue() == "3 modes is left out: moths are not here\n"
