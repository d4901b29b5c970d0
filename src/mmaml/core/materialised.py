"""The materialised engine: every task gets its own copy of the adapted parameters. It works for any network."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from mmaml.core.fast_linear import FastLinear, materialise
from mmaml.core.inner import InnerLoop, Loss
from mmaml.core.network import TaskModel
from mmaml.core.rates import Step, adaptable, descend, is_layer
from mmaml.core.task import Samples


def materialised(inner: InnerLoop, model: TaskModel, support: Samples, loss: Loss, steps: int) -> Iterator[TaskModel]:
    """Yield the task's model after 0, 1, …, `steps` gradient steps."""
    yield model
    for step in range(steps):
        model = gradient_step(inner, model, support, loss, step)
        yield model


def gradient_step(inner: InnerLoop, model: TaskModel, support: Samples, loss: Loss, step: Step) -> TaskModel:
    """The model after step number `step` (from 0), by the materialised engine."""
    model = formed(model)
    fast, slow = eqx.partition(model.network, adaptable(model.network, inner.adapts))

    def with_fast(fast: PyTree) -> TaskModel:
        return TaskModel(eqx.combine(fast, slow), model.modulation, model.embedding)

    gradient = jax.grad(lambda fast: loss(with_fast(fast)(support.inputs), support.targets))(fast)
    if inner.first_order:
        gradient = jax.lax.stop_gradient(gradient)
    if (bound := inner.clip_value) is not None:
        gradient = jax.tree.map(lambda g: jnp.clip(g, -bound, bound), gradient)
    shrink = inner.shrink(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
    gradient = jax.tree.map(lambda g: shrink * g, gradient)
    return with_fast(jax.tree.map(descend, inner.rates_at(step, model.network), fast, gradient))


def formed(model: TaskModel) -> TaskModel:
    """The same model with all its weights in `eqx.nn.Linear` layers again, whatever engine adapted it."""

    def form(node: PyTree) -> PyTree:
        return materialise(node) if isinstance(node, FastLinear) else node

    network = jax.tree.map(form, model.network, is_leaf=is_layer)
    return TaskModel(network, model.modulation, model.embedding)
