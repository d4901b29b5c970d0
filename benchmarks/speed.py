"""Meta-iterations a second on `regression-5`: our engines beside PyTorch peers, all in one run.

    python benchmarks/speed.py --peers-python .bench-venv/bin/python --out results/speed.json

The peers (`peers_torch.py`, which see) live in an environment of their own: `python -m venv .bench-venv` and
`.bench-venv/bin/pip install -r benchmarks/requirements-peers.txt`. Every measurement is a process of its own, so that
peak memory is its own too.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro


@dataclass(frozen=True)
class Options:
    """What to measure."""

    peers_python: Path | None = None
    """Python of the environment with PyTorch; without it only our engines are measured."""
    out: Path | None = None
    """JSON file for the figures."""
    scaling: bool = False
    """Also vary tasks, shots, steps and width, one at a time."""
    engine: Literal["dual", "materialised"] | None = None
    """Measure this engine in this process and print one JSON line."""
    tasks_per_mode: int = 25
    """Tasks of each of the five modes, with `engine`."""
    shots: int = 5
    """Support points, with `engine`."""
    steps: int = 5
    """Inner steps, with `engine`."""
    width: int = 100
    """Units of the three hidden layers, with `engine`."""
    devices: int = 0
    """XLA devices, with `engine`; 0: one for each core."""


def measure(options: Options) -> dict[str, Any]:
    """Time our meta-iterations in this process: the median of five dispatches of 20."""
    from mmaml.regression.experiment import RegressionExperiment
    from mmaml.regression.presets import PRESETS
    from mmaml.runs.devices import peak_memory, prepare_jax

    prepare_jax(options.devices or None)
    import dataclasses

    import jax

    config = dataclasses.replace(
        PRESETS["regression-5"],
        engine=options.engine,
        tasks_per_mode=options.tasks_per_mode,
        shots=options.shots,
        inner_steps=options.steps,
        hidden=(options.width,) * 3,
    )
    trainer = RegressionExperiment(config).trainer
    began = time.perf_counter()
    state, _ = jax.block_until_ready(trainer.run(trainer.initial_state(), 20, 20))
    first = time.perf_counter() - began
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        state, _ = jax.block_until_ready(trainer.run(state, 20, 20))
        seconds.append((time.perf_counter() - began) / 20)
    return {
        "engine": options.engine,
        "seconds_per_iteration": statistics.median(seconds),
        "iterations_per_second": 1 / statistics.median(seconds),
        "first_dispatch_seconds": first,
        "peak_rss_mb": peak_memory() / 2**20,
        "devices": len(jax.devices()),
    }


def ours(engine: str, **sizes: int) -> dict[str, Any]:
    """Measure one of our engines in a new process."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in sizes.items()]
    return json_of([sys.executable, __file__, "--engine", engine, *arguments])


def json_of(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def write_record(path: Path | None, figures: dict[str, Any]) -> None:
    """Write what was measured in other processes, and how, to a JSON file if one is asked for."""
    if path is None:
        return
    from mmaml.runs.files import write_json
    from mmaml.runs.provenance import provenance

    made = provenance()
    del made["devices"]  # those of this process, which measured nothing
    write_json(path, {"cores": os.cpu_count(), **figures, **made})


def main(options: Options) -> None:
    """Measure everything asked for, print a table, write the JSON."""
    if options.engine is not None:
        print(json.dumps(measure(options)))
        return
    rows = {
        "mmaml, dual engine": ours("dual"),
        "mmaml, dual engine, one device": ours("dual", devices=1),
        "mmaml, materialised engine": ours("materialised"),
    }
    if options.peers_python is not None:
        peers = Path(__file__).with_name("peers_torch.py")
        for name, engine, iterations in (
            ("PyTorch, vmap, compiled", "compile", 20),
            ("PyTorch, vmap", "vmap", 10),
            ("PyTorch, one task at a time", "loop", 3),
        ):
            command = [str(options.peers_python), str(peers), "--engine", engine, "--iterations", str(iterations)]
            rows[name] = json_of([*command, "--warmup", "1"])
    slowest = max(row["seconds_per_iteration"] for row in rows.values())
    for name, row in rows.items():
        seconds = row["seconds_per_iteration"]
        print(f"{name:32} {seconds * 1e3:9.1f} ms  {slowest / seconds:6.1f}×  {row['peak_rss_mb']:7.0f} MiB")
    scaling = {}
    if options.scaling:
        for name, values in {
            "tasks_per_mode": (5, 25, 100),
            "shots": (5, 10, 20),
            "steps": (1, 5, 10),
            "width": (50, 100, 200),
        }.items():
            scaling[name] = {v: ours("dual", **{name: v})["seconds_per_iteration"] for v in values}
            print(name, {v: f"{s * 1e3:.1f} ms" for v, s in scaling[name].items()})
    write_record(options.out, {"rows": rows, "scaling": scaling})


if __name__ == "__main__":
    main(tyro.cli(Options))
