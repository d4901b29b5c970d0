"""The dual engine: the adapted weights of linear layers are never formed.

After s plain gradient steps a layer computes `W x + b + Σ_j (H_j·x + 1) Δ_j`, where the rows H_j are its inputs on the
support set at each step so far and Δ_j the loss gradients at its outputs, times −α. With few support points that is far
less work, and W x stays one matrix product for all tasks together.
"""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from mmaml.core.fast_linear import (
    Factors,
    FastLinear,
    Tapped,
    empty_factors,
    extend,
    factored_square_norm,
    fasten,
    pays,
)
from mmaml.core.inner import InnerLoop, Loss
from mmaml.core.modulation import Modulation
from mmaml.core.network import TaskModel
from mmaml.core.rates import adaptable, descend, is_layer
from mmaml.core.task import Samples


def dual(inner: InnerLoop, model: TaskModel, support: Samples, loss: Loss, steps: int) -> Iterator[TaskModel]:
    """Yield the task's model after 0, 1, …, `steps` gradient steps."""
    points = jax.tree.leaves(support.inputs)[0].shape[0]

    def start(node: PyTree, adapted: bool) -> PyTree:
        paying = adapted and isinstance(node, eqx.nn.Linear) and pays(node, points * steps)
        return fasten(node) if paying else node

    def slot(node: PyTree, adapted: bool) -> PyTree:
        """Zeros whose gradient says how `node` has to change."""
        if not adapted:
            return None
        return empty_factors(node, points) if isinstance(node, FastLinear) else jax.tree.map(jnp.zeros_like, node)

    mask = adaptable(model.network, inner.adapts)
    network = jax.tree.map(start, model.network, mask, is_leaf=is_layer)
    slots = jax.tree.map(slot, network, mask, is_leaf=is_layer)

    yield model
    for step in range(steps):
        rates = inner.rates_at(step, model.network)
        network = _step(inner, network, slots, rates, model.modulation, support, loss)
        yield TaskModel(network, model.modulation, model.embedding)


def _step(
    inner: InnerLoop,
    network: PyTree,
    slots: PyTree,
    rates: PyTree,
    modulation: Modulation | None,
    support: Samples,
    loss: Loss,
) -> PyTree:
    """The network after one more step, found from the gradient in the zeros of `slots`."""
    slot_axes = jax.tree.map(lambda s: 0 if isinstance(s, Factors) else None, slots, is_leaf=_is_factors)

    def attach(node: PyTree, slot: PyTree) -> PyTree:
        if slot is None:
            return node
        return Tapped(node, slot) if isinstance(node, FastLinear) else jax.tree.map(jnp.add, node, slot)

    def output(x: PyTree, slots: PyTree) -> PyTree:
        return jax.tree.map(attach, network, slots, is_leaf=is_layer)(x, modulation)

    def support_loss(slots: PyTree) -> Float[Array, ""]:
        batched = jax.vmap(output, in_axes=(0, slot_axes), axis_name="examples")
        return loss(batched(support.inputs, slots), support.targets)

    gradient = jax.grad(support_loss)(slots)
    if inner.first_order:
        gradient = jax.lax.stop_gradient(gradient)

    def square_norm(node: PyTree, gradient: PyTree) -> PyTree:
        if isinstance(node, FastLinear):
            return factored_square_norm(gradient, node.slow.use_bias)
        return [jnp.sum(g * g) for g in jax.tree.leaves(gradient)]

    squares = jax.tree.map(square_norm, network, gradient, is_leaf=is_layer)
    shrink = inner.shrink(jax.tree.leaves(squares))

    def change(node: PyTree, rate: PyTree, gradient: PyTree) -> PyTree:
        if isinstance(node, FastLinear):
            return extend(node, gradient, rate * shrink)
        if gradient is None:
            return node
        return descend(rate * shrink, node, gradient)

    return jax.tree.map(change, network, rates, gradient, is_leaf=is_layer)


def _is_factors(node: PyTree) -> bool:
    return isinstance(node, Factors)
