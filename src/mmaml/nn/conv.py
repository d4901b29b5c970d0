"""Convolutional networks for images `(height, width, channels)`: the task network and the encoder of the paper."""

from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmaml.core.modulation import AbstractEncoder, Modulation, modulate
from mmaml.core.network import AbstractNetwork
from mmaml.core.task import Samples
from mmaml.nn.linear import linear


EPSILON = 1e-5
"""Added to a variance before its root is taken."""


class Conv3x3(eqx.Module):
    """3×3 convolution with stride 2 and padding 1: `(h, w, in)` to `(⌈h/2⌉, ⌈w/2⌉, out)`.

    Written as one matrix product over all the windows of a set of images. With weights of its own for every task and
    second derivatives, that is several times faster on CPUs than the library's convolution (`benchmarks/images.py`).
    It can be differentiated only within a `vmap` over images.
    """

    weight: Float[Array, "nine*in out"]
    bias: Float[Array, " out"]

    def __init__(self, in_channels: int, out_channels: int, *, key: PRNGKeyArray):
        """Weights by Glorot's uniform rule, with the receptive field counted in; biases zero."""
        limit = (6 / (9 * (in_channels + out_channels))) ** 0.5
        self.weight = jr.uniform(key, (9 * in_channels, out_channels), minval=-limit, maxval=limit)
        self.bias = jnp.zeros(out_channels)

    def __call__(self, x: Float[Array, "height width in"]) -> Float[Array, "half_height half_width out"]:
        """The layer's output for one image."""
        return _product(_windows(x), self.weight) + self.bias


def _windows(x: Float[Array, "height width in"]) -> Float[Array, "half_height half_width window"]:
    """The 3×3 pixels around every second one of every second row, zeros beyond the border.

    Even and odd rows and columns are told apart by reshaping: unlike slices with a stride, all parts then are copied
    in long pieces.
    """
    height, width, channels = x.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    padded = jnp.pad(x, ((1, 2 * rows + 1 - height), (1, 2 * columns + 1 - width), (0, 0)))
    pairs = padded.reshape(rows + 1, 2, columns + 1, 2 * channels)

    def in_threes(row: Float[Array, "height pairs pair"]) -> Float[Array, "height half_width three"]:
        return jnp.concatenate([row[:, :-1], row[:, 1:, :channels]], -1)

    even, odd = in_threes(pairs[:, 0]), in_threes(pairs[:, 1])
    return jnp.concatenate([even[:-1], odd[:-1], even[1:]], -1)


@jax.custom_batching.custom_vmap
def _product(windows: Float[Array, "*positions in"], weight: Float[Array, "in out"]) -> Float[Array, "*positions out"]:
    """`windows @ weight`; for a set of images one product of two matrices, so that its derivatives are such too.

    Left to itself `vmap` sums the weights' gradient over two axes, images and positions, and XLA transposes all the
    windows for that, which takes longer than the product.
    """
    return windows @ weight


@_product.def_vmap
def _product_of_set(
    size: int, batched: list[bool], windows: Float[Array, "*positions in"], weight: Float[Array, "*tasks in out"]
) -> tuple[Float[Array, "*products out"], bool]:
    del size
    if batched[1]:
        return jax.vmap(jnp.matmul, [0 if has else None for has in batched])(windows, weight), True
    product = windows.reshape(-1, windows.shape[-1]) @ weight
    return product.reshape(*windows.shape[:-1], -1), True


def _blocks(in_channels: int, channels: Sequence[int], keys: Sequence[PRNGKeyArray]) -> tuple[Conv3x3, ...]:
    """Convolutions one after the other, each with its key."""
    return tuple(Conv3x3(n, m, key=k) for (n, m), k in zip(pairwise([in_channels, *channels]), keys, strict=True))


class Statistics(eqx.Module):
    """Mean and variance of every channel."""

    mean: Float[Array, " channels"]
    variance: Float[Array, " channels"]

    @classmethod
    def of_set(cls, h: Float[Array, "height width channels"]) -> "Statistics":
        """Over all positions of all images of the set that this one belongs to (the axis `"examples"`)."""
        mean = jax.lax.pmean(h.mean((0, 1)), "examples")
        variance = jax.lax.pmean(((h - mean) ** 2).mean((0, 1)), "examples")
        return cls(mean, variance)

    def normalise(self, h: Float[Array, "height width channels"]) -> Float[Array, "height width channels"]:
        """Bring every channel to mean 0 and variance 1."""
        return (h - self.mean) * jax.lax.rsqrt(self.variance + EPSILON)


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
        key: PRNGKeyArray,
    ):
        head_key, *keys = jr.split(key, len(channels) + 1)
        self.blocks = _blocks(in_channels, channels, keys)
        self.head = linear(channels[-1], classes, key=head_key)
        self.support_statistics = support_statistics
        self.settled = None

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each block."""
        return tuple(block.bias.shape[0] for block in self.blocks)

    def __call__(self, x: Float[Array, "height width in"], modulation: Modulation | None) -> Float[Array, " classes"]:
        """Logits for one image, values in [0, 1]; its set is the axis `"examples"`."""
        features, _ = self._features(x, modulation)
        return self.head(features)

    def settle(self, support: Float[Array, "examples height width in"], modulation: Modulation | None) -> "ConvNet":
        """The network with the statistics of a support set, if it is to use those."""
        if not self.support_statistics:
            return self
        _, statistics = jax.vmap(self._features, (0, None), (0, None), axis_name="examples")(support, modulation)
        return eqx.tree_at(lambda n: n.settled, self, statistics, is_leaf=lambda leaf: leaf is None)

    def unsettle(self) -> "ConvNet":
        """The network that takes statistics over the set it looks at."""
        return eqx.tree_at(lambda n: n.settled, self, None, is_leaf=lambda leaf: leaf is None)

    def _features(
        self, x: Float[Array, "height width in"], modulation: Modulation | None
    ) -> tuple[Float[Array, " channels"], tuple[Statistics, ...]]:
        used = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            used.append(self.settled[i] if self.settled else Statistics.of_set(x))
            x = jax.nn.relu(modulate(used[-1].normalise(x), modulation, i))
        return x.mean((0, 1)), tuple(used)


class AffineNorm(eqx.Module):
    """Normalisation over the set, then a learned scale and shift of every channel."""

    scale: Float[Array, " channels"]
    shift: Float[Array, " channels"]

    def __init__(self, channels: int):
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)

    def __call__(self, h: Float[Array, "height width channels"]) -> Float[Array, "height width channels"]:
        """One image's activations, normalised."""
        return self.scale * Statistics.of_set(h).normalise(h) + self.shift


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
        key: PRNGKeyArray,
    ):
        out_key, *keys = jr.split(key, len(channels) + 1)
        self.blocks = _blocks(in_channels, channels, keys)
        self.norms = tuple(AffineNorm(n) for n in channels)
        self.out = eqx.nn.Linear(channels[-1] + (classes or 0), embedding, key=out_key)
        self.classes = classes

    @property
    def embedding_size(self) -> int:
        """Length of υ."""
        return self.out.out_features  # pyright: ignore[reportReturnType]

    def __call__(self, support: Samples) -> Float[Array, " embedding"]:
        """υ of one support set: images `(examples, height, width, channels)`, labels `(examples,)`."""
        return jax.vmap(self._one, axis_name="examples")(support.inputs, support.targets).mean(0)

    def _one(self, x: Float[Array, "height width in"], label: Int[Array, ""]) -> Float[Array, " embedding"]:
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = jax.nn.relu(norm(block(x)))
        features = x.mean((0, 1))
        if self.classes is not None:
            features = jnp.concatenate([features, jax.nn.one_hot(label, self.classes)])
        return jax.nn.relu(self.out(features))
