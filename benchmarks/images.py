"""Seconds and memory of a meta-iteration of few-shot image classification: mmaml beside PyTorch, all in one run.

    python benchmarks/images.py --peers-python .bench-venv/bin/python --out results/images_speed.json

5-way 1-shot tasks of random images with MMAML-FiLM, as the paper has them; 5-shot for memory; and plain MAML with the
convolution written in three ways. The peers (`peers_torch_images.py`, which see) live in an environment of their own
as for `speed.py`. Every measurement is a process of its own, so that peak memory is its own too.
"""

import dataclasses
import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro
from speed import _json_of


if TYPE_CHECKING:
    from jax import Array

    from mmaml.nn.conv import Conv3x3


COLOURS, CLASSES, IMAGES = 3, 64, 20


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
    convolution: Literal["slices", "library", "patches"] = "slices"
    """How the convolution is written, with `side`: as in mmaml, `conv_general_dilated`, or its patches."""
    shot: int = 1
    """Labelled images of each class, with `side`."""
    devices: int = 0
    """XLA devices, with `side`; 0: one for each core."""
    dispatches: int = 3
    """How often to measure, with `side`."""
    iterations: int = 2
    """Meta-iterations of a dispatch, with `side`."""


def library(layer: "Conv3x3", x: "Array") -> "Array":
    """`Conv3x3` by the library's convolution."""
    import jax

    kernel = layer.weight.reshape(3, 3, x.shape[-1], -1)
    layout = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x[None], kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=layout)
    return y[0] + layer.bias


def patches(layer: "Conv3x3", x: "Array") -> "Array":
    """`Conv3x3` by the library's patches and a matrix product."""
    import jax

    layout = ("NHWC", "HWIO", "NHWC")
    inputs = jax.lax.conv_general_dilated_patches(x[None], (3, 3), (2, 2), ((1, 1), (1, 1)), dimension_numbers=layout)
    # Patches have the input's channels outermost, the layer's weights innermost.
    weight = layer.weight.reshape(9, x.shape[-1], -1).swapaxes(0, 1).reshape(layer.weight.shape)
    return inputs[0] @ weight + layer.bias


def measure(options: Options) -> dict[str, Any]:
    """Time mmaml's meta-iterations in this process: the best of some dispatches."""
    from mmaml.runs.environment import prepare_jax

    prepare_jax(options.devices or None)
    import equinox as eqx
    import jax
    import jax.random as jr
    import numpy as np
    from jax.sharding import NamedSharding, PartitionSpec

    from mmaml.classification.build import cross_entropy, make_learner
    from mmaml.classification.presets import ClassificationConfig
    from mmaml.classification.tasks import ImageTasks
    from mmaml.core.meta import MetaTrainer
    from mmaml.nn.conv import Conv3x3
    from mmaml.supervised.build import make_optimiser

    # Compiled anew each time, so that what that takes is in every measurement or in none.
    jax.config.update("jax_enable_compilation_cache", False)
    if options.convolution != "slices":
        Conv3x3.__call__ = {"library": library, "patches": patches}[options.convolution]
    config = ClassificationConfig(
        learner=options.learner, shot=options.shot, meta_batch=options.tasks, channels=options.channels
    )
    side = options.side
    images = np.random.default_rng(0).integers(256, size=(CLASSES * IMAGES, side, side, COLOURS), dtype=np.uint8)
    counts = np.full(CLASSES, IMAGES)
    source = ImageTasks(images, counts, way=config.way, shot=config.shot, queries=config.queries, name="random")
    learner = make_learner(config, channels=COLOURS, modes=source.modes, key=jr.key(0))
    trainer = MetaTrainer(
        source=source,
        learner=learner,
        loss=cross_entropy,
        optimiser=make_optimiser(config, learner),
        tasks_per_step=config.meta_batch,
        key=jr.key(1),
        task_microbatch=config.task_microbatch,
    )
    on_devices = eqx.filter_shard(trainer.source, NamedSharding(trainer.mesh, PartitionSpec()))
    trainer = eqx.tree_at(lambda t: t.source, trainer, on_devices)

    def best(call: Any, repetitions: int) -> float:
        seconds = []
        for _ in range(repetitions):
            began = time.perf_counter()
            jax.block_until_ready(call())
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    state = trainer.initial_state()
    compiling = best(lambda: trainer.run(state, 0, options.iterations), 1)
    training = best(lambda: trainer.run(state, options.iterations, options.iterations), options.dispatches)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    draw = eqx.filter_jit(ImageTasks.sample)
    drawing = best(lambda: draw(trainer.source, jr.key(2), config.meta_batch), 10)
    seconds = training / options.iterations
    return {
        "learner": options.learner,
        "convolution": options.convolution,
        "side": side,
        "shot": options.shot,
        "seconds_per_iteration": seconds,
        "iterations_per_second": 1 / seconds,
        "compile_seconds": compiling,
        "drawing_seconds": drawing,
        "drawing_share": drawing / seconds,
        "peak_rss_mb": peak,
        "devices": len(jax.devices()),
    }
