"""Bring your own network: a small residual network, modulated and meta-trained on turned digits.

    python examples/residual_network.py

A network says how wide its blocks are and passes each block through its modulation; this one looks at its images
together. Everything else (inner loop, learners, meta-training) works with it as it is.
"""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.random as jr
import optax
import tyro
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml import (
    MMAML,
    AbstractNetwork,
    InnerLoop,
    MetaTrainer,
    Mixture,
    Modulation,
    Modulator,
    evaluate_tasks,
    modulate,
)
from mmaml.classification.datasets.catalogue import find
from mmaml.classification.datasets.known import DIGITS
from mmaml.classification.loss import accuracy, cross_entropy
from mmaml.classification.tasks import ImageTasks
from mmaml.nn.conv import Conv3x3
from mmaml.nn.convnet import ConvEncoder, Statistics, as_maps


class ResidualNet(AbstractNetwork):
    """Convolution, then blocks x + relu(film(norm(W x))) over channels, mean over positions, linear head."""

    stem: Conv3x3
    blocks: tuple[eqx.nn.Linear, ...]
    head: eqx.nn.Linear

    def __init__(self, classes: int, width: int = 32, depth: int = 3, *, key: PRNGKeyArray):
        stem_key, head_key, *keys = jr.split(key, depth + 2)
        self.stem = Conv3x3(1, width, key=stem_key)
        self.blocks = tuple(eqx.nn.Linear(width, width, key=k) for k in keys)
        self.head = eqx.nn.Linear(width, classes, key=head_key)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each block that can be modulated."""
        return tuple(block.weight.shape[0] for block in self.blocks)

    def __call__(self, x: Float[Array, "height width 1"], modulation: Modulation | None) -> Float[Array, " classes"]:
        """Logits for one image, a set of its own."""
        return self.outputs(x[None], modulation)[0]

    def outputs(
        self, inputs: Float[Array, "images height width 1"], modulation: Modulation | None
    ) -> Float[Array, "images classes"]:
        """Logits for a set of images, normalised by its own statistics."""
        h = self.stem(as_maps(inputs))
        for i, block in enumerate(self.blocks):
            update = jax.vmap(block, 1, 1)(h.reshape(len(h), -1)).reshape(h.shape)
            update = Statistics.of(update).normalise(update)
            h = h + jax.nn.relu(modulate(update, modulation, i))
        return jax.vmap(self.head)(h.mean((1, 2)).T)


@dataclass(frozen=True)
class Options:
    """How long to train, and on what."""

    meta_iterations: int = 300
    """Meta-iterations; half a minute on two cores."""
    way: int = 5
    """Classes of a task."""


def source(split: str, way: int) -> Mixture:
    """Episodes of digits, bright on dark and dark on bright."""
    parts = []
    for name in DIGITS:
        images = find(name).of_split(split, side=8, channels=1)  # pyright: ignore[reportArgumentType]
        parts.append(ImageTasks(images.images, images.counts, way=way, shot=1, queries=5, name=name))
    return Mixture(tuple(parts), DIGITS)


def main(options: Options) -> float:
    """Meta-train, then return the accuracy on digits that were not seen."""
    network_key, encoder_key, heads_key, task_key = jr.split(jr.key(0), 4)
    network = ResidualNet(options.way, key=network_key)
    encoder = ConvEncoder(1, (16, 32), 32, key=encoder_key)
    modulator = Modulator(encoder, network.widths, key=heads_key)
    learner = MMAML(prior=network, modulator=modulator, inner=InnerLoop(0.1, steps=3))
    trainer = MetaTrainer(
        source=source("train", options.way),
        learner=learner,
        loss=cross_entropy,
        optimiser=optax.adam(3e-3),
        tasks_per_step=8,
        key=task_key,
    )
    state = trainer.initial_state()
    while (done := int(state.step)) < options.meta_iterations:
        count = min(50, options.meta_iterations - done)
        state, history = trainer.run(state, count, 50)
        print(f"{int(state.step):5}  loss {float(history['loss'][:count].mean()):.3f}")
    tasks = source("test", options.way).sample(jr.key(1), 200)
    values = evaluate_tasks(trainer.learner_at(state), tasks, cross_entropy, accuracy)
    for step, value in enumerate(values.mean(0)):
        print(f"accuracy after {step} gradient steps: {value:.1%}")
    return float(values[:, -1].mean())


if __name__ == "__main__":
    main(tyro.cli(Options))
