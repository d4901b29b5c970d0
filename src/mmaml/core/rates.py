"""What the inner loop changes of a network, and step sizes for it that are meta-learnt."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from mmaml.core.fast_linear import FastLinear
from mmaml.core.network import AbstractNetwork, MetaOnly


Adapts = Literal["all", "head"]

Step = int | Int[Array, ""]
"""Number of a gradient step, from 0; an array in a loop that is compiled once for all steps."""


def is_layer(node: PyTree) -> bool:
    """Whether the inner loop takes what stands here as one piece."""
    return isinstance(node, eqx.nn.Linear | FastLinear | MetaOnly)


def adaptable(network: AbstractNetwork, adapts: Adapts) -> PyTree[bool]:
    """Which layers and lone parameters of `network` the inner loop changes, a prefix of its structure."""

    def mark(node: PyTree) -> bool:
        return not isinstance(node, MetaOnly) and (is_layer(node) or eqx.is_inexact_array(node))

    everything = jax.tree.map(mark, network, is_leaf=is_layer)
    if adapts == "all":
        return everything
    nothing = jax.tree.map(lambda _: False, network, is_leaf=is_layer)
    return eqx.tree_at(lambda n: n.head, nothing, everything.head)


class LearnedRates(eqx.Module):
    """Meta-learnt step sizes α·exp(r), r = 0 at first: positive, and moved by the outer loop on a relative scale.

    `log_ratio` has the network's structure down to its layers. A layer holds one r per step (`per_parameter`
    false; steps beyond the last use the last), or an r for every parameter, the same in every step (Meta-SGD,
    Li et al. 2017, there without the exponential).
    """

    initial: float = eqx.field(static=True)
    log_ratio: PyTree
    per_parameter: bool = eqx.field(static=True)

    def __init__(
        self,
        network: AbstractNetwork,
        initial: float,
        steps: int,
        *,
        per_parameter: bool,
        adapts: Adapts = "all",
    ):
        def zeros(layer: PyTree, adapted: bool) -> PyTree:
            if not adapted:
                return 0.0
            return jax.tree.map(jnp.zeros_like, layer) if per_parameter else jnp.zeros(max(steps, 1))

        self.initial = initial
        self.per_parameter = per_parameter
        self.log_ratio = jax.tree.map(zeros, network, adaptable(network, adapts), is_leaf=is_layer)

    def at(self, step: Step) -> PyTree:
        """The step sizes of step `step`, a prefix of the network's structure."""

        def rate(r: PyTree) -> PyTree:
            r = r if self.per_parameter or not eqx.is_array(r) else r[at_most(step, len(r) - 1)]
            return self.initial * jnp.exp(r)

        return jax.tree.map(rate, self.log_ratio)


def at_most(step: Step, last: int) -> Step:
    """Where among a few rates is that of `step`, if later steps use the last."""
    return min(step, last) if isinstance(step, int) else jnp.minimum(step, last)


def descend(rate: PyTree, parameters: PyTree, gradient: PyTree) -> PyTree:
    """A layer's or lone parameter's numbers after one step of size `rate`: one number, or one for each of them."""
    return jax.tree.map(lambda p, g: p - rate * g, parameters, gradient)
