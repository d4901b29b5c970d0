"""The task network and the encoder of the paper for images `(height, width, channels)`."""

from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.modulation import AbstractEncoder, FiLM, Gate, Modulation, modulate, scaled
from mmaml.core.network import AbstractNetwork
from mmaml.core.precision import Precision
from mmaml.core.task import Samples
from mmaml.nn.conv import Conv3x3
from mmaml.nn.linear import linear


EPSILON = 1e-5
"""Added to a variance before its root is taken."""


def as_maps(images: Float[Array, "images height width channels"]) -> Float[Array, "channels height width images"]:
    """A set of images in the order that `Conv3x3` takes."""
    return jnp.moveaxis(images, (3, 0), (0, 3))


class Statistics(eqx.Module):
    """Mean and variance of every channel."""

    mean: Float[Array, " channels"]
    variance: Float[Array, " channels"]

    @classmethod
    def of(cls, maps: Float[Array, "channels height width images"]) -> "Statistics":
        """Over all positions of all images of a set."""
        mean = maps.mean((1, 2, 3))
        return cls(mean, jnp.maximum((maps * maps).mean((1, 2, 3)) - mean * mean, 0))

    @property
    def normaliser(self) -> tuple[Float[Array, " channels"], Float[Array, " channels"]]:
        """Scale and shift that bring every channel to mean 0 and variance 1."""
        scale = jax.lax.rsqrt(self.variance + EPSILON)
        return scale, -self.mean * scale

    def normalise(
        self, maps: Float[Array, "channels height width images"]
    ) -> Float[Array, "channels height width images"]:
        """Bring every channel to mean 0 and variance 1."""
        return scaled(maps, *self.normaliser)


def _modulated(
    maps: Float[Array, "channels height width images"],
    statistics: Statistics,
    modulation: Modulation | None,
    block: int,
) -> Float[Array, "channels height width images"]:
    """Feature maps normalised and then modulated, at once where the modulation is a scale and a shift."""
    if modulation and isinstance(operator := modulation[block], FiLM | Gate):
        return scaled(maps, *operator.after(*statistics.normaliser))
    return modulate(statistics.normalise(maps), modulation, block)


def _blocks(
    in_channels: int, channels: Sequence[int], precision: Precision, keys: Sequence[PRNGKeyArray]
) -> tuple[Conv3x3, ...]:
    """Convolutions one after the other, each with its key."""
    sizes = pairwise([in_channels, *channels])
    return tuple(Conv3x3(n, m, precision=precision, key=k) for (n, m), k in zip(sizes, keys, strict=True))


class ConvNet(AbstractNetwork):
    """Strided convolution → normalisation → modulation → ReLU for each block, mean over positions, linear head.

    Normalisation has no parameters. It takes statistics over the set of examples that is looked at: support or query
    (transductive, as in the reference). With `support_statistics` other examples are seen by the support set's.
    """

    blocks: tuple[Conv3x3, ...]
    head: eqx.nn.Linear
    support_statistics: bool = eqx.field(static=True)
    settled: tuple[Statistics, ...] | None

    def __init__(
        self,
        in_channels: int,
        classes: int,
        channels: Sequence[int] = (32, 64, 128, 256),
        *,
        support_statistics: bool = False,
        precision: Precision = "float32",
        key: PRNGKeyArray,
    ):
        head_key, *keys = jr.split(key, len(channels) + 1)
        self.blocks = _blocks(in_channels, channels, precision, keys)
        self.head = linear(channels[-1], classes, key=head_key)
        self.support_statistics = support_statistics
        self.settled = None

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each block."""
        return tuple(block.bias.shape[0] for block in self.blocks)

    def __call__(self, x: Float[Array, "height width in"], modulation: Modulation | None) -> Float[Array, " classes"]:
        """Logits for one image that is a set of its own, values in [0, 1]."""
        return self.outputs(x[None], modulation)[0]

    def outputs(
        self, inputs: Float[Array, "examples height width in"], modulation: Modulation | None
    ) -> Float[Array, "examples classes"]:
        """Logits for a set of images, values in [0, 1]."""
        features, _ = self._features(inputs, modulation)
        return jax.vmap(self.head)(features)

    def settle(self, support: Float[Array, "examples height width in"], modulation: Modulation | None) -> "ConvNet":
        """The network with the statistics of a support set, if it is to use those."""
        if not self.support_statistics:
            return self
        _, statistics = self._features(support, modulation)
        return eqx.tree_at(lambda n: n.settled, self, statistics, is_leaf=lambda leaf: leaf is None)

    def unsettle(self) -> "ConvNet":
        """The network that takes statistics over the set it looks at."""
        return eqx.tree_at(lambda n: n.settled, self, None, is_leaf=lambda leaf: leaf is None)

    def _features(
        self, images: Float[Array, "examples height width in"], modulation: Modulation | None
    ) -> tuple[Float[Array, "examples channels"], tuple[Statistics, ...]]:
        used, maps = [], as_maps(images)
        for i, block in enumerate(self.blocks):
            # What a bias would add, the normalisation would take away.
            maps = block.without_bias(maps)
            used.append(self.settled[i] if self.settled else Statistics.of(maps))
            maps = jax.nn.relu(_modulated(maps, used[-1], modulation, i))
        return maps.mean((1, 2)).T, tuple(used)


class AffineNorm(eqx.Module):
    """Normalisation over the set, then a learned scale and shift of every channel."""

    scale: Float[Array, " channels"]
    shift: Float[Array, " channels"]

    def __init__(self, channels: int):
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)

    def __call__(
        self, maps: Float[Array, "channels height width images"]
    ) -> Float[Array, "channels height width images"]:
        """A set of feature maps, normalised."""
        scale, shift = Statistics.of(maps).normaliser
        return scaled(maps, self.scale * scale, self.scale * shift + self.shift)


class ConvEncoder(AbstractEncoder):
    """υ of a set of labelled images: strided convolutions, mean over positions, linear → ReLU, mean over images.

    With `classes` the label is joined to every image's features; without, as in the reference, labels are not read.
    """

    blocks: tuple[Conv3x3, ...]
    norms: tuple[AffineNorm, ...]
    out: eqx.nn.Linear
    classes: int | None = eqx.field(static=True)

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (32, 64, 128, 256),
        embedding: int = 128,
        *,
        classes: int | None = None,
        precision: Precision = "float32",
        key: PRNGKeyArray,
    ):
        out_key, *keys = jr.split(key, len(channels) + 1)
        self.blocks = _blocks(in_channels, channels, precision, keys)
        self.norms = tuple(AffineNorm(n) for n in channels)
        self.out = eqx.nn.Linear(channels[-1] + (classes or 0), embedding, key=out_key)
        self.classes = classes

    @property
    def embedding_size(self) -> int:
        """Length of υ."""
        return self.out.out_features  # pyright: ignore[reportReturnType]

    def __call__(self, support: Samples) -> Float[Array, " embedding"]:
        """υ of one support set: images `(examples, height, width, channels)`, labels `(examples,)`."""
        maps = as_maps(support.inputs)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            maps = jax.nn.relu(norm(block.without_bias(maps)))
        features = maps.mean((1, 2)).T
        if self.classes is not None:
            features = jnp.concatenate([features, jax.nn.one_hot(support.targets, self.classes)], 1)
        return jax.nn.relu(jax.vmap(self.out)(features)).mean(0)
