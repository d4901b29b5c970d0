"""A convolution for sets of images that is fast with weights of its own for every task and second derivatives.

A set of feature maps has the shape `(channels, height, width, images)`. With the images innermost what is copied lies
side by side, and with the channels outermost no large matrix is transposed for any of the products in the derivatives.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.precision import Precision, product


class Conv3x3(eqx.Module):
    """3×3 convolution with stride 2 and padding 1: `(in, h, w, images)` to `(out, ⌈h/2⌉, ⌈w/2⌉, images)`.

    Written as one matrix product over all the windows of a set of images, which on CPUs is several times faster than
    the library's convolution (`benchmarks/images.py`).
    """

    weight: Float[Array, "nine*in out"]
    bias: Float[Array, " out"]
    precision: Precision = eqx.field(static=True)

    def __init__(self, in_channels: int, out_channels: int, *, precision: Precision = "float32", key: PRNGKeyArray):
        """Weights by Glorot's uniform rule, with the receptive field counted in; biases zero."""
        limit = (6 / (9 * (in_channels + out_channels))) ** 0.5
        self.weight = jr.uniform(key, (9 * in_channels, out_channels), minval=-limit, maxval=limit)
        self.bias = jnp.zeros(out_channels)
        self.precision = precision

    def __call__(self, x: Float[Array, "in height width images"]) -> Float[Array, "out half_height half_width images"]:
        """The layer's output for a set of images."""
        return self.without_bias(x) + self.bias[:, None, None, None]

    def without_bias(
        self, x: Float[Array, "in height width images"]
    ) -> Float[Array, "out half_height half_width images"]:
        """The layer's output where nothing is added, for what will be normalised."""
        windows = _windows(x)
        flat = windows.reshape(windows.shape[0], -1)
        y = self.weight.T @ flat if self.precision == "float32" else _outputs(self.weight, flat)
        return y.reshape(-1, *windows.shape[1:])


def _windows(x: Float[Array, "in height width images"]) -> Float[Array, "window half_height half_width images"]:
    """The 3×3 pixels around every second one of every second row, zeros beyond the border.

    Even and odd rows and columns are told apart by reshaping: unlike slices with a stride, all parts then are copied
    in long pieces.
    """
    channels, height, width, images = x.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    padded = jnp.pad(x, ((0, 0), (1, 2 * rows + 1 - height), (1, 2 * columns + 1 - width), (0, 0)))
    pairs = padded.reshape(channels, rows + 1, 2, columns + 1, 2, images)

    def in_threes(row: Float[Array, "in height pairs two images"]) -> Float[Array, "three height half_width images"]:
        return jnp.concatenate([row[:, :, :-1, 0], row[:, :, :-1, 1], row[:, :, 1:, 0]])

    even, odd = in_threes(pairs[:, :, 0]), in_threes(pairs[:, :, 1])
    return jnp.concatenate([even[:, :-1], odd[:, :-1], even[:, 1:]])


# Of w `(in, out)`, x `(in, positions)` and y `(out, positions)` the three products below are what Σ w_io x_ip y_op is
# when derived by y, w and x, so that the derivatives of each product are the two others. Left to derive a product of
# rounded factors itself, JAX would not round the gradient that comes from above.


@jax.custom_vjp
def _outputs(w: Float[Array, "in out"], x: Float[Array, "in positions"]) -> Float[Array, "out positions"]:
    # Transposed by a product: XLA has no fast kernel on CPUs for one that transposes its factor.
    transposed = product(jnp.eye(w.shape[1]), w, "bfloat16", axis=1)
    return product(transposed, x, "bfloat16")


@jax.custom_vjp
def _weights(x: Float[Array, "in positions"], y: Float[Array, "out positions"]) -> Float[Array, "in out"]:
    return product(x, y, "bfloat16", axis=1)


@jax.custom_vjp
def _inputs(w: Float[Array, "in out"], y: Float[Array, "out positions"]) -> Float[Array, "in positions"]:
    return product(w, y, "bfloat16")


_outputs.defvjp(lambda w, x: (_outputs(w, x), (w, x)), lambda at, y: (_weights(at[1], y), _inputs(at[0], y)))
_weights.defvjp(lambda x, y: (_weights(x, y), (x, y)), lambda at, w: (_inputs(w, at[1]), _outputs(w, at[0])))
_inputs.defvjp(lambda w, y: (_inputs(w, y), (w, y)), lambda at, x: (_weights(x, at[1]), _outputs(at[0], x)))
