"""What regression runs are trained and judged on."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from mmaml.core.task import AbstractTaskSource, Mixture, Samples, Task
from mmaml.regression.augment import Varied
from mmaml.regression.experiment import RegressionExperiment
from mmaml.regression.presets import PRESETS
from mmaml.runs.errors import UserError


class Flat(AbstractTaskSource):
    """y is the same everywhere."""

    y: float
    modes = ("flat",)

    def sample(self, key, n):
        points = Samples(jnp.zeros((n, 3, 1)), jnp.full((n, 3, 1), self.y))
        return Task(points, points, jnp.zeros(n, int))


def experiment(preset="regression-2", **options):
    options = {"learner": "maml", "hidden": (4,), **options}
    return RegressionExperiment(replace(PRESETS[preset], budget="smoke", **options))


class Asked(Exception):
    """A learner is to be judged on the tasks that this holds."""


def judged_on(monkeypatch, judge, *arguments):
    """Query targets of the tasks on which `judge` judges a learner."""

    def ask(learner, tasks, *_, **__):
        raise Asked(tasks)

    monkeypatch.setattr("mmaml.regression.experiment.evaluate_tasks", ask)
    with pytest.raises(Asked) as asked:
        judge(*arguments)
    return np.asarray(asked.value.args[0].query.targets)


def test_held_out_tasks_judge(monkeypatch):
    made = experiment()
    parts = {name: Mixture((Flat(y),), ("flat",)) for name, y in (("train", 1.0), ("held_out", 2.0))}
    made.sources, learner = replace(made.sources, **parts), made.trainer.learner
    assert (judged_on(monkeypatch, made.validate, learner) == 2).all()
    assert (judged_on(monkeypatch, made.evaluate, learner, 20, None) == 2).all()


def test_every_seed_is_judged_on_the_same_tasks(monkeypatch):
    one, other = (experiment(seed=seed) for seed in (0, 1))
    tasks = [judged_on(monkeypatch, made.evaluate, one.trainer.learner, 20, None) for made in (one, other)]
    np.testing.assert_array_equal(*tasks)


def test_pretraining_comes_before_the_other_meta_iterations():
    made = experiment(learner="mmaml", meta_iterations=10, pretraining=1.5)
    assert (made.trainer.pretraining, made.schedule.iterations) == (15, 25)
    assert experiment(learner="mmaml").trainer.pretraining == 0


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"pretraining": -1.0}, "from 0 to 1000"),
        ({"pretraining": float("inf")}, "from 0 to 1000"),
        ({"learner": "maml"}, "0 for learners other than mmaml"),
    ],
)
def test_pretraining_that_cannot_be_is_refused(options, allowed):
    config = replace(PRESETS["regression-2"], **{"pretraining": 2.0, **options})
    with pytest.raises(UserError, match=rf"--pretraining is \S+, but must be {allowed}"):
        config.check()


@pytest.mark.parametrize("augment", [True, False])
def test_training_tasks_of_one_s_own_are_varied_if_asked_for(tmp_path, augment):
    for i in range(3):
        (tmp_path / f"{i}.csv").write_text(f"x,y\n0,{i}\n1,2\n")
    made = experiment("regression", data=str(tmp_path), shots=1, queries=1, augment=augment)
    assert isinstance(made.trainer.source, Varied) == augment
