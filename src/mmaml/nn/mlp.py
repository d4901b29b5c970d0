"""Multi-layer perceptron whose hidden layers can be modulated."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.modulation import Modulation, modulate
from mmaml.core.network import AbstractNetwork, MetaOnly
from mmaml.nn.linear import HE, Initialiser, linear


class MLP(AbstractNetwork):
    """Affine → modulation → ReLU for each hidden layer, then an affine head.

    `context` is a learned vector joined to every input (the "bias transformation" of MAML's reference code); a
    `MetaOnly` context stays as it is in the inner loop.
    """

    hidden: tuple[eqx.nn.Linear, ...]
    head: eqx.nn.Linear
    context: Float[Array, "*modes context"] | MetaOnly | None

    linear_once: ClassVar[bool] = True

    def __init__(
        self,
        in_size: int,
        out_size: int,
        hidden_sizes: Sequence[int],
        *,
        initialise: Initialiser = HE,
        context: Float[Array, " context"] | MetaOnly | None = None,
        key: PRNGKeyArray,
    ):
        """Weights are drawn by `initialise(key, (out, in))`, by He's rule if not told, biases are zero."""
        context_size = 0 if context is None else jax.tree.leaves(context)[0].size
        sizes = [in_size + context_size, *hidden_sizes, out_size]
        keys = jr.split(key, len(sizes) - 1)
        *hidden, head = [linear(n, m, initialise, key=k) for (n, m), k in zip(pairwise(sizes), keys, strict=True)]
        self.hidden = tuple(hidden)
        self.head = head
        self.context = context

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return tuple(layer.out_features for layer in self.hidden)  # pyright: ignore[reportReturnType]

    def __call__(self, x: Float[Array, " in"], modulation: Modulation | None) -> Float[Array, " out"]:
        """Output for one input vector."""
        context = self.context.value if isinstance(self.context, MetaOnly) else self.context
        h = x if context is None else jnp.concatenate([x, context])
        for i, layer in enumerate(self.hidden):
            h = jax.nn.relu(modulate(layer(h), modulation, i))
        return self.head(h)
