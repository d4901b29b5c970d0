"""The command line as its user meets it: what it leaves on disk, and what it says when something is wrong."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from itertools import pairwise

import jax.random as jr
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import mmaml
from mmaml.cli import main
from mmaml.experiments.experiment import EVALUATION_SEED
from mmaml.regression.bayes import posterior_mean, query_mse
from mmaml.regression.experiment import RegressionExperiment
from mmaml.regression.tasks import mixture
from mmaml.runs.errors import Note, UserError
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import drop_metrics_after, read_metrics
from tests.commands import mmaml_command


TINY = (
    "--budget smoke --meta-iterations 4 --evaluation-tasks 30 "
    "--tasks-per-mode 2 --hidden 8 --encoder-hidden 4 --inner-steps 2"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for learner in ("mmaml", "multi-maml"):
        assert main(f"train regression-2 --learner {learner} {TINY} --out {folder / learner}".split(" ")) == 0
    return folder


@pytest.fixture
def run(runs, tmp_path):
    return shutil.copytree(runs / "mmaml", tmp_path / "run")


def test_a_run_leaves_everything_it_promises(runs):
    run = runs / "mmaml"
    result = json.loads((run / "result.json").read_text())
    assert [stage["steps"] for stage in result["stages"]] == [0, 1, 2]
    assert set(result["stages"][0]["per_mode"]) == {"sinusoid", "linear"}
    assert result["tasks"] == 30 and result["meta_iterations"] == 4 and result["metric"] == "mse"
    assert {"jax", "python", "mujoco", "gymnasium"} <= set(result["versions"])
    assert result["reference"]["mean"] < result["stages"][-1]["mean"]
    assert [row["step"] for row in read_metrics(run / "metrics.jsonl")] == [1, 2, 3, 4]
    assert "<svg" in (run / "report.html").read_text()
    assert (run / "figures" / "fits.svg").is_file() and (run / "figures" / "embedding.svg").is_file()


def test_every_learner_of_a_setting_meets_the_same_tasks_and_has_the_limit_of_what_it_knows(runs):
    families = ("sinusoid", "linear")
    tasks = mixture(families).sample(jr.key(EVALUATION_SEED), 30)
    best = posterior_mean(tasks, families, key=jr.key(0))
    for learner, told, name in (("mmaml", False, ""), ("multi-maml", True, ", told")):
        reference = json.loads((runs / learner / "result.json").read_text())["reference"]
        assert reference["name"] == f"bayes-optimal{name}"
        assert reference["mean"] == pytest.approx(float(query_mse(best, tasks, told=told).mean()), rel=1e-4)


COMMANDS = ["evaluate", "reproduce", "adapt", "render", "export", "report", "data fetch", "data import", "data inspect"]


@pytest.mark.parametrize("command", [*COMMANDS, *(f"train {p}" for p in ("regression", "classification", "policy"))])
def test_help_is_broken_into_lines_by_the_width_of_the_terminal_alone(capsys, monkeypatch, command):
    """On a wide one what is said of an option stands on one line, below its name or beside it."""
    monkeypatch.setenv("COLUMNS", "400")
    lines = mmaml_command(capsys, f"{command} --help").out.splitlines()
    assert any(re.match("[│ ] --", line) for line in lines)
    indented = [bool(re.match("[│ ] {5,}[^ ]", line)) for line in lines]
    assert not any(one and other for one, other in pairwise(indented))


def test_a_report_of_several_runs_shows_their_fits_together(capsys, runs, tmp_path):
    page = tmp_path / "both.html"
    code, _, _ = mmaml_command(capsys, "report {} {} --out {}", runs / "mmaml", runs / "multi-maml", page)
    assert code == 0 and ">Fits<" in page.read_text()


def test_a_run_on_so_few_tasks_that_no_kind_has_an_interval_has_a_report(capsys, tmp_path):
    tiny = TINY.replace("--evaluation-tasks 30", "--evaluation-tasks 2")
    assert mmaml_command(capsys, f"train regression-2 --learner maml {tiny} --out {{}}", tmp_path / "run")[0] == 0
    assert "Kinds of task" not in (tmp_path / "run" / "report.html").read_text()


def test_a_report_of_a_stopped_run_beside_another_has_no_fits_of_it(capsys, runs, run, tmp_path):
    (run / "model.safetensors").unlink()
    page = tmp_path / "both.html"
    code, _, _ = mmaml_command(capsys, "report {} {} --out {}", run, runs / "multi-maml", page)
    assert code == 0 and "multi-maml" in page.read_text() and ">Fits<" not in page.read_text()


def test_a_run_stopped_before_its_first_metrics_can_be_evaluated(capsys, run):
    (run / "metrics.jsonl").unlink()
    code, out, _ = mmaml_command(capsys, "evaluate {} --tasks 20 --json", run)
    assert code == 0
    result = json.loads(out)
    assert result["trained"] == result["planned"] == result["meta_iterations"] == 4
    assert result["train_seconds"] == 0


def test_a_run_that_was_stopped_can_be_used_once_it_is_evaluated(capsys, run):
    for name in ("model.safetensors", "result.json"):
        (run / name).unlink()
    shutil.rmtree(run / "checkpoints" / "4")
    with pytest.raises(UserError, match=r"not trained to its end.* or make a model of what it has learnt .*evaluate"):
        mmaml.load(run)
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(line for line in lines if json.loads(line)["step"] < 4))
    assert mmaml_command(capsys, "evaluate {}", run)[0] == 0
    with pytest.warns(Note, match=r"was stopped at 3 of 4 meta-iterations; go on with `mmaml resume"):
        early = mmaml.load(run)
    assert mmaml_command(capsys, "resume {}", run)[0] == 0
    weights = [model.learner.prior.head.weight for model in (early, mmaml.load(run))]
    assert not np.array_equal(*weights)


def test_evaluate_as_json_with_more_steps(capsys, run):
    before = [(run / name).read_bytes() for name in ("result.json", "evaluation.npy", "report.html")]
    code, out, _ = mmaml_command(capsys, "evaluate {} --tasks 20 --steps 3 --json", run)
    assert code == 0 and len(json.loads(out)["stages"]) == 4
    # Tables are made of what a run holds, so that must be what all runs were asked for.
    assert [(run / name).read_bytes() for name in ("result.json", "evaluation.npy", "report.html")] == before


def test_evaluate_shows_what_it_found(capsys, run):
    for options in ("", "--tasks 20 --steps 3"):
        (run / "report.html").unlink(missing_ok=True)
        code, out, _ = mmaml_command(capsys, f"evaluate {{}} {options}".strip(), run)
        assert code == 0 and "±" in out and (run / "report.html").is_file() == (not options)


def test_resuming_a_finished_run_changes_nothing(capsys, run):
    before = (run / "model.safetensors").read_bytes()
    code, *_ = mmaml_command(capsys, "resume {} --json", run)
    assert code == 0 and (run / "model.safetensors").read_bytes() == before


def content(folder):
    return {path.relative_to(folder): path.is_dir() or path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize(("command", "model"), [("resume", True), ("resume", False), ("evaluate", False)])
def test_a_finished_run_without_its_checkpoints_is_left_as_it_is(capsys, run, command, model):
    shutil.rmtree(run / "checkpoints")
    if not model:
        (run / "model.safetensors").unlink()
    (run / ".lock").touch()
    before = content(run)
    code, _, err = mmaml_command(capsys, command + " {}", run)
    assert code == 2 and f"the checkpoints of {run} are missing" in err and "--out" in err
    assert ("can still be used, with `mmaml evaluate`, `adapt`" in err) == model
    assert content(run) == before


@pytest.mark.parametrize("folder_stays", [True, False])
def test_a_finished_run_without_its_checkpoints_is_evaluated_by_its_model(capsys, run, folder_stays):
    shutil.rmtree(run / "checkpoints")
    if folder_stays:
        (run / "checkpoints").mkdir()
    before = {name: (run / name).read_bytes() for name in ("evaluation.npy", "result.json", "model.safetensors")}
    code, out, _ = mmaml_command(capsys, "evaluate {} --json", run)
    assert code == 0 and not list(run.glob("checkpoints/*")) and (run / "checkpoints").exists() == folder_stays
    assert (run / "evaluation.npy").read_bytes() == before["evaluation.npy"]
    assert (run / "model.safetensors").read_bytes() == before["model.safetensors"]
    assert {**json.loads(out), "evaluated": None} == {**json.loads(before["result.json"]), "evaluated": None}


def test_a_run_that_crashed_before_its_first_checkpoint_begins_anew(capsys, run):
    shutil.rmtree(run / "checkpoints")
    for name in ("model.safetensors", "result.json"):
        (run / name).unlink()
    drop_metrics_after(run / "metrics.jsonl", 1)
    code, _, err = mmaml_command(capsys, "evaluate {}", run)
    assert code == 2 and f"has no checkpoint yet. Go on with `mmaml resume {run}`" in err
    assert mmaml_command(capsys, "resume {}", run)[0] == 0
    assert [row["step"] for row in read_metrics(run / "metrics.jsonl")] == [1, 2, 3, 4]


def test_an_evaluation_leaves_alone_what_a_training_run_writes(capsys, run):
    (run / "checkpoints" / "30.orbax-checkpoint-tmp").mkdir()
    assert mmaml_command(capsys, "evaluate {} --tasks 20", run)[0] == 0
    assert (run / "checkpoints" / "30.orbax-checkpoint-tmp").is_dir()


def test_a_run_being_trained_can_be_looked_at_but_its_result_is_not_written(capsys, run):
    with RunFolder(run).locked():
        before = content(run)
        code, _, err = mmaml_command(capsys, "evaluate {}", run)
        assert code == 2 and "another process is working on" in err
        assert mmaml_command(capsys, "evaluate {} --tasks 20", run)[0] == 0
        assert content(run) == before


def interrupt(*arguments, **options):
    raise KeyboardInterrupt


@pytest.mark.parametrize("when", ["draw", "evaluate"])
def test_a_run_stopped_after_training_is_not_taken_for_finished(capsys, run, monkeypatch, when):
    (run / "result.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(RegressionExperiment, when, interrupt)
        code, _, err = mmaml_command(capsys, "resume {}", run)
    assert code == 130 and err.startswith("Stopped: ") and err.endswith(f"Go on with `mmaml resume {run}`.")
    assert not (run / "result.json").exists()
    assert mmaml_command(capsys, "resume {}", run)[0] == 0 and (run / "result.json").is_file()


def test_an_evaluation_that_is_stopped_says_so_and_changes_nothing(capsys, run, monkeypatch):
    before = content(run)
    monkeypatch.setattr(RegressionExperiment, "evaluate", interrupt)
    code, _, err = mmaml_command(capsys, "evaluate {}", run)
    assert code == 130 and err == "Stopped: the command was not finished; what was there before is unchanged."
    assert content(run) == before


def test_report_of_several_runs(capsys, runs, tmp_path):
    code, out, _ = mmaml_command(
        capsys, "report {} {} --out {}", runs / "mmaml", runs / "multi-maml", tmp_path / "r.html"
    )
    assert code == 0 and "optimal" in out
    assert "multi-maml" in (tmp_path / "r.html").read_text()


def test_adapt_agrees_with_python_and_with_an_exported_file(capsys, run, tmp_path):
    (tmp_path / "few.csv").write_text("x,y\n-1,1\n0,0.1\n2,-2\n")
    (tmp_path / "where.csv").write_text("x\n1\n3\n")
    assert mmaml_command(capsys, "export {} {}", run, tmp_path / "m.safetensors")[0] == 0
    for model in (run, tmp_path / "m.safetensors"):
        files = (model, tmp_path / "few.csv", tmp_path / "where.csv", tmp_path / "out.csv")
        code, _, err = mmaml_command(capsys, "adapt {} --support {} --query {} --out {} --overwrite", *files)
        assert code == 0
        predicted = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1)[:, 1]
        fitted = mmaml.load(model).adapt([-1, 0, 2], [1, 0.1, -2])
        np.testing.assert_allclose(fitted.predict([1, 3]), predicted, rtol=1e-5)
        assert fitted.embedding.shape == (8,)
        assert set(fitted.mode_neighbours) <= {"sinusoid", "linear"}
        assert sum(fitted.mode_neighbours.values()) == pytest.approx(1)
        assert f"like this one: {next(iter(fitted.mode_neighbours))} " in err


@pytest.mark.parametrize(
    "command",
    ["adapt {run} --support {file} --query {file} --out {file}", "export {run} {file}", "report {run} --out {file}"],
)
def test_no_file_is_replaced_unless_told_to(capsys, run, tmp_path, command):
    file = tmp_path / "precious.csv"
    file.write_text("x,y\n1,2\n3,4\n5,6\n")
    text = command.replace("{run}", "RUN").replace("{file}", "FILE")
    parts = [{"RUN": run, "FILE": file}.get(word, word) for word in text.split()]
    code, _, err = mmaml_command(capsys, " ".join(["{}"] * len(parts)), *parts)
    assert code == 2 and f"{file} is there already. Replace it with --overwrite" in err
    assert file.read_text().startswith("x,y\n")
    assert mmaml_command(capsys, " ".join(["{}"] * (len(parts) + 1)), *parts, "--overwrite")[0] == 0
    assert not file.read_text(errors="replace").startswith("x,y\n1,2")


def test_several_runs_are_compared_beside_what_each_has_of_its_own(capsys, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = (runs / "mmaml" / "report.html").read_bytes()
    command = "report {} {}"
    assert mmaml_command(capsys, command, runs / "mmaml", runs / "multi-maml").code == 0
    assert (tmp_path / "comparison.html").is_file() and (runs / "mmaml" / "report.html").read_bytes() == own
    code, _, err = mmaml_command(capsys, command, runs / "mmaml", runs / "multi-maml")
    assert code == 2 and "comparison.html is there already" in err


def test_a_terminal_that_knows_few_letters_gets_question_marks(run):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "mmaml.cli", "report", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0 and " ? " in done.stdout


def test_a_report_of_nothing_is_refused(capsys):
    code, _, err = mmaml_command(capsys, "report")
    assert code == 2 and "at least one run" in err


def test_a_record_without_its_model_says_so(run):
    (run / "model.safetensors").unlink()
    with pytest.raises(UserError, match="holds no model, only how it was evaluated"):
        mmaml.load(run)


def test_python_trains_and_resumes_what_the_command_line_does(runs, tmp_path):
    options = {"budget": "smoke", "meta_iterations": 4, "evaluation_tasks": 30, "tasks_per_mode": 2, "hidden": [8]}
    options |= {"encoder_hidden": 4, "inner_steps": 2}
    models = [mmaml.train("regression-2", out=tmp_path / "run", **options), mmaml.load(runs / "mmaml")]
    (tmp_path / "run" / "result.json").unlink()
    models.append(mmaml.resume(tmp_path / "run"))
    first, *others = [model.adapt([-1, 0, 2], [1, 0.1, -2]).predict([1, 3]) for model in models]
    for other in others:
        np.testing.assert_array_equal(other, first)
    assert (tmp_path / "run" / "report.html").is_file() and (tmp_path / "run" / "result.json").is_file()


def test_python_evaluates_what_the_command_line_does(capsys, run):
    (run / "report.html").unlink()
    more = mmaml.evaluate(run, tasks=20, steps=3)
    assert not (run / "report.html").exists()
    assert (
        more["stages"] == json.loads(mmaml_command(capsys, "evaluate {} --tasks 20 --steps 3 --json", run)[1])["stages"]
    )
    stored = json.loads((run / "result.json").read_text())["stages"]
    assert mmaml.evaluate(str(run))["stages"] == stored and (run / "report.html").is_file()
    with pytest.raises(UserError, match="--tasks is 1, but must be a whole number, at least 2"):
        mmaml.evaluate(run, tasks=1)


@pytest.mark.parametrize(
    ("preset", "options", "message"),
    [
        ("regression5", {}, "'regression5' is no preset; did you mean regression-5"),
        ("regression-2", {"inner_learning_rate": 1}, "'inner_learning_rate' is no option of regression-2; "),
        ("regression-2", {"shots": "five"}, "--shots is 'five', but must be a whole number"),
        ("regression-2", {"shots": 0}, "--shots is 0, but must be at least 1"),
        ("regression", {"data": "nowhere"}, "nowhere is neither a folder nor a file"),
    ],
)
def test_python_is_told_what_is_wrong_with_its_options_before_anything_is_written(tmp_path, preset, options, message):
    with pytest.raises(UserError, match=message):
        mmaml.train(preset, out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_multi_maml_must_be_told_the_mode(runs):
    model = mmaml.load(runs / "multi-maml")
    with pytest.raises(ValueError, match=r"one of sinusoid, linear; got None"):
        model.adapt([0.0], [1.0])
    task = model.adapt([0.0], [1.0], mode="linear")
    assert task.embedding is None and task.mode_neighbours is None


@pytest.mark.parametrize(
    ("x", "y", "steps", "message"),
    [
        ([[1, 2]], [1], 1, r"must be \(points, 1\)"),
        ([1, 2], [1], 1, "both must have the same"),
        ([1, np.nan], [1, 1], 1, r"x must be finite numbers, but x\[1\] is nan"),
        ([1], [1], -1, "in -1 gradient steps; it must be 0 or more"),
    ],
)
def test_model_says_what_is_wrong_with_its_input(runs, x, y, steps, message):
    with pytest.raises(ValueError, match=message):
        mmaml.load(runs / "mmaml").adapt(x, y, steps=steps)


def test_a_mode_that_there_is_not_is_refused_by_every_learner(runs):
    with pytest.raises(ValueError, match="one of sinusoid, linear; got 'cubic'"):
        mmaml.load(runs / "mmaml").adapt([0.0], [1.0], mode="cubic")


def test_train_refuses_a_folder_with_a_run_unless_told_to_overwrite(capsys, run):
    before = (run / "result.json").read_bytes()
    code, _, err = mmaml_command(capsys, "train regression-2 --budget smoke --out {}", run)
    assert code == 2 and "already holds a run" in err and "--overwrite" in err and "mmaml resume" in err
    odd = shutil.copytree(run, run.parent / "a run's")
    with pytest.raises(UserError, match=re.escape(f"`mmaml resume {shlex.quote(str(odd))}`")):
        RunFolder.require_free(odd)
    assert (run / "result.json").read_bytes() == before


def test_train_never_overwrites_what_is_not_a_run(capsys, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    for config in (None, '{"model_type": "bert"}', "3", "{"):
        if config is not None:
            (tmp_path / "config.json").write_text(config)
        before = content(tmp_path)
        code, _, err = mmaml_command(capsys, "train regression-2 --overwrite --out {}", tmp_path)
        assert code == 2 and "is not a run" in err and content(tmp_path) == before


def test_train_never_overwrites_what_lies_beside_a_run(capsys, run):
    (run / ".lock").touch()
    (run / "thesis.tex").write_text("precious")
    before = content(run)
    code, _, err = mmaml_command(capsys, f"train regression-2 {TINY} --overwrite --out {{}}", run)
    assert code == 2 and "holds 'thesis.tex', which is no part of a run" in err and content(run) == before
    (run / "thesis.tex").unlink()
    (run / ".result.json.x1y2").write_text("cut short")
    (run / "video.gif").write_text("")
    assert mmaml_command(capsys, f"train regression-2 {TINY} --overwrite --out {{}}", run)[0] == 0
    assert not (run / ".result.json.x1y2").exists() and not (run / "video.gif").exists()
    assert (run / "result.json").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--seed 99999999999999999999", "--seed is 99999999999999999999, but must be between 0 and 4294967295"),
        ("--seed -1", "--seed is -1, but must be"),
        ("--shots 0", "--shots is 0, but must be at least 1"),
        ("--meta-lr -1", "--meta-lr is -1.0, but must be greater than 0"),
        ("--inner-lr inf", "--inner-lr is inf, but must be greater than 0 and finite"),
        ("--inner-steps -2", "--inner-steps is -2, but must be 0 or more"),
        ("--families sine", "--families is 'sine', but must be one of sinusoid, linear"),
        ("--families linear linear", "--families is ('linear', 'linear'), but must be different families"),
        ("--inner-clip-norm inf", "--inner-clip-norm is inf, but must be greater than 0 and at most 1e+18, or None"),
        ("--inner-clip-value 10 --engine dual", "--engine is 'dual', but must be auto or materialised"),
        ("--evaluation-tasks 1", "--evaluation-tasks is 1, but must be at least 2"),
        ("--learner mamml", "mamml"),
        ("--lerner maml", "--learner"),
        ("--data nowhere", "--families is ('sinusoid', 'linear'), but must be left out with --data"),
    ],
)
def test_bad_options_are_named_and_leave_nothing(capsys, tmp_path, options, message):
    code, out, err = mmaml_command(capsys, f"train regression-2 --budget smoke {options} --out {{}}", tmp_path / "run")
    assert code == 2 and message in " ".join((out + err).replace("│", " ").split())
    assert "Traceback" not in err and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "allowed"), [("--tasks 1", "a whole number, at least 2"), ("--steps -1", "a whole number, 0 or more")]
)
def test_an_evaluation_that_cannot_be_is_refused(capsys, run, option, allowed):
    before = (run / "result.json").read_bytes()
    name, value = option.split()
    code, _, err = mmaml_command(capsys, f"evaluate {{}} {name} {value}", run)
    assert code == 2 and f"{name} is {value}, but must be {allowed}" in err
    assert (run / "result.json").read_bytes() == before


def test_own_data_is_asked_for(capsys, tmp_path):
    code, _, err = mmaml_command(capsys, "train regression --out {}", tmp_path / "run")
    assert code == 2 and "--data is None, but must be a folder" in err


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing at .*nowhere; a model is the folder of a run, or a file"):
        mmaml.load(tmp_path / "nowhere")


@pytest.mark.parametrize("command", ["resume", "evaluate", "report"])
def test_a_folder_that_is_no_run_is_named(capsys, tmp_path, command):
    code, _, err = mmaml_command(capsys, command + " {}", tmp_path)
    assert code == 2 and "is not a run" in err


PROVENANCE = {"command": "c", "commit": None, "versions": {}, "machine": "m", "devices": 2}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (3, "lacks command, commit, config, devices, domain, machine, versions"),
        (PROVENANCE | {"domain": "regression", "config": [1]}, "config.json is damaged: config is [1]"),
        (PROVENANCE | {"domain": "regression", "config": {}, "devices": 0}, "damaged: devices is 0. Put it back"),
        (
            PROVENANCE | {"domain": "regression", "config": {"families": ["foo"]}},
            "config.json cannot be used: --families is 'foo', but must be one of sinusoid",
        ),
    ],
)
def test_a_damaged_configuration_is_named(capsys, tmp_path, config, message):
    (tmp_path / "config.json").write_text(json.dumps(config))
    code, _, err = mmaml_command(capsys, "evaluate {}", tmp_path)
    assert code == 2 and message in err


def test_a_damaged_checkpoint_is_named_and_an_older_one_goes_on(capsys, run):
    newest = run / "checkpoints" / "4"
    for path in newest.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, _, err = mmaml_command(capsys, "evaluate {}", run)
    assert code == 2 and "checkpoints/4 cannot be restored" in err and "Delete that folder" in err
    shutil.rmtree(newest)
    assert mmaml_command(capsys, "resume {}", run)[0] == 0


def test_a_foreign_model_file_is_named(capsys, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"not a model")
    code, _, err = mmaml_command(capsys, "export {} {}", tmp_path / "m.safetensors", tmp_path / "n")
    assert code == 2 and "cannot be read as a safetensors file" in err


@pytest.mark.parametrize("part", ["config", "modes", "format_version", "scaler.x_mean", "landmarks.modes"])
def test_a_model_file_without_one_of_its_parts_is_named(runs, tmp_path, part):
    path = str(tmp_path / "m.safetensors")
    mmaml.load(runs / "mmaml").save(path)
    with safe_open(path, "np") as file:
        header = json.loads(file.metadata()["mmaml"])
    tensors = load_file(path)
    (tensors if "." in part else header).pop(part)
    save_file(tensors, path, {"mmaml": json.dumps(header)})
    with pytest.raises(UserError, match=f"m.safetensors lacks '{part}': the file is damaged"):
        mmaml.load(path)


def test_own_tasks_that_are_nowhere_are_named(capsys, tmp_path):
    code, _, err = mmaml_command(capsys, "train regression --data nowhere --out {}", tmp_path / "run")
    assert code == 2 and "nowhere is neither a folder nor a file" in err


def test_what_the_system_refuses_is_one_message(capsys, tmp_path):
    name = "x" * 300
    code, _, err = mmaml_command(capsys, "data inspect {}", tmp_path / name)
    assert code == 2 and err == f"Error: {tmp_path / name}: File name too long."


def test_a_diverging_run_stops_and_says_so(capsys, tmp_path):
    options = TINY.replace("--meta-iterations 4", "--meta-iterations 50")
    command = f"train regression-2 {options} --inner-lr 1e9 --inner-clip-norm None --meta-clip-norm None --meta-lr 1e9"
    code, _, err = mmaml_command(capsys, command + " --out {}", tmp_path / "run")
    assert code == 1 and "diverged" in err and "--inner-lr" in err and "Traceback" not in err
    assert "--meta-clip-norm" not in err  # reinforcement learning has none


def test_the_version_is_told(capsys):
    code, out, _ = mmaml_command(capsys, "--version")
    assert code == 0 and out == f"mmaml {version('mmaml')}\n"


def test_presets_are_listed(capsys):
    code, out, _ = mmaml_command(capsys, "presets --json")
    assert code == 0 and {"regression-2", "regression-3", "regression-5", "regression"} <= set(json.loads(out))
    code, out, _ = mmaml_command(capsys, "presets")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0 and lines[:2] == ["few-shot regression", "regression-2 sinusoid, linear"]


def test_table1_resumes_and_refuses_other_rows(capsys, tmp_path):
    command = "reproduce table1 --budget smoke --methods {} --out {} --settings"
    arguments = command.split(" ")
    arguments[5], arguments[7] = "lstm", str(tmp_path)
    assert main([*arguments, "2 modes"]) == 0
    table = json.loads((tmp_path / "table1.json").read_text())
    assert [(c["method"], c["stage"]) for c in table["cells"]] == [
        ("lstm", "post-modulation"),
        ("bayes-optimal", "post-adaptation"),
    ]
    assert table["cells"][0]["paper"] == 0.362
    stamp = (tmp_path / table["cells"][0]["run"] / "result.json").stat().st_mtime_ns
    assert main([*arguments, "2 modes"]) == 0
    assert (tmp_path / table["cells"][0]["run"] / "result.json").stat().st_mtime_ns == stamp
    code, _, err = mmaml_command(capsys, "reproduce table1 --methods film --out {}", tmp_path)
    assert code == 2 and "--methods is 'film'" in err


def test_a_preset_that_is_mistyped_is_guessed(capsys):
    assert main(["train", "regresion-5", "--budget", "smoke"]) == 2
    assert "'regresion-5' is no preset; did you mean regression-5" in " ".join(capsys.readouterr().err.split())
