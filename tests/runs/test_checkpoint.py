"""Checkpoints: what reading leaves alone, and what is said when the disk is full."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from mmaml.runs.checkpoint import Checkpoints, newest
from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import jax, jax.numpy as jnp
from mmaml.runs.checkpoint import Checkpoints
from mmaml.runs.errors import UserError

checkpoints = Checkpoints(Path(sys.argv[1]))
checkpoints.save(1, {"w": jnp.zeros(3)}, 0.5)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    checkpoints.save(2, {"w": jax.random.normal(jax.random.key(0), 100_000)}, 1.0)
except UserError as error:
    print(error)
print(checkpoints.latest())
"""


def test_reading_leaves_alone_what_another_process_writes(tmp_path):
    state = {"w": jnp.arange(3.0)}
    with Checkpoints(tmp_path) as writer:
        writer.save(1, state, 2.5)
    (tmp_path / "30.orbax-checkpoint-tmp").mkdir()
    with Checkpoints(tmp_path, read_only=True) as reader:
        assert reader.latest() == 1
        np.testing.assert_array_equal(reader.restore(1, state)["w"], state["w"])
        assert reader.seconds(1) == 2.5
    assert (tmp_path / "30.orbax-checkpoint-tmp").is_dir()


def test_seconds_that_cannot_be_read_are_not_missed(tmp_path):
    state = {"w": jnp.arange(3.0)}
    with Checkpoints(tmp_path) as writer:
        writer.save(1, state, 2.5)
    (tmp_path / "1" / "default" / "_sharding").write_text("{")
    with Checkpoints(tmp_path) as reader:
        np.testing.assert_array_equal(reader.restore(1, state)["w"], state["w"])
        assert reader.seconds(1) is None


def test_reading_where_nothing_is_makes_nothing_and_says_nothing(tmp_path, caplog):
    assert newest(tmp_path / "checkpoints") is None
    assert not caplog.records
    assert not list(tmp_path.iterdir())


def test_where_orbax_would_lose_them_nothing_is_begun(tmp_path):
    for begin in (Checkpoints, lambda path: RunFolder.create(path, "regression", "r", {})):
        with pytest.raises(UserError, match=r"p\[a\]/run, since there is a \[ in its name or that of a folder above"):
            begin(tmp_path / "p[a]" / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a*b?{c}", "ä é", "#%~!'\"", "]"])
def test_odd_names_lose_nothing(tmp_path, name):
    state = {"w": jnp.arange(3.0)}
    with Checkpoints(tmp_path / name) as checkpoints:
        checkpoints.save(1, state, 0.5)
        np.testing.assert_array_equal(checkpoints.restore(1, state)["w"], state["w"])


def test_a_full_disk_is_one_message(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"cannot save the checkpoint of iteration 2 in {tmp_path}: File too large. Older checkpoints are untouched; "
        "free some space, then `mmaml resume`.",
        "1",
    ]


DAMAGED = """
import sys
from pathlib import Path
import jax.numpy as jnp
from mmaml.runs.checkpoint import Checkpoints
from mmaml.runs.errors import UserError

with Checkpoints(Path(sys.argv[1])) as checkpoints:
    try:
        checkpoints.restore(1, {"w": jnp.zeros(1000)})
    except UserError as error:
        print(error)
"""


def test_of_the_only_checkpoint_nobody_is_told_to_delete_it(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"w": jnp.arange(1000.0)}, 0.5)
    for path in (tmp_path / "1").rglob("*"):
        if path.is_file() and path.stat().st_size > 1000:
            path.write_bytes(path.read_bytes()[:100])
    command = [sys.executable, "-c", DAMAGED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert len(line) < 700 and "tensorstore_spec" not in line
    assert line.endswith("Put it back from a copy, or train another run with --out.")
