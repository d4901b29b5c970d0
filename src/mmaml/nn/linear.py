"""Linear layers with weights drawn as a network wants them."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


Initialiser = Callable[[PRNGKeyArray, tuple[int, int]], Float[Array, "out in"]]
"""Draws the weights of a layer from a key and their shape."""

HE: Initialiser = jax.nn.initializers.he_normal(in_axis=1, out_axis=0)
GLOROT: Initialiser = jax.nn.initializers.glorot_uniform(in_axis=1, out_axis=0)


def linear(in_size: int, out_size: int, initialise: Initialiser = GLOROT, *, key: PRNGKeyArray) -> eqx.nn.Linear:
    """An affine layer with weights from `initialise(key, (out_size, in_size))` and zero biases."""
    layer = eqx.nn.Linear(in_size, out_size, key=key)
    weight, bias = initialise(key, (out_size, in_size)), jnp.zeros(out_size)
    return eqx.tree_at(lambda linear: (linear.weight, linear.bias), layer, (weight, bias))
