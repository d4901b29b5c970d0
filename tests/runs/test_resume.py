"""A killed run, resumed, ends like one that was never stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file


def start(run):
    """Train as users do: the other tests' XLA does not optimise, and so could not show where that rounds otherwise."""
    command = [sys.executable, str(Path(__file__).with_name("train_only.py")), str(run)]
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def finish(process):
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


def rows(run):
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def wait_for_rows(run, number, process):
    while process.poll() is None and len(rows(run)) < number:
        time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    code, output = finish(start(run))
    assert code == 0, output
    return run


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_resume_is_bit_exact(whole, tmp_path, stop):
    run, moments = tmp_path / "run", random.Random(int(stop))
    for number in (1, 4):
        process = start(run)
        wait_for_rows(run, number, process)
        time.sleep(moments.random() * 0.05)
        process.send_signal(stop)
        code, output = finish(process)
        if stop == signal.SIGINT and code != 0:
            assert code == 130 and "mmaml resume" in output
    code, output = finish(start(run))
    assert code == 0, output
    assert rows(run) == rows(whole)
    expected, model = (load_file(r / "model.safetensors") for r in (whole, run))
    for name, value in expected.items():
        np.testing.assert_array_equal(model[name], value)


def test_a_run_being_trained_is_not_trained_twice(tmp_path):
    run = tmp_path / "run"
    first = start(run)
    wait_for_rows(run, 1, first)
    first.send_signal(signal.SIGSTOP)
    try:
        code, output = finish(start(run))
        assert code == 2 and "another process" in output
    finally:
        first.kill()
        first.communicate()
