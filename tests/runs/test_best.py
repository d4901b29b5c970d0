"""The checkpoint that did best in validation is kept, also over a stop."""

import itertools
import shutil
import signal

import numpy as np
import pytest
from rich.console import Console

from mmaml.runs.errors import Interrupted, UserError
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import read_metrics
from mmaml.runs.training import Schedule, restore_learner, train
from tests.core.test_meta import trainer


SCORES = {1: 5.0, 2: 3.0, 3: 4.0, 4: 3.0, 5: 3.5}


def better(numbers, than):
    return numbers["query"] < than["query"]


def run(folder, stop_at=None):
    t = trainer("maml")
    steps = itertools.count(len(read_metrics(folder.metrics_path)) + 1)

    def validate(learner):
        step = next(steps)
        if step == stop_at:
            signal.raise_signal(signal.SIGINT)
        return {"query": SCORES[step]}

    train(folder, t, Schedule(5, save_every=1, dispatch=1), validate, better=better, console=Console(quiet=True))
    return t


@pytest.mark.parametrize("stop_at", [None, 2, 5])
def test_best_checkpoint_is_kept(tmp_path, stop_at):
    folder = RunFolder(tmp_path)
    if stop_at is not None:
        with pytest.raises(Interrupted):
            run(folder, stop_at)
    t = run(folder)
    step, learner = restore_learner(folder, t, best=True)
    assert step == 2  # the first of two equals
    state, _ = t.run(t.initial_state(), 2, 2)
    np.testing.assert_array_equal(learner.prior.head.weight, state.parameters.prior.head.weight)
    assert restore_learner(folder, t, best=False)[0] == 5


@pytest.mark.parametrize("left", ["", '{"step": 5, "seconds": 1.0, "query": 3.5}\n'])
def test_the_best_is_not_given_up_where_metrics_were_lost(tmp_path, left):
    folder = RunFolder(tmp_path)
    run(folder)
    folder.metrics_path.write_text(left)
    with pytest.raises(UserError, match=r"metrics.jsonl has no row of iteration 2, which did best"):
        run(folder)
    assert [path.name for path in folder.best_path.iterdir()] == ["2"]


def test_a_best_checkpoint_that_is_gone_is_missed(tmp_path):
    folder = RunFolder(tmp_path)
    t = run(folder)
    shutil.rmtree(folder.best_path)
    for again in (lambda: run(folder), lambda: restore_learner(folder, t, best=True)):
        with pytest.raises(UserError, match=r"checkpoints of .* are missing, there are none in .*best"):
            again()
    assert not folder.best_path.exists() and len(read_metrics(folder.metrics_path)) == 5
