"""The loop around the jitted meta-steps: progress, metrics, checkpoints, resumption, and what can go wrong."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from mmaml.core.learners import AbstractLearner
from mmaml.core.meta import AbstractTrainer, MetaState
from mmaml.runs.checkpoint import Checkpoints, newest
from mmaml.runs.errors import Interrupted, RunFailed, UserError, command
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import append_metrics, drop_metrics_after, read_metrics
from mmaml.runs.progress import progress
from mmaml.runs.trackers import Track


@dataclass(frozen=True)
class Schedule:
    """How many meta-iterations, how many in one dispatch, and how often to validate and save.

    The first `pretraining` take less time than the others; to know it beforehand costs a few iterations.
    """

    iterations: int
    save_every: int
    dispatch: int = 50
    pretraining: int = 0


def train(
    folder: RunFolder,
    trainer: AbstractTrainer,
    schedule: Schedule,
    validate: Callable[[AbstractLearner], dict[str, float]],
    *,
    better: Callable[[Mapping[str, float | int], Mapping[str, float | int]], bool] | None = None,
    console: Console,
    track: Track | None = None,
) -> AbstractLearner:
    """Train, or go on training, until `schedule.iterations`; return the learner.

    Every `save_every` iterations the trainer's `summary` of the last dispatch and the numbers of `validate(learner)`
    are logged, told to `track`, and the state saved; with `better(numbers, than)` given, the state that is better than
    all before it is also kept as the run's best. Starting again after any kind of stop gives the same states and
    metrics as if it had not happened.

    Raises `RunFailed` when the loss or a parameter is no longer finite, `Interrupted` after a SIGINT, SIGTERM or SIGHUP
    once the state is saved, and `UserError` when something cannot be written or restored, or the checkpoints of a
    trained run are missing.
    """
    saved = newest(folder.checkpoints_path)
    best_step = newest(folder.best_path) if better else None
    if _was_trained(folder):
        if saved is None:
            raise _lost(folder, folder.checkpoints_path)
        if better and best_step is None:
            raise _lost(folder, folder.best_path)
    step = saved or 0
    drop_metrics_after(folder.metrics_path, step)
    rows = read_metrics(folder.metrics_path)
    if best_step and best_step <= step and all(row["step"] != best_step for row in rows):
        raise UserError(
            f"{folder.metrics_path} has no row of iteration {best_step}, which did best so far: without it nothing can "
            "be compared with that. Put the file back from a copy, or train another run with --out."
        )
    seconds = rows[-1]["seconds"] if rows else 0.0
    slower = 1.0

    def work(iterations: int) -> float:
        return iterations + (slower - 1) * max(iterations - schedule.pretraining, 0)

    with (
        Checkpoints(folder.checkpoints_path) as checkpoints,
        Checkpoints(folder.best_path, keep=1) if better else nullcontext() as best,
        progress(folder.path.name, schedule.iterations, step, console, work) as report,
        _stop_requested(console) as stopped,
    ):
        state = trainer.initial_state()
        if step:
            state = checkpoints.restore(step, state)
            seconds = checkpoints.seconds(step) or seconds
        began = time.monotonic() - seconds
        if step < schedule.pretraining:
            slower = _slower_after_pretraining(trainer, state, schedule)
        # One meta-iteration to compile, another to see how long it takes: what a run costs is known before it is long.
        singles = 2
        while step < schedule.iterations:
            since_save = step % schedule.save_every
            until_save = min(schedule.save_every - since_save, schedule.iterations - step)
            single = singles > 0 and until_save > schedule.dispatch
            count = 1 if single else min(schedule.dispatch - since_save % schedule.dispatch, until_save)
            singles -= 1
            state, history = trainer.run(state, count, schedule.dispatch)
            history = {name: np.asarray(values)[:count] for name, values in history.items()}
            if len(broken := np.flatnonzero(~np.isfinite(history["loss"]))):
                raise _diverged(step + int(broken[0]) + 1, checkpoints.latest(), folder)
            step += count
            summary = trainer.summary(history)
            report(step, summary)
            stop = stopped()
            due = step % schedule.save_every == 0 or step == schedule.iterations
            if (due or stop) and not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.parameters)):
                raise _diverged(step, checkpoints.latest(), folder)
            if due:
                numbers = {**summary, **validate(trainer.learner_at(state))}
                seconds = time.monotonic() - began
                # Metrics first: a crash in between leaves a row too many, which the resumed run takes back.
                append_metrics(folder.metrics_path, {"step": step, "seconds": round(seconds, 3), **numbers})
                if better and best and all(better(numbers, row) for row in rows) and (best.latest() or 0) < step:
                    best.save(step, state, seconds)
                rows.append(numbers)
                checkpoints.save(step, state, seconds)
                if track:
                    track(step, numbers)
                report(step, numbers)
                stop = stopped()  # to validate takes a while
            elif stop:
                checkpoints.save(step, state, time.monotonic() - began)
            if stop:
                raise Interrupted(
                    f"stopped at iteration {step}; all is saved. Go on with {command('resume', folder.path)}."
                )
    return trainer.learner_at(state)


def _slower_after_pretraining(trainer: AbstractTrainer, state: MetaState, schedule: Schedule) -> float:
    """How many times as long a meta-iteration takes after pretraining, from a few that are thrown away."""

    def seconds(state: MetaState) -> float:
        began = time.perf_counter()  # some iterations are shorter than a tick of Windows' monotonic clock
        jax.block_until_ready(trainer.run(state, 1, schedule.dispatch))
        return time.perf_counter() - began

    after = eqx.tree_at(lambda s: s.step, state, jnp.full_like(state.step, schedule.pretraining))
    seconds(state)  # compiles
    early, late = (min(seconds(s) for _ in range(3)) for s in (state, after))
    return late / early


def restore_learner(folder: RunFolder, trainer: AbstractTrainer, *, best: bool) -> tuple[int, AbstractLearner]:
    """Step and learner of the checkpoint that did best in validation or of the newest.

    Only reads, so another process may be training the run. Raises `UserError` if there is none or it is damaged.
    """
    path = folder.best_path if best else folder.checkpoints_path
    with Checkpoints(path, read_only=True) as checkpoints:
        step = checkpoints.latest()
        if step is None and _was_trained(folder):
            raise _lost(folder, path)
        if step is None:
            raise UserError(
                f"{folder.path} has no checkpoint yet. Go on with {command('resume', folder.path)}; if it failed "
                "before its first one, mend the cause and train it again with --overwrite."
            )
        return step, trainer.learner_at(checkpoints.restore(step, trainer.initial_state()))


def _was_trained(folder: RunFolder) -> bool:
    """Whether there must be checkpoints."""
    # One row alone may be from before a crash that came between it and the first checkpoint.
    rows = read_metrics(folder.metrics_path)
    return len(rows) > 1 or folder.model_path.exists() or folder.result_path.exists()


def _lost(folder: RunFolder, path: Path) -> UserError:
    usable = " Its model can still be used, with `mmaml evaluate`, `adapt` or `render`."
    return UserError(
        f"the checkpoints of {folder.path} are missing, there are none in {path}: the run cannot be gone on with."
        f"{usable if folder.has_ended() else ''} Put them back, or train another run with --out."
    )


def _diverged(iteration: int, saved: int | None, folder: RunFolder) -> RunFailed:
    kept = "no checkpoint was written yet" if saved is None else f"the last finite checkpoint, {saved}, is kept"
    return RunFailed(
        f"the run in {folder.path} diverged: the loss or a parameter was not finite at meta-iteration {iteration}; "
        f"{kept}. Start a new run with a lower --inner-lr or --meta-lr, or a smaller --inner-clip-norm."
    )


@contextmanager
def _stop_requested(console: Console) -> Iterator[Callable[[], bool]]:
    """Whether SIGINT, SIGTERM or the terminal's SIGHUP has come; a second one acts at once, as without this."""
    received = False
    previous = {}

    def remember(number: int, frame: object) -> None:
        nonlocal received
        received = True
        console.print("Stopping as soon as what is being computed can be saved. Again, and it stops at once.")
        signal.signal(number, previous[signal.Signals(number)])

    if threading.current_thread() is threading.main_thread():
        numbers = [signal.SIGINT, signal.SIGTERM]
        # A run under nohup outlives its terminal.
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        previous = {number: signal.signal(number, remember) for number in numbers}
    try:
        yield lambda: received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
