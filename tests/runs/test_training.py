"""The loop around the meta-steps, stopped where nothing was due to be saved."""

import signal
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from mmaml.core.meta import MetaTrainer
from mmaml.runs.errors import Interrupted
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import read_metrics
from mmaml.runs.training import Schedule, restore_learner, train
from tests.core.test_meta import trainer


SECONDS = 10.0
"""What a dispatch takes by the clock of these tests."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on with every dispatch; in the dispatch after `stop_at` meta-iterations Ctrl-C is pressed."""
    clock = SimpleNamespace(now=1000.0, stop_at=None)
    dispatch = MetaTrainer.run

    def run(self, state, iterations, at_most):
        clock.now += SECONDS
        if int(state.step) == clock.stop_at:
            signal.raise_signal(signal.SIGINT)
        return dispatch(self, state, iterations, at_most)

    monkeypatch.setattr(MetaTrainer, "run", run)
    monkeypatch.setattr("mmaml.runs.training.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def run(path, stop_at, clock):
    clock.stop_at = stop_at
    schedule = Schedule(6, save_every=4, dispatch=2)
    train(RunFolder(path), trainer("maml"), schedule, lambda learner: {"query": 1.0}, console=Console(quiet=True))


@pytest.mark.parametrize("stop_at", [0, 4])
def test_a_stop_between_two_saves_changes_nothing(tmp_path, clock, stop_at):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run(whole, None, clock)
    with pytest.raises(Interrupted, match=f"stopped at iteration {stop_at + 2}"):
        run(stopped, stop_at, clock)
    run(stopped, None, clock)
    rows = read_metrics(RunFolder(whole).metrics_path)
    assert [row["seconds"] for row in rows] == [2 * SECONDS, 3 * SECONDS]
    assert read_metrics(RunFolder(stopped).metrics_path) == rows
    weights = [
        restore_learner(RunFolder(path), trainer("maml"), best=False)[1].prior.head.weight for path in (whole, stopped)
    ]
    np.testing.assert_array_equal(*weights)
