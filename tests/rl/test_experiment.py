"""Meta-reinforcement learning from the command line: what a run leaves, how it goes on, and what it refuses."""

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from rich.console import Console

import mmaml
from mmaml.cli import main
from mmaml.domains import TABLES, open_experiment
from mmaml.experiments.experiment import EVALUATION_SEED
from mmaml.experiments.run import train_run
from mmaml.rl.config import PolicyConfig
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.evaluate import evaluate
from mmaml.rl.experiment import PolicyExperiment
from mmaml.rl.explore import Exploration, Explored
from mmaml.rl.paper import TABLE3
from mmaml.rl.presets import PRESETS
from mmaml.runs.config import from_dict, to_dict
from mmaml.runs.errors import Interrupted
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import read_metrics
from mmaml.runs.statistics import by_mode
from tests.commands import mmaml_command
from tests.rl.learners import tiny_config, tiny_model


SIZES = "--tasks-per-step 2 --rollouts 2 --hidden 8 --encoder-hidden 4 --evaluation-tasks 8"
# More than one dispatch of every environment.
ITERATIONS = {"point-2": 6, "reacher-2": 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Path of the run in an environment, which is done when it is first asked for."""
    folder = tmp_path_factory.mktemp("runs")

    def path(environment):
        if not (folder / environment).exists():
            sizes = f"{SIZES} --meta-iterations {ITERATIONS[environment]}"
            command = f"train {environment} --budget smoke {sizes} --out {folder / environment}"
            assert main(command.split(" ")) == 0
        return folder / environment

    return path


@pytest.fixture(scope="module", params=ITERATIONS)
def run(request, trained):
    return trained(request.param)


@pytest.fixture(scope="module")
def point(trained):
    return trained("point-2")


def rows(run):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(run / "metrics.jsonl")]


def test_a_run_leaves_everything_it_promises(run):
    result = json.loads((run / "result.json").read_text())
    assert [stage["steps"] for stage in result["stages"]] == [0, 1, 2]
    assert [stage.get("modulated", True) for stage in result["stages"]] == [False, True, True]
    modes = PolicyExperiment(PRESETS[run.name]).modes
    assert all(tuple(stage["per_mode"]) == modes for stage in result["stages"]) and len(modes) == 2
    assert result["metric"] == "return" and not result["lower_is_better"]
    assert result["data"] == run.name and result["tasks"] == 8 and result["rollouts"] == 2
    assert result["modulation"] == "scale" and result["meta_iterations"] == ITERATIONS[run.name]
    values = np.load(run / "evaluation.npy", allow_pickle=False)
    assert values.shape == (8, 3)
    assert [stage["mean"] for stage in result["stages"]] == pytest.approx(values.mean(axis=0).tolist(), rel=1e-4)
    logged = read_metrics(run / "metrics.jsonl")
    assert logged[-1]["step"] == ITERATIONS[run.name]
    assert {"loss", "query", "query_before", "query_ci95", "return_0", "return_1", "return_2"} <= set(logged[0])
    assert (run / "report.html").is_file()


def test_evaluate_with_more_steps_has_a_stage_for_each(capsys, point):
    code, out, _ = mmaml_command(capsys, "evaluate {} --tasks 8 --steps 3 --json", point)
    assert code == 0
    stages = json.loads(out)["stages"]
    assert [stage["steps"] for stage in stages] == [0, 1, 2, 3]
    assert mmaml_command(capsys, "evaluate {} --tasks 8 --json", point)[0] == 0


def test_a_run_interrupted_and_resumed_ends_like_one_that_was_not(run, tmp_path):
    stored = RunFolder.open(run)
    experiment = open_experiment(stored)
    folder = RunFolder.create(tmp_path / "run", "rl", run.name, to_dict(experiment.config))

    def stop_at_once(step, numbers):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="mmaml resume"):
        train_run(folder, experiment, Console(quiet=True), stop_at_once)
    assert 0 < rows(folder.path)[-1]["step"] < ITERATIONS[run.name]
    train_run(folder, open_experiment(folder), Console(quiet=True), lambda step, numbers: None)
    assert rows(folder.path) == rows(run)
    assert folder.model_path.read_bytes() == stored.model_path.read_bytes()


def test_an_exported_model_is_the_run_s_own(capsys, point, tmp_path):
    file = tmp_path / "m.safetensors"
    assert mmaml_command(capsys, "export {} {}", point, file)[0] == 0
    returns = []
    for model in (mmaml.load(point), mmaml.load(file)):
        assert model.modes == PolicyExperiment(PRESETS["point-2"]).modes
        tasks = model.exploration.environment.sample_tasks(jr.key(0), 3)
        returns.append(evaluate(model.exploration, model.learner, tasks, jr.key(1), 1, at_once=3))
    np.testing.assert_array_equal(*returns)


def test_adapting_files_is_refused_by_a_model_of_policies(capsys, point, tmp_path):
    code, _, err = mmaml_command(
        capsys, "adapt {} --support {} --query {}", point, tmp_path / "s.csv", tmp_path / "q.csv"
    )
    assert code == 2 and "whose tasks are environments" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--clip 2", "--clip is 2.0, but must be between 0 and 1"),
        ("--rollouts 0", "--rollouts is 0, but must be at least 1"),
        ("--tasks-per-step 1", "--tasks-per-step is 1, but must be at least 2"),
        ("--epochs 0", "--epochs is 0, but must be at least 1"),
        ("--discount 1.5", "--discount is 1.5, but must be between 0 and 1"),
        ("--kl-penalty -1", "--kl-penalty is -1.0, but must be 0 or more"),
        ("--hidden 0", "--hidden is (0,), but must be one or more sizes of at least 1"),
        ("--environment point-3", "--environment is 'point-3', but must be one of point-1"),
        ("--environment ant-2", "--environment is 'ant-2', but must be point-2, as the preset says"),
        ("--environment my.py:Env", "--environment is 'my.py:Env', but must be point-2, as the preset says"),
        ("--inner-steps 0", "--inner-steps is 0, but must be at least 1: with the first step"),
        ("--inner-loss quadratic", "quadratic"),
    ],
)
def test_bad_options_are_named_and_leave_nothing(capsys, tmp_path, options, message):
    code, out, err = mmaml_command(capsys, f"train point-2 --budget smoke {options} --out {{}}", tmp_path / "run")
    assert code == 2 and message in " ".join((out + err).replace("│", " ").split())
    assert "Traceback" not in err and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ("turntable.py:Turntable", "policy-Turntable"),
        ("my envs/cart pole.py:make", "policy-cart-pole-make"),
        ("package.envs:Cart", "policy-envs-Cart"),
        ("point-4", "policy-point-4"),
    ],
)
def test_environments_of_one_s_own_are_told_apart(environment, name):
    assert replace(PRESETS["policy"], environment=environment).short_name == name
    assert PRESETS["point-4"].short_name == "point-4"


RECORDS = Path(__file__).parents[2] / "results" / "runs"


def test_stored_configurations_mean_what_they_did():
    for path in RECORDS.glob("*/config.json"):
        stored = json.loads(path.read_text())
        if stored["domain"] == PolicyConfig.DOMAIN:
            config = from_dict(PolicyConfig, stored["config"])
            config.check()
            result = json.loads(path.with_name("result.json").read_text())
            assert (config.iterations, config.final_tasks) == (result["planned"], result["tasks"]), path


@pytest.mark.parametrize(("count", "at_once", "together"), [(12, 40, [12]), (80, 40, [40, 40]), (50, 40, [25, 25])])
def test_an_evaluation_does_no_more_than_is_asked_for(count, at_once, together, monkeypatch):
    seen = []

    def explore(self, learner, tasks, keys, steps):
        seen.append(len(keys))
        return Explored((), jnp.concatenate([tasks.goal] * (steps + 1), axis=1), None)

    monkeypatch.setattr(Exploration, "explore", explore)
    monkeypatch.setattr(sys.modules[evaluate.__module__], "returns", lambda episodes: episodes)
    model = tiny_model("point-1", learner="maml")
    tasks = GoalTask(jnp.arange(count, dtype=float)[:, None], jnp.zeros(count, int))
    found = evaluate(model.exploration, model.learner, tasks, jr.key(0), 1, at_once=at_once)
    assert seen == together
    np.testing.assert_array_equal(found, np.stack([np.arange(count)] * 2, axis=1))


def test_every_seed_is_judged_on_the_same_tasks_and_rollouts(monkeypatch):
    monkeypatch.setattr(
        "mmaml.rl.experiment.evaluate",
        lambda exploration, learner, tasks, key, steps: tasks.goal + jr.normal(key, tasks.goal.shape),
    )
    one, other = (PolicyExperiment(tiny_config("point-2", learner="maml", seed=seed)) for seed in (0, 1))
    np.testing.assert_array_equal(*(made.evaluate(one.trainer.learner, 8, None).values for made in (one, other)))


def test_as_many_tasks_are_differentiated_at_a_time_as_asked_for():
    experiment = PolicyExperiment(tiny_config("point-2", learner="maml", task_microbatch=3))
    assert experiment.trainer.task_microbatch == 3


# Table 3, typed from the paper.
PUBLISHED = """
            point-2 point-4 point-6 reacher-2 reacher-4 reacher-6 ant-2 ant-4
promp          -397    -523    -330       -12     -13.8     -14.9  -761  -953
multi-promp    -109    -109     -92      -4.3      -4.3      -4.3  -624  -611
mmaml          -136    -209    -169     -10.0     -11.0     -10.9  -711  -904
"""


def test_table3_has_the_paper_s_24_numbers_and_settings():
    settings, *rows = (line.split() for line in PUBLISHED.strip().splitlines())
    published = {
        (method, "post-adaptation"): dict(zip(settings, map(float, numbers), strict=True)) for method, *numbers in rows
    }
    assert TABLE3.paper == published and (list(TABLE3.settings), len(rows)) == (settings, 3)
    for name, config in TABLE3.settings.items():
        assert (config.tasks_per_step, config.rollouts, config.epochs, config.clip) == (40, 20, 5, 0.1)
        assert config.inner_steps == (3 if name.startswith("ant") else 2)
        assert config.inner_lr == (0.01 if name.startswith("point") else 0.1)
    assert TABLE3.config("ant-2", "promp", "paper", 0).iterations == 1001


def test_table3_fills_a_cell(capsys, monkeypatch, tmp_path):
    sizes = {"tasks_per_step": 2, "rollouts": 2, "hidden": (8,), "encoder_hidden": 4, "evaluation_tasks": 8}
    small = replace(PRESETS["point-2"], meta_iterations=ITERATIONS["point-2"], **sizes)
    monkeypatch.setitem(TABLES, "table3", replace(TABLE3, settings={"point-2": small}))
    command = "reproduce table3 --budget smoke --settings point-2 --methods mmaml --out {} --json"
    code, out, _ = mmaml_command(capsys, command, tmp_path)
    assert code == 0
    cells = json.loads(out)
    assert {(c["setting"], c["method"]) for c in cells} == {("point-2", "mmaml")}
    last = next(c for c in cells if c["stage"] == "post-adaptation")
    assert last["paper"] == -136 and last["metric"] == "return" and last["tasks"] == 8
    assert (tmp_path / "table3.md").is_file()


def test_a_mode_with_one_task_or_none_leaves_a_result_that_is_json():
    # Modes are drawn: of the 12 tasks of point-4's smoke budget one mode has one, of 8 tasks one has none.
    goals = PolicyExperiment(PRESETS["point-4"]).exploration.environment
    modes = np.asarray(goals.sample_tasks(jr.split(jr.key(EVALUATION_SEED))[0], 12).mode)
    assert np.bincount(modes, minlength=4).min() < 2
    result = by_mode(np.arange(12.0), modes, goals.modes)
    json.dumps(result, allow_nan=False)
    assert list(result["per_mode"]) == [name for i, name in enumerate(goals.modes) if (modes == i).sum() > 1]
