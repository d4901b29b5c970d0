"""A policy whose hidden layers can be modulated, and the distribution it says."""

from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.modulation import Modulation
from mmaml.core.network import AbstractNetwork


class Gaussian(eqx.Module):
    """Normal distribution of independent coordinates, the last axis."""

    mean: Float[Array, "*batch size"]
    log_std: Float[Array, "*batch size"]

    def log_prob(self, x: Float[Array, "*batch size"]) -> Float[Array, "*batch"]:
        """Logarithm of the density at `x`."""
        z = (x - self.mean) * jnp.exp(-self.log_std)
        return -jnp.sum(0.5 * z**2 + self.log_std + 0.5 * jnp.log(2 * jnp.pi), axis=-1)

    def divergence(self, other: "Gaussian") -> Float[Array, "*batch"]:
        """KL(self ‖ other)."""
        ratio = jnp.exp(2 * (self.log_std - other.log_std))
        z = (self.mean - other.mean) * jnp.exp(-other.log_std)
        return jnp.sum(other.log_std - self.log_std + 0.5 * (ratio + z**2 - 1), axis=-1)


class GaussianPolicy(AbstractNetwork):
    """Affine → modulation → tanh for each hidden layer, then the mean action; the deviation is the same everywhere.

    Takes one observation. Weights are Glorot-uniform, biases zero, deviations one.
    """

    hidden: tuple[eqx.nn.Linear, ...]
    head: eqx.nn.Linear
    log_std: Float[Array, "*modes action"]

    def __init__(self, observation_size: int, action_size: int, hidden_sizes: Sequence[int], *, key: PRNGKeyArray):
        sizes = [observation_size, *hidden_sizes, action_size]
        keys = jr.split(key, len(sizes) - 1)
        *hidden, head = [glorot(n, m, key=k) for (n, m), k in zip(pairwise(sizes), keys, strict=True)]
        self.hidden = tuple(hidden)
        self.head = head
        self.log_std = jnp.zeros(action_size)

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return tuple(layer.out_features for layer in self.hidden)  # pyright: ignore[reportReturnType]

    def __call__(self, x: Float[Array, " observation"], modulation: Modulation | None) -> Gaussian:
        """The distribution of actions after one observation."""
        h = x
        for layer, modulate in zip(self.hidden, modulation or [None] * len(self.hidden), strict=True):
            h = layer(h)
            h = jnp.tanh(h if modulate is None else modulate(h))
        return Gaussian(self.head(h), self.log_std)


def glorot(in_size: int, out_size: int, *, key: PRNGKeyArray) -> eqx.nn.Linear:
    """An affine layer with Glorot-uniform weights and zero biases."""
    layer = eqx.nn.Linear(in_size, out_size, key=key)
    weight = jax.nn.initializers.glorot_uniform(in_axis=1, out_axis=0)(key, (out_size, in_size))
    return eqx.tree_at(lambda linear: (linear.weight, linear.bias), layer, (weight, jnp.zeros(out_size)))
