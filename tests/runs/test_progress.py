"""What is shown of a run while it goes on."""

import io
import re
from types import SimpleNamespace

import jax.numpy as jnp
import pytest
from rich.console import Console

from mmaml.runs import progress as module
from mmaml.runs.devices import peak_memory
from mmaml.runs.progress import progress


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 1000.0 + now.seconds))
    return now


def shown(clock, total, *, terminal, validated=None):
    """All that is printed of a run that compiles for a minute and then makes ten iterations a second."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=300)
    with progress("run", total, 20, console) as report:
        clock.seconds += 60
        report(30, {"loss": 2.0})
        for step in (40, 50, 50):
            clock.seconds += 0.5 if step == 50 else 1
            report(step, {"loss": 1.0})
        clock.seconds += 99
        report(1040, {"loss": 0.5})
        if validated:
            report(1040, validated)
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_the_cost_of_a_long_run_is_told_once_and_without_compilation(clock, terminal):
    text = shown(clock, 30_040, terminal=terminal)
    assert text.count("30,000 meta-iterations will take about 50 min; memory so far at most") == 1
    assert text.count("GiB.") == 1


@pytest.mark.parametrize("terminal", [False, True])
def test_a_short_run_is_not_told_its_cost(clock, terminal):
    assert "will take" not in shown(clock, 2040, terminal=terminal)


def test_lines_say_how_fast_it_goes_and_how_long_it_still_takes(clock):
    first, last = shown(clock, 7040, terminal=False).splitlines()[::2]
    assert first == "run  30/7040  loss 2"
    assert last == "run  1040/7040  it/s 10  loss 0.5  left 10.0 min"


def test_the_end_is_said_once_though_it_is_reported_before_and_after_validation(clock):
    text = shown(clock, 1040, terminal=False, validated={"query": 0.4})
    assert text.splitlines()[-1] == "run  1040/1040  it/s 10  query 0.4  left 0.0 min"
    assert text.count("1040/1040") == 1


@pytest.mark.parametrize("terminal", [False, True])
def test_later_iterations_that_take_longer_are_reckoned_with(clock, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=300)
    with progress("run", 1000, 0, console, lambda n: n + 9 * max(n - 500, 0), seconds_between=0.0) as report:
        report(20, {"loss": 2.0})
        clock.seconds += 1
        report(30, {"loss": 1.0})
        clock.seconds += 47 + 100
        report(600, {"loss": 0.5})
    text = console.file.getvalue()
    assert text.count("970 meta-iterations will take about 9 min") == 1
    if not terminal:
        early, late = text.splitlines()[-2:]
        assert early == "run  30/1000  it/s 10  loss 1  left 9.1 min"
        assert late == "run  600/1000  it/s 1  loss 0.5  left 6.7 min"


@pytest.mark.parametrize("dispatches", [1, 3])
def test_what_the_first_validation_takes_is_not_taken_for_iterations(clock, dispatches):
    console = Console(file=io.StringIO(), width=300)
    with progress("run", 1000, 50, console, seconds_between=0.0) as report:
        for step in range(60, 60 + 10 * dispatches, 10):
            clock.seconds += 1
            report(step, {"loss": 2.0})
        clock.seconds += 60
        report(step, {"query": 2.0})
        clock.seconds += 1
        report(step + 10, {"loss": 1.0})
    minutes = (1000 - step - 10) / 600
    assert console.file.getvalue().endswith(f"run  {step + 10}/1000  it/s 10  loss 1  left {minutes:.1f} min\n")


@pytest.mark.parametrize("width", [50, 80])
def test_a_bar_keeps_how_far_it_is_and_the_time_left_whatever_the_numbers_are(clock, width):
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    numbers = {f"number_{i}": 0.5 for i in range(9)} | {"loss": 2.0}
    with progress("a-run-with-a-long-name-as-they-have-by-default", 5000, 0, console) as report:
        report(4000, numbers)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue()).splitlines()
    assert any("4,000/5,000" in line and " left " in line and len(line) <= width for line in lines)
    assert any(line.startswith("  loss 2  number_0 0.5") for line in lines)


def test_peak_memory_is_in_bytes():
    held = jnp.ones(2**26).block_until_ready()
    assert held.nbytes < peak_memory() < 2**40
