"""Our Muon beside optax's: seconds for one update of all weights that MMAML for images has, on one core.

python benchmarks/muon.py --out results/muon_speed.json
"""

import argparse
import json
import os
import time
from pathlib import Path


os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax
import jax.random as jr
from optax.contrib import MuonDimensionNumbers
from optax.contrib import muon as of_optax

from mmaml.core.muon import muon
from mmaml.runs.provenance import provenance


LAYERS = [(27, 32), (288, 64), (576, 128), (1152, 256)]
WEIGHTS = [*LAYERS, *LAYERS, (128, 64), (128, 128), (128, 256), (128, 512), (256, 128), (256, 5)]
"""Of the network, of the encoder, of the heads that modulate, and two last layers."""
UPDATES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="where to write the record (JSON)")
    out = parser.parse_args().out
    weights = [jr.normal(jr.fold_in(jr.key(0), n), shape) for n, shape in enumerate(WEIGHTS)]
    axes = [MuonDimensionNumbers(1, 0)] * len(weights)
    everywhere = [True] * len(weights)
    optimisers = {
        "optax": of_optax(1e-3, muon_weight_dimension_numbers=axes, consistent_rms=0.2),
        "mmaml, float32": muon(1e-3, lambda _: everywhere),
        "mmaml, bfloat16": muon(1e-3, lambda _: everywhere, precision="bfloat16"),
    }
    rows = {}
    for name, optimiser in optimisers.items():
        state = optimiser.init(weights)
        began = time.perf_counter()
        update = jax.jit(optimiser.update).lower(weights, state, weights).compile()
        compiled = time.perf_counter()
        steps, state = update(weights, state, weights)
        began, compile_seconds = time.perf_counter(), compiled - began
        for _ in range(UPDATES):
            steps, state = update(weights, state, weights)
        jax.block_until_ready(steps)
        seconds = (time.perf_counter() - began) / UPDATES
        rows[name] = {"seconds": seconds, "compile_seconds": compile_seconds}
        times = rows["optax"]["seconds"] / seconds
        print(f"{name}: {seconds * 1e3:.1f} ms, {times:.1f} times optax's speed; compiled in {compile_seconds:.1f} s")
    if out:
        out.write_text(json.dumps({"weights": WEIGHTS, "rows": rows} | provenance(), indent=2) + "\n")


if __name__ == "__main__":
    main()
