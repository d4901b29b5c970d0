"""Tables of the paper from the records of runs, here records made up so that every number is known."""

import io
import json
import shutil
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from rich.console import Console

from mmaml.domains import TABLES
from mmaml.experiments.paper_tables.chart import chart
from mmaml.experiments.paper_tables.terminal import for_terminal
from mmaml.experiments.paper_tables.write import write_table
from mmaml.report.drawing import PAPER
from mmaml.runs.errors import UserError
from tests.experiments.records import SPEC, record


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
    assert film["difference"]["mean"] == pytest.approx(differences.mean())
    assert film["difference"]["ci95"] == pytest.approx(1.96 * differences.std(ddof=1) / 3**0.5)
    assert cells["lstm", "post-modulation"]["difference"] == {"to": "maml", "mean": 0.0, "ci95": 0.0}
    assert cells["maml", "post-adaptation"]["difference"] is None
    assert "seed_std" not in film["difference"]  # MAML has one seed
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
    assert film["difference"]["mean"] == -2.5 and film["difference"]["seed_std"] == pytest.approx(0.5**0.5)


def test_seeds_are_paired_by_their_number(tmp_path):
    for seed, error in ((2, 3), (10, 5)):
        record(tmp_path, "maml", [[9, error - 1], [9, error + 1]], seed)
        record(tmp_path, "mmaml-film", [[9, error - 2], [9, error - 2]], seed)
    cells = write_table(SPEC, tmp_path, "cpu")
    assert cells[0]["seeds"] == [2, 10] and [run[-6:] for run in cells[0]["run"]] == ["-seed2", "seed10"]
    assert cells[-1]["difference"]["seed_std"] == 0
    record(tmp_path, "mmaml-film", [[9, 1], [9, 1]], seed=3)
    assert "seed_std" not in write_table(SPEC, tmp_path, "cpu")[-1]["difference"]


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
        assert film["method"] == "mmaml-film" and film["difference"] is None
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


def test_without_values_of_single_tasks_there_is_no_difference(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    record(tmp_path, "mmaml-film", [[2, 1], [2, 2]])
    (tmp_path / "runs" / "regression-2-maml-cpu-seed0" / "evaluation.npy").unlink()
    cells = write_table(SPEC, tmp_path, "cpu")
    assert [c["difference"] for c in cells if c["method"] == "mmaml-film" and c["stage"] == "post-adaptation"] == [None]


def test_nothing_to_show_is_said(tmp_path):
    with pytest.raises(UserError, match="no evaluated run of the budget 'demo'"):
        write_table(SPEC, tmp_path, "demo")


def test_differences_to_the_baseline_stand_below_the_table(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5], [9, 4]])
    record(tmp_path, "mmaml-film", [[2, 2], [2, 4], [2, 3]])
    write_table(SPEC, tmp_path, "cpu")
    lines = (tmp_path / "table9.md").read_text().splitlines()
    at = lines.index("The same less that of `maml`, task by task.")
    assert lines[at + 2 : at + 5] == ["| method | 2 modes |", "| --- | --- |", "| mmaml-film | -10.0 ± 0.0 |"]
    assert f"({SPEC.name}.svg)" in lines[at + 6]


def test_a_table_of_one_stage_has_a_column_for_each_setting(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    write_table(replace(SPEC, stages=(("post-adaptation", -1),)), tmp_path, "cpu")
    text = (tmp_path / "table9.md").read_text()
    assert text.startswith("Error after adaptation, mean ± 95 % interval")
    assert "\n| method | 2 modes |\n| --- | --- |\n| maml | 40.0 ± 2.5 (workshop 7.5) |\n\n" in text
    assert "task by task" not in text  # nothing to compare with


def test_a_terminal_of_80_columns_has_room(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    record(tmp_path, "mmaml-film", [[2, 1], [2, 3]], trained=500)
    record(tmp_path, "lstm", [[3], [5]])
    shown = io.StringIO()
    Console(file=shown, width=80).print(for_terminal(SPEC, write_table(SPEC, tmp_path, "cpu")))
    lines = [" ".join(line.split()) for line in shown.getvalue().splitlines()]
    at = lines.index("2 modes")
    assert lines[at + 1 : at + 4] == [
        "maml 90.0 ± 2.5 40.0 ± 2.5 – –",
        "mmaml-film, 500 of 15,000 20.0 ± 2.5 20.0 ± 2.5 5.0 -20.0 ± 0.0",
        "lstm 40.0 ± 2.5 – – +0.0 ± 0.0",
    ]


def test_the_picture_shows_last_stages_the_paper_s_numbers_and_limits(tmp_path):
    record(tmp_path, "maml", [[9, 3], [9, 5]])
    limit = {"name": "best", "mean": 0.2, "ci95": 0.1, "per_mode": {}}
    path = record(tmp_path, "mmaml-film", [[2, 1], [2, 3]], trained=500)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reference": limit}))
    figure = chart(SPEC, write_table(SPEC, tmp_path, "cpu"))
    (panel,) = figure.axes
    assert panel.get_title("left") == "2 modes"
    assert [label.get_text() for label in panel.get_yticklabels()] == ["maml", "mmaml-film"]
    points = {(x, y): line for line in panel.lines for x, y in zip(*line.get_data(), strict=True)}
    own = {at: points[at].get_markerfacecolor() for at in ((40.0, 0), (20.0, 1))}
    assert own[40.0, 0] != own[20.0, 1] == PAPER  # hollow: that run was stopped
    assert points[5.0, 1].get_marker() == "D"
    assert (2.0, 0) in points  # the limit, from bottom to top
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["the paper", "training was stopped", "best"]
    assert "<svg" in (tmp_path / "table9.svg").read_text()


def test_each_kind_of_tasks_has_its_numbers(tmp_path):
    for seed, (sines, lines) in enumerate([(1, 3), (3, 5)]):
        path = record(tmp_path, "maml", [[9, 3], [9, 5]], seed)
        result = json.loads(path.read_text())
        of_kind = {"sines": {"mean": sines, "ci95": 0.1 * sines}, "lines": {"mean": lines, "ci95": 0.25}}
        result["stages"][-1]["per_mode"] = of_kind
        path.write_text(json.dumps(result))
    cell = write_table(SPEC, tmp_path, "cpu")[-1]
    assert cell["per_mode"]["sines"] == {"mean": 2, "ci95": pytest.approx(0.3)}
    text = (tmp_path / "table9.md").read_text()
    assert "2 modes:\n\n| method | sines | lines |\n| --- | --- | --- |\n| maml | 20.0 ± 3.0 | 40.0 ± 2.5 |\n" in text


@pytest.mark.parametrize("spec", TABLES.values(), ids=TABLES)
def test_every_cell_of_every_table_is_a_run_of_its_own(spec, tmp_path):
    cells = list(product(spec.settings, spec.methods))
    for setting, method in cells:
        spec.config(setting, method, "cpu", 0).check()
    assert spec.baseline in spec.methods
    assert len({spec.run_path(tmp_path, *cell, "cpu", 0) for cell in cells}) == len(cells)
