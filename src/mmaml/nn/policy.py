"""Policies whose hidden layers can be modulated."""

from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.modulation import Modulation, modulate
from mmaml.core.network import AbstractNetwork
from mmaml.nn.distribution import Categorical, Gaussian
from mmaml.nn.linear import linear


class AbstractPolicy(AbstractNetwork):
    """Affine → modulation → tanh for each hidden layer, then an affine head.

    Takes one observation. Weights are Glorot-uniform, biases zero.
    """

    hidden: eqx.AbstractVar[tuple[eqx.nn.Linear, ...]]
    head: eqx.AbstractVar[eqx.nn.Linear]

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return tuple(layer.out_features for layer in self.hidden)  # pyright: ignore[reportReturnType]

    def _output(self, x: Float[Array, " observation"], modulation: Modulation | None) -> Float[Array, " action"]:
        """What the head makes of one observation."""
        for i, layer in enumerate(self.hidden):
            x = jnp.tanh(modulate(layer(x), modulation, i))
        return self.head(x)


class GaussianPolicy(AbstractPolicy):
    """The head says the mean action; the deviation is the same everywhere, one at first."""

    hidden: tuple[eqx.nn.Linear, ...]
    head: eqx.nn.Linear
    log_std: Float[Array, "*modes action"]

    def __init__(self, observation_size: int, action_size: int, hidden_sizes: Sequence[int], *, key: PRNGKeyArray):
        self.hidden, self.head = _layers([observation_size, *hidden_sizes, action_size], key)
        self.log_std = jnp.zeros(action_size)

    def __call__(self, x: Float[Array, " observation"], modulation: Modulation | None) -> Gaussian:
        """The distribution of actions after one observation."""
        return Gaussian(self._output(x, modulation), self.log_std)


class CategoricalPolicy(AbstractPolicy):
    """The head says a logit for each of a few choices."""

    hidden: tuple[eqx.nn.Linear, ...]
    head: eqx.nn.Linear

    def __init__(self, observation_size: int, choices: int, hidden_sizes: Sequence[int], *, key: PRNGKeyArray):
        self.hidden, self.head = _layers([observation_size, *hidden_sizes, choices], key)

    def __call__(self, x: Float[Array, " observation"], modulation: Modulation | None) -> Categorical:
        """The distribution of choices after one observation."""
        return Categorical(self._output(x, modulation))


def _layers(sizes: Sequence[int], key: PRNGKeyArray) -> tuple[tuple[eqx.nn.Linear, ...], eqx.nn.Linear]:
    keys = jr.split(key, len(sizes) - 1)
    *hidden, head = [linear(n, m, key=k) for (n, m), k in zip(pairwise(sizes), keys, strict=True)]
    return tuple(hidden), head
