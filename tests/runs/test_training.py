"""The loop around the meta-steps, stopped where nothing was due to be saved."""

import io
import signal
from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from rich.console import Console

from mmaml.core.meta import MetaTrainer
from mmaml.runs.checkpoint import newest
from mmaml.runs.errors import Interrupted, RunFailed
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import read_metrics
from mmaml.runs.training import Schedule, restore_learner, train
from tests.core.test_meta import trainer


SECONDS = 10.0
"""What a dispatch takes by the clock of these tests."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on with every dispatch; in the dispatch after `stop_at` meta-iterations Ctrl-C is pressed."""
    clock = SimpleNamespace(now=1000.0, stop_at=None, signal=signal.SIGINT)
    dispatch = MetaTrainer.run

    def run(self, state, iterations, at_most):
        clock.now += SECONDS
        if int(state.step) == clock.stop_at:
            signal.raise_signal(clock.signal)
        return dispatch(self, state, iterations, at_most)

    monkeypatch.setattr(MetaTrainer, "run", run)
    read = SimpleNamespace(monotonic=lambda: clock.now, perf_counter=lambda: clock.now)
    monkeypatch.setattr("mmaml.runs.training.time", read)
    return clock


def run(path, stop_at, clock):
    clock.stop_at = stop_at
    schedule = Schedule(6, save_every=4, dispatch=2)
    train(RunFolder(path), trainer("maml"), schedule, lambda learner: {"query": 1.0}, console=Console(quiet=True))


def test_the_first_two_dispatches_are_of_one_iteration_and_a_stop_moves_no_later_one(tmp_path, clock, monkeypatch):
    counts, dispatch = [], MetaTrainer.run

    def counted(self, state, iterations, at_most):
        counts.append(iterations)
        return dispatch(self, state, iterations, at_most)

    monkeypatch.setattr(MetaTrainer, "run", counted)

    def run(path):
        schedule = Schedule(20, save_every=10, dispatch=4)
        train(RunFolder(path), trainer("maml"), schedule, lambda learner: {"query": 1.0}, console=Console(quiet=True))

    run(tmp_path / "whole")
    assert counts == [1, 1, 2, 4, 2, 4, 4, 2]
    clock.stop_at = 14
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped")
    counts.clear()
    run(tmp_path / "stopped")
    assert counts[-1] == 2
    whole, stopped = (read_metrics(RunFolder(tmp_path / name).metrics_path) for name in ("whole", "stopped"))
    for one, other in zip(whole, stopped, strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_what_a_run_with_pretraining_will_take_is_known_early_and_changes_nothing(tmp_path, clock, monkeypatch):
    dispatch = MetaTrainer.run

    def run_slower_later(self, state, iterations, at_most):
        clock.now += iterations * 240 if state.step >= 10 else iterations * 30
        return dispatch(self, state, iterations, at_most)

    monkeypatch.setattr(MetaTrainer, "run", run_slower_later)
    monkeypatch.setattr("mmaml.runs.progress.time", SimpleNamespace(monotonic=lambda: clock.now))
    console, rows, t = Console(file=io.StringIO(), width=200), [], trainer(pretraining=10)
    for known in (0, 10):
        folder = RunFolder(tmp_path / str(known))
        schedule = Schedule(20, save_every=20, dispatch=2, pretraining=known)
        train(folder, t, schedule, lambda learner: {"query": 1.0}, console=console)
        rows += read_metrics(folder.metrics_path)
    seconds = 8 * (30 + SECONDS) + 10 * (240 + SECONDS)
    assert f"18 meta-iterations will take about {seconds / 60:.0f} min" in console.file.getvalue()
    assert rows[0] | {"seconds": 0} == rows[1] | {"seconds": 0}


@pytest.mark.parametrize(("stop_at", "stopped_at"), [(0, 1), (4, 6)])
def test_a_stop_between_two_saves_changes_nothing(tmp_path, clock, stop_at, stopped_at):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    run(whole, None, clock)
    with pytest.raises(Interrupted, match=f"stopped at iteration {stopped_at}"):
        run(stopped, stop_at, clock)
    run(stopped, None, clock)
    rows = read_metrics(RunFolder(whole).metrics_path)
    assert [row["seconds"] for row in rows] == [3 * SECONDS, 4 * SECONDS]
    assert read_metrics(RunFolder(stopped).metrics_path) == rows
    weights = [
        restore_learner(RunFolder(path), trainer("maml"), best=False)[1].prior.head.weight for path in (whole, stopped)
    ]
    np.testing.assert_array_equal(*weights)


@pytest.fixture
def on_hangup():
    """Sets what a process does on SIGHUP; these tests may themselves run under nohup."""
    before = signal.getsignal(signal.SIGHUP)
    yield lambda handler: signal.signal(signal.SIGHUP, handler)
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_that_is_closed_stops_a_run_as_an_interrupt_does(tmp_path, clock, on_hangup, number):
    on_hangup(signal.SIG_DFL)
    clock.signal = number
    with pytest.raises(Interrupted, match="stopped at iteration 6"):
        run(tmp_path, 4, clock)


def test_under_nohup_it_does_not(tmp_path, clock, on_hangup):
    on_hangup(signal.SIG_IGN)
    clock.signal = signal.SIGHUP
    run(tmp_path, 4, clock)


def test_parameters_that_break_after_the_last_loss_are_not_saved(tmp_path):
    folder = RunFolder(tmp_path)
    broken = replace(trainer("maml"), optimiser=optax.sgd(lambda step: jnp.where(step < 1, 0.0, jnp.inf)))
    schedule = Schedule(2, save_every=1, dispatch=1)
    with pytest.raises(RunFailed, match="not finite at meta-iteration 2; the last finite checkpoint, 1, is kept"):
        train(folder, broken, schedule, lambda learner: {"query": 1.0}, console=Console(quiet=True))
    assert newest(folder.checkpoints_path) == 1
