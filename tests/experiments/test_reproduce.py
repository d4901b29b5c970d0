"""Tables of the paper from the records of runs, here records made up so that every number is known."""

import io
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from mmaml.classification.config import ClassificationConfig
from mmaml.experiments import reproduce
from mmaml.experiments.reproduce import reproduce_table
from mmaml.experiments.table import TableSpec, write_table
from mmaml.regression.presets import PRESETS
from mmaml.runs.config import to_dict
from mmaml.runs.errors import DataError, UserError
from mmaml.runs.folder import RunFolder


SPEC = TableSpec(
    name="table9",
    caption="Error",
    settings={"2 modes": PRESETS["regression-2"]},
    methods={"maml": {"learner": "maml"}, "mmaml-film": {}, "lstm": {"learner": "lstm"}},
    paper={("mmaml-film", "post-adaptation"): {"2 modes": 0.5}},
    workshop={("mmaml-film", "post-adaptation"): {"2 modes": 0.25}, ("maml", "post-adaptation"): {"2 modes": 0.75}},
    experiment=lambda config: pytest.fail("no run is to be done"),
    digits=1,
    scale=10.0,
)


def record(out, method, values, seed=0, trained=15_000, ci95=0.25, **options):
    """An evaluated run whose task i has the error `values[i][s]` after s steps."""
    values = np.asarray(values, np.float32)
    folder = out / "runs" / f"regression-2-{method}-cpu-seed{seed}"
    config = replace(SPEC.config("2 modes", method, "cpu", seed), task_microbatch=3, **options)
    RunFolder.create(folder, "regression", "regression-2", to_dict(config))
    stages = [{"steps": s, "mean": float(v.mean()), "ci95": ci95, "per_mode": {}} for s, v in enumerate(values.T)]
    result = {"preset": "regression-2", "learner": config.learner, "modulation": None, "budget": "cpu", "seed": seed}
    result |= {"tasks": len(values), "meta_iterations": trained, "trained": trained, "planned": 15_000}
    made = {"command": "c", "commit": "d", "versions": {}, "machine": "m", "devices": 1}
    result |= {"train_seconds": 1.0, **made, "evaluated": made}
    metric = {"metric": "mse", "lower_is_better": True, "data": "made up"}
    (folder / "result.json").write_text(json.dumps(result | metric | {"stages": stages}))
    np.save(folder / "evaluation.npy", values)


def test_cells_have_means_over_seeds_and_differences_task_by_task(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5], [9, 4]])
    record(tmp_path, "mmaml-film", [[2, 1], [2, 2], [2, 3]], seed=0)
    record(tmp_path, "mmaml-film", [[4, 2], [4, 3], [4, 4]], seed=1)
    record(tmp_path, "lstm", [[3], [5], [4]])
    cells = {(c["method"], c["stage"]): c for c in write_table(SPEC, tmp_path, "cpu")}
    assert set(cells) == {(m, f"post-{s}") for m in ("maml", "mmaml-film") for s in ("modulation", "adaptation")} | {
        ("lstm", "post-modulation")
    }
    film = cells["mmaml-film", "post-adaptation"]
    assert film["mean"] == 2.5 and film["seeds"] == [0, 1] and film["paper"] == 0.5
    differences = np.array([1.5 - 3, 2.5 - 5, 3.5 - 4])
    assert film["minus_maml"]["mean"] == pytest.approx(differences.mean())
    assert film["minus_maml"]["ci95"] == pytest.approx(1.96 * differences.std(ddof=1) / 3**0.5)
    assert cells["lstm", "post-modulation"]["minus_maml"] == {"mean": 0.0, "ci95": 0.0}
    assert "minus_maml" not in cells["maml", "post-adaptation"]
    assert "seed_std" not in film["minus_maml"]  # MAML has one seed
    assert film["seed_std"] == pytest.approx(0.5**0.5)
    assert cells["lstm", "post-modulation"]["seed_std"] is None
    text = (tmp_path / "table9.md").read_text()
    assert "| mmaml-film | 30.0 ± 2.5, 2 seeds ± 14.1 | 25.0 ± 2.5, 2 seeds ± 7.1 (5.0, workshop 2.5) |" in text
    assert "| lstm | 40.0 ± 2.5 | – |" in text and "40.0 ± 2.5 (workshop 7.5) |" in text
    assert "\n- 2 modes: 3 tasks of made up; 15,000 meta-iterations (published: 70,000).\n" in text
    film = "[2 modes](runs/regression-2-mmaml-film-cpu-seed0), [seed 1](runs/regression-2-mmaml-film-cpu-seed1)"
    assert f"\nRecords: maml: [2 modes](runs/regression-2-maml-cpu-seed0); mmaml-film: {film}; lstm: " in text


@pytest.mark.parametrize("widths", [(0.25, 0.5), (0.5, 0.25)])
def test_the_interval_of_a_cell_is_the_widest_of_any_seed(tmp_path, widths):
    for seed, ci95 in enumerate(widths):
        record(tmp_path, "maml", [[9, 3], [9, 5]], seed, ci95=ci95)
    assert [cell["ci95"] for cell in write_table(SPEC, tmp_path, "cpu")] == [0.5, 0.5]


def test_a_difference_varies_with_the_seed(tmp_path):
    for seed, (maml, film) in enumerate([(3, 1), (5, 2)]):
        record(tmp_path, "maml", [[9, maml - 1], [9, maml + 1]], seed)
        record(tmp_path, "mmaml-film", [[9, film], [9, film]], seed)
    film = write_table(SPEC, tmp_path, "cpu")[-1]
    assert film["minus_maml"]["mean"] == -2.5 and film["minus_maml"]["seed_std"] == pytest.approx(0.5**0.5)


def test_seeds_are_paired_by_their_number(tmp_path):
    for seed, error in ((2, 3), (10, 5)):
        record(tmp_path, "maml", [[9, error - 1], [9, error + 1]], seed)
        record(tmp_path, "mmaml-film", [[9, error - 2], [9, error - 2]], seed)
    cells = write_table(SPEC, tmp_path, "cpu")
    assert cells[0]["seeds"] == [2, 10] and [run[-6:] for run in cells[0]["run"]] == ["-seed2", "seed10"]
    assert cells[-1]["minus_maml"]["seed_std"] == 0
    record(tmp_path, "mmaml-film", [[9, 1], [9, 1]], seed=3)
    assert "seed_std" not in write_table(SPEC, tmp_path, "cpu")[-1]["minus_maml"]


def test_seeds_that_were_judged_on_different_tasks_are_refused(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    record(tmp_path, "maml", [[9, 3], [9, 5], [9, 4]], seed=1)
    with pytest.raises(UserError, match=r"maml-cpu-seed0 and runs/.*seed1 were evaluated on different tasks"):
        write_table(SPEC, tmp_path, "cpu")


def test_runs_that_were_judged_on_different_tasks_are_not_compared(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    record(tmp_path, "mmaml-film", [[2, 1], [2, 2]])
    path = tmp_path / "runs" / "regression-2-mmaml-film-cpu-seed0" / "result.json"
    for other in ({"data": "others"}, {"image_size": 84}):
        path.write_text(json.dumps(json.loads(path.read_text()) | other))
        film = write_table(SPEC, tmp_path, "cpu")[-1]
        assert film["method"] == "mmaml-film" and film["minus_maml"] is None
    assert "of others at 84 pixels; " in (tmp_path / "table9.md").read_text()


def test_a_run_that_was_moved_aside_is_no_second_seed(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    runs = tmp_path / "runs"
    shutil.copytree(runs / "regression-2-maml-cpu-seed0", runs / "regression-2-maml-cpu-seed0-old")
    assert write_table(SPEC, tmp_path, "cpu")[-1]["seeds"] == [0]


def test_a_run_with_a_bound_that_the_table_does_not_have_says_so(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]], inner_clip_value=10.0, inner_clip_norm=None, evaluation_tasks=2)
    expected = {"inner_clip_value": 10.0, "inner_clip_norm": None}
    assert write_table(SPEC, tmp_path, "cpu")[0]["other_options"] == expected


def test_a_run_with_other_options_than_the_table_s_says_so(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]], meta_lr=0.5, meta_optimiser="muon")
    record(tmp_path, "mmaml-film", [[2, 1], [2, 2]])
    assert write_table(SPEC, tmp_path, "cpu")[0]["other_options"] == {"meta_lr": 0.5, "meta_optimiser": "muon"}
    lines = (tmp_path / "table9.md").read_text().splitlines()
    training = "2 tasks of made up; 15,000 meta-iterations (published: 70,000)"
    assert lines[-4:-2] == [
        f"- 2 modes (maml): {training}; with `meta_lr` 0.5, `meta_optimiser` muon.",
        f"- 2 modes (mmaml-film): {training}.",
    ]


def test_a_run_that_was_stopped_and_evaluated_is_in_the_table_with_its_share(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    record(tmp_path, "mmaml-film", [[2, 1], [2, 2]], trained=500)
    write_table(SPEC, tmp_path, "cpu")
    lines = (tmp_path / "table9.md").read_text().splitlines()
    training = "15,000 meta-iterations (published: 70,000)."
    assert lines[-4] == f"- 2 modes (maml): 2 tasks of made up; {training}"
    assert lines[-3] == f"- 2 modes (mmaml-film): 2 tasks of made up; stopped at 500 of {training}"


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


def test_without_values_of_single_tasks_there_is_no_difference(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    record(tmp_path, "mmaml-film", [[2, 1], [2, 2]])
    (tmp_path / "runs" / "regression-2-maml-cpu-seed0" / "evaluation.npy").unlink()
    cells = write_table(SPEC, tmp_path, "cpu")
    assert [c["minus_maml"] for c in cells if c["method"] == "mmaml-film" and c["stage"] == "post-adaptation"] == [None]


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


def test_nothing_to_show_is_said(tmp_path):
    with pytest.raises(UserError, match="no evaluated run of the budget 'demo'"):
        write_table(SPEC, tmp_path, "demo")
