"""Seconds and memory of a meta-iteration of few-shot image classification: mmaml beside PyTorch, all in one run.

    python benchmarks/images.py --peers-python .bench-venv/bin/python --out results/images_speed.json

5-way 1-shot tasks of random images with MMAML-FiLM, as the paper has them; 5-shot for memory; and plain MAML with the
convolution written in three ways. The peers (`peers_torch_images.py`, which see) live in an environment of their own
as for `speed.py`. Every measurement is a process of its own, so that peak memory is its own too. For mmaml it is two:
the first compiles and counts the arithmetic, the second measures and finds all compiled, as in any run but the first.
Beside the arithmetic of a second stands what the machine does of it in one large matrix product, the most it can do.
"""

import dataclasses
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from speed import json_of, write_record


if TYPE_CHECKING:
    from jax import Array

    from mmaml.classification.config import ClassificationConfig
    from mmaml.classification.tasks import ImageTasks
    from mmaml.nn.conv import Conv3x3


COLOURS, CLASSES, IMAGES = 3, 64, 20
SMALL = 28
PER_PROCESS = ("side", "learner", "convolution", "precision", "shot", "tasks", "devices", "iterations")


@dataclass(frozen=True)
class Options:
    """What to measure."""

    peers_python: Path | None = None
    """Python of the environment with PyTorch; without it only mmaml is measured."""
    out: Path | None = None
    """JSON file for the figures."""
    sides: tuple[int, ...] = (28, 84)
    """Sides of the images in pixels. The first also compares the convolutions, the last measures 5-shot."""
    tasks: int = 10
    """Tasks of a meta-iteration."""
    channels: tuple[int, ...] = (32, 64, 128, 256)
    """Channels of the blocks."""
    side: int | None = None
    """Measure mmaml at this side in this process and print one JSON line."""
    learner: Literal["mmaml", "maml"] = "mmaml"
    """What learns, with `side`."""
    convolution: Literal["mmaml", "library", "patches"] = "mmaml"
    """How the convolution is written, with `side`: as in mmaml, by `conv_general_dilated`, or of its patches."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What is rounded to inside convolutions, with `side`."""
    shot: int = 1
    """Labelled images of each class, with `side`."""
    devices: int = 0
    """XLA devices, with `side`; 0: one for each core."""
    dispatches: int = 3
    """How often to measure, with `side`; 0: compile only."""
    iterations: int = 2
    """Meta-iterations of a dispatch, with `side`."""


LAYOUT = ("CHWN", "HWIO", "CHWN")


def library(self: "Conv3x3", x: "Array") -> "Array":
    """`Conv3x3` by the library's convolution."""
    import jax

    kernel = self.weight.reshape(3, 3, x.shape[0], -1)
    return jax.lax.conv_general_dilated(x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=LAYOUT)


def patches(self: "Conv3x3", x: "Array") -> "Array":
    """`Conv3x3` by the library's patches and a matrix product."""
    import jax

    y = jax.lax.conv_general_dilated_patches(x, (3, 3), (2, 2), ((1, 1), (1, 1)), dimension_numbers=LAYOUT)
    # Patches have the input's channels outermost, the layer's weights innermost.
    weight = self.weight.reshape(9, x.shape[0], -1).swapaxes(0, 1).reshape(self.weight.shape)
    return (weight.T @ y.reshape(len(weight), -1)).reshape(-1, *y.shape[1:])


def measure(options: Options) -> dict[str, Any]:
    """Time mmaml's meta-iterations in this process: the best of some dispatches."""
    from mmaml.runs.devices import peak_memory, prepare_jax

    prepare_jax(options.devices or None)
    import equinox as eqx
    import jax
    import jax.random as jr
    import numpy as np

    from mmaml.classification.config import ClassificationConfig
    from mmaml.classification.learner import make_learner
    from mmaml.classification.loss import cross_entropy
    from mmaml.nn.conv import Conv3x3
    from mmaml.supervised.build import make_trainer

    if options.convolution != "mmaml":
        Conv3x3.without_bias = {"library": library, "patches": patches}[options.convolution]
    config = ClassificationConfig(
        learner=options.learner,
        shot=options.shot,
        meta_batch=options.tasks,
        channels=options.channels,
        precision=options.precision,
        meta_optimiser="adam",  # as the peers
        meta_lr=1e-3,
    )
    side = options.side or config.side
    source = random_images(config, side)
    learner = make_learner(config, channels=COLOURS, modes=source.modes, key=jr.key(0))
    trainer = make_trainer(config, source, learner, cross_entropy, tasks_per_step=options.tasks, key=jr.key(1))
    state = trainer.initial_state()
    began = time.perf_counter()
    jax.block_until_ready(trainer.run(state, 0, options.iterations))
    row = {"side": side, "shot": options.shot, "devices": len(jax.devices())}
    if not options.dispatches:
        row |= {"compile_seconds": time.perf_counter() - began, "compile_peak_rss_mb": peak_memory() / 2**20}
        return row | {"gflop_per_iteration": options.tasks * gflop_of_a_task(trainer), "gflops_most": gflops_most()}
    seconds, losses = [], np.zeros(0)
    for _ in range(options.dispatches):
        began = time.perf_counter()
        _, history = jax.block_until_ready(trainer.run(state, options.iterations, options.iterations))
        seconds.append((time.perf_counter() - began) / options.iterations)
        losses = history["loss"]
    peak = peak_memory() / 2**20
    draw, drawing = eqx.filter_jit(lambda source, key: source.sample(key, options.tasks)), []
    for _ in range(11):
        began = time.perf_counter()
        jax.block_until_ready(draw(trainer.source, jr.key(2)))
        drawing.append(time.perf_counter() - began)
    return row | {
        "seconds_per_iteration": min(seconds),
        "iterations_per_second": 1 / min(seconds),
        "peak_rss_mb": peak,
        "drawing_seconds": min(drawing),
        "drawing_share": min(drawing) / min(seconds),
        "losses": losses.tolist(),
    }


def random_images(config: "ClassificationConfig", side: int) -> "ImageTasks":
    """Tasks of random images."""
    import numpy as np

    from mmaml.classification.tasks import ImageTasks

    images = np.random.default_rng(0).integers(256, size=(CLASSES * IMAGES, side, side, COLOURS), dtype=np.uint8)
    counts = np.full(CLASSES, IMAGES)
    return ImageTasks(images, counts, way=config.way, shot=config.shot, queries=config.queries, name="random")


def gflop_of_a_task(trainer: Any) -> float:
    """Operations in the outer gradient of one task, as XLA counts them, in billions."""
    import equinox as eqx
    import jax
    import jax.random as jr

    task = jax.tree.map(lambda leaf: leaf[0], trainer.source.sample(jr.key(0), 1))
    parameters, rest = eqx.partition(trainer.learner, eqx.is_inexact_array)

    def outer_loss(parameters: Any) -> "Array":
        *_, adapted = eqx.combine(parameters, rest).adapt(task.support, task.mode, trainer.loss)
        return trainer.loss(adapted(task.query.inputs), task.query.targets)

    counted = jax.jit(jax.grad(outer_loss)).lower(parameters).cost_analysis()
    assert counted is not None  # as on CPUs
    return counted["flops"] / 1e9


def gflops_most(size: int = 2048) -> float:
    """Billions of operations a second in a product of two large matrices: the best of some."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.ones((size, size))
    multiply = jax.jit(jnp.matmul)
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        jax.block_until_ready(multiply(matrix, matrix))
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds) / 1e9


def ours(options: Options) -> dict[str, Any]:
    """Compile in a new process, measure in another."""
    row = {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MMAML_CACHE"] = cache
        for dispatches in (0, options.dispatches):
            arguments = [f"--{name}={getattr(options, name)}" for name in PER_PROCESS]
            arguments += [f"--dispatches={dispatches}", "--channels", *map(str, options.channels)]
            row |= json_of([sys.executable, __file__, *arguments])
    return row | {"gflops": row["gflop_per_iteration"] / row["seconds_per_iteration"]}


def peer(options: Options, engine: str, side: int, chunk: int, *more: str) -> dict[str, Any]:
    """Measure a PyTorch engine."""
    program = Path(__file__).with_name("peers_torch_images.py")
    numbers = {"side": side, "tasks": options.tasks, "chunk": chunk, "iterations": 2 if side > SMALL else 5}
    arguments = [f"--{name}={value}" for name, value in numbers.items()]
    command = [str(options.peers_python), str(program), "--engine", engine, *more, *arguments, "--channels"]
    return json_of([*command, *map(str, options.channels)])


def show(rows: dict[str, dict[str, Any]]) -> None:
    slowest = max(row["seconds_per_iteration"] for row in rows.values())
    for name, row in rows.items():
        seconds = row["seconds_per_iteration"]
        cells = [f"{name:48} {seconds:8.3f} s", f"{slowest / seconds:5.1f}×" if len(rows) > 1 else " " * 6]
        cells += [f"{row['peak_rss_mb']:6.0f} MiB"]
        if "gflops" in row:
            cells += [f"drawing {row['drawing_share']:.1%}", f"{row['gflops']:.0f} of {row['gflops_most']:.0f} GFLOP/s"]
        print(*cells, sep="  ", flush=True)


def main(options: Options) -> None:
    """Measure everything asked for, print tables, write the JSON."""
    if options.side is not None:
        print(json.dumps(measure(options)))
        return
    rows = {}
    for side in options.sides:
        here = dataclasses.replace(options, side=side)
        if side > SMALL:
            here = dataclasses.replace(here, dispatches=2, iterations=1)
        group = {}
        for precision in ("float32", "bfloat16"):
            rounded = dataclasses.replace(here, precision=precision)
            group[f"{side} pixels, mmaml, {precision}"] = ours(rounded)
            group[f"{side} pixels, mmaml, {precision}, one device"] = ours(dataclasses.replace(rounded, devices=1))
        if options.peers_python is not None:
            for rounding, more in (("float32", ()), ("bfloat16", ("--autocast",))):
                group[f"{side} pixels, PyTorch, one task at a time, {rounding}"] = peer(options, "loop", side, 1, *more)
                for chunk in sorted({options.tasks, 2} if side > SMALL else {options.tasks}):
                    row = peer(options, "vmap", side, chunk, *more)
                    group[f"{side} pixels, PyTorch, vmap of {chunk} tasks, {rounding}"] = row
        show(group)
        rows |= group
    small, large = (dataclasses.replace(options, side=side) for side in (options.sides[0], options.sides[-1]))
    group = {
        f"{small.side} pixels, MAML, one device, {way}": ours(
            dataclasses.replace(small, learner="maml", devices=1, convolution=way)
        )
        for way in ("mmaml", "library", "patches")
    }
    show(group)
    rows |= group
    group = {
        f"{large.side} pixels, mmaml, 5-shot": ours(dataclasses.replace(large, shot=5, dispatches=1, iterations=1))
    }
    show(group)
    rows |= group
    write_record(options.out, {"rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Options))
