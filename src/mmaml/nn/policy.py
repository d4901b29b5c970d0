"""Policies whose hidden layers can be modulated."""

from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.modulation import Modulation
from mmaml.core.network import AbstractNetwork
from mmaml.nn.distribution import Categorical, Gaussian


class GaussianPolicy(AbstractNetwork):
    """Affine → modulation → tanh for each hidden layer, then the mean action; the deviation is the same everywhere.

    Takes one observation. Weights are Glorot-uniform, biases zero, deviations one.
    """

    hidden: tuple[eqx.nn.Linear, ...]
    head: eqx.nn.Linear
    log_std: Float[Array, "*modes action"]

    def __init__(self, observation_size: int, action_size: int, hidden_sizes: Sequence[int], *, key: PRNGKeyArray):
        self.hidden, self.head = _layers([observation_size, *hidden_sizes, action_size], key)
        self.log_std = jnp.zeros(action_size)

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return _widths(self.hidden)

    def __call__(self, x: Float[Array, " observation"], modulation: Modulation | None) -> Gaussian:
        """The distribution of actions after one observation."""
        return Gaussian(self.head(_features(self.hidden, x, modulation)), self.log_std)


class CategoricalPolicy(AbstractNetwork):
    """As `GaussianPolicy`, for actions that are one of `choices`: their logits instead of a mean and a deviation."""

    hidden: tuple[eqx.nn.Linear, ...]
    head: eqx.nn.Linear

    def __init__(self, observation_size: int, choices: int, hidden_sizes: Sequence[int], *, key: PRNGKeyArray):
        self.hidden, self.head = _layers([observation_size, *hidden_sizes, choices], key)

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return _widths(self.hidden)

    def __call__(self, x: Float[Array, " observation"], modulation: Modulation | None) -> Categorical:
        """The distribution of choices after one observation."""
        return Categorical(self.head(_features(self.hidden, x, modulation)))


def _layers(sizes: Sequence[int], key: PRNGKeyArray) -> tuple[tuple[eqx.nn.Linear, ...], eqx.nn.Linear]:
    keys = jr.split(key, len(sizes) - 1)
    *hidden, head = [glorot(n, m, key=k) for (n, m), k in zip(pairwise(sizes), keys, strict=True)]
    return tuple(hidden), head


def _widths(hidden: Sequence[eqx.nn.Linear]) -> tuple[int, ...]:
    return tuple(layer.out_features for layer in hidden)  # pyright: ignore[reportReturnType]


def _features(hidden: Sequence[eqx.nn.Linear], x: Float[Array, " in"], modulation: Modulation | None) -> Array:
    """What the last hidden layer makes of one observation."""
    for layer, modulate in zip(hidden, modulation or [None] * len(hidden), strict=True):
        x = layer(x)
        x = jnp.tanh(x if modulate is None else modulate(x))
    return x


def glorot(in_size: int, out_size: int, *, key: PRNGKeyArray) -> eqx.nn.Linear:
    """An affine layer with Glorot-uniform weights and zero biases."""
    layer = eqx.nn.Linear(in_size, out_size, key=key)
    weight = jax.nn.initializers.glorot_uniform(in_axis=1, out_axis=0)(key, (out_size, in_size))
    return eqx.tree_at(lambda linear: (linear.weight, linear.bias), layer, (weight, jnp.zeros(out_size)))
