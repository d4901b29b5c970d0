"""The inner loop: θ_{s+1} = θ_s − α ∇_θ L(f(·; θ_s, τ), support) with τ fixed (paper, Algorithm 1).

`adapt` yields the task's model after 0, 1, 2, … steps. Two engines compute the same function:

- `materialised`: every task gets its own copy of the adapted parameters. Works for any network.
- `dual`: the adapted weights of a linear layer are never formed. After s plain gradient steps the layer computes
  `W x + b + Σ_j (H_j·x + 1) Δ_j`, where the rows H_j are its inputs on the support set at each step so far and
  Δ_j the loss gradients at its outputs, times −α. With few support points that is far less work, and W x stays
  one matrix product for all tasks together.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from mmaml.core.dual import (
    Factors,
    FastLinear,
    Tapped,
    empty_factors,
    extend,
    factored_square_norm,
    fasten,
    materialise,
    pays,
)
from mmaml.core.modulation import Modulation
from mmaml.core.network import AbstractNetwork, MetaOnly, TaskModel
from mmaml.core.task import Samples


Loss = Callable[[PyTree, PyTree], Float[Array, ""]]
"""Mean loss over a set of examples: `loss(outputs, targets)`."""

Adapts = Literal["all", "head"]
Engine = Literal["auto", "dual", "materialised"]


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
        self.log_ratio = jax.tree.map(zeros, network, adaptable(network, adapts), is_leaf=_is_layer)

    def at(self, step: int) -> PyTree:
        """The step sizes of step `step`, a prefix of the network's structure."""

        def rate(r: PyTree) -> PyTree:
            r = r if self.per_parameter or not eqx.is_array(r) else r[min(step, len(r) - 1)]
            return self.initial * jnp.exp(r)

        return jax.tree.map(rate, self.log_ratio)


def _fixed(rates: Any) -> Any:
    """An array of rates as a number or a tuple of them, so that the outer loop does not train it."""
    if not isinstance(rates, np.generic | np.ndarray | jax.Array):
        return rates
    numbers = np.asarray(rates, float).tolist()
    return tuple(numbers) if isinstance(numbers, list) else numbers


def whole_steps(steps: Any) -> int:
    """A number of gradient steps as Python has it. Raises `ValueError` for one that is not whole, or less than 0."""
    try:
        count = operator.index(steps)
    except TypeError:
        count = -1
    if count < 0:
        raise ValueError(f"a task is adapted to in {steps!r} gradient steps; it must be 0 or more, a whole number.")
    return count


class InnerLoop(eqx.Module):
    """How a task is learnt from its support examples.

    - `rates`: the step size α, or one for each step (later steps use the last), or learnt ones. Only the last are
      meta-trained: an array becomes a tuple.
    - `steps`: gradient steps in meta-training; 0 learns by modulation alone.
    - `first_order`: the outer gradient takes inner gradients for constants (FOMAML).
    - `clip_norm`: longest allowed inner gradient, over all adapted parameters; longer ones are scaled down. The
      default leaves ordinary steps alone and keeps one exploding task from poisoning a whole run.
    - `clip_value`: bound on each entry of an inner gradient; needs the materialised engine.
    - `adapts`: `"all"` parameters, or the `"head"` alone (ANIL, Raghu et al. 2020).
    - `engine`: `"auto"` takes the dual engine where it applies; there each layer decides whether pairs pay.
      Forward-mode differentiation (`jax.jvp`, `jax.hessian`) needs the materialised one.

    Raises `ValueError` for values that cannot be.
    """

    rates: float | tuple[float | Float[Array, ""], ...] | LearnedRates = eqx.field(converter=_fixed, default=1e-3)
    steps: int = eqx.field(static=True, converter=whole_steps, default=5)
    first_order: bool = eqx.field(static=True, default=False)
    clip_norm: float | None = eqx.field(static=True, default=200.0)
    clip_value: float | None = eqx.field(static=True, default=None)
    adapts: Adapts = eqx.field(static=True, default="all")
    engine: Engine = eqx.field(static=True, default="auto")

    def __check_init__(self) -> None:
        for name, allowed in (("adapts", get_args(Adapts)), ("engine", get_args(Engine))):
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"`{name}` is {value!r}; it must be one of {', '.join(map(repr, allowed))}.")
        for name in ("clip_norm", "clip_value"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ValueError(f"`{name}` is {value!r}; it must be greater than 0, or None for no bound.")
        rates = self.rates if isinstance(self.rates, tuple) else (self.rates,)
        if not rates or any(isinstance(rate, float | int) and not rate >= 0 for rate in rates):
            raise ValueError(
                f"`rates` is {self.rates!r}; it must be 0 or more, or a tuple of at least one such number."
            )

    def rates_at(self, step: int, network: AbstractNetwork) -> PyTree:
        """Step sizes of step `step`, one entry for each layer or lone parameter of `network`."""
        if isinstance(self.rates, LearnedRates):
            return self.rates.at(step)
        rate = self.rates if isinstance(self.rates, float | int) else self.rates[min(step, len(self.rates) - 1)]
        return jax.tree.map(lambda _: rate, network, is_leaf=_is_layer)


def adapt(
    inner: InnerLoop, model: TaskModel, support: Samples, loss: Loss, *, steps: int | None = None
) -> Iterator[TaskModel]:
    """Yield the task's model after 0, 1, …, `steps` gradient steps (default: those of meta-training).

    After steps of the dual engine a layer is no `eqx.nn.Linear` but what computes the same: `formed` has its weights.

    Raises `ValueError` for `steps` that are no whole number or less than 0, or if the dual engine is asked for where it
    does not apply.
    """
    steps = inner.steps if steps is None else whole_steps(steps)
    model = TaskModel(model.network.unsettle(), model.modulation, model.embedding)
    take = _dual if _choose_dual(inner, model.network) else _materialised
    for adapted in take(inner, model, support, loss, steps):
        settled = adapted.network.settle(support.inputs, adapted.modulation)
        yield TaskModel(settled, adapted.modulation, adapted.embedding)


def adaptable(network: AbstractNetwork, adapts: Adapts) -> PyTree[bool]:
    """Which layers and lone parameters of `network` the inner loop changes, a prefix of its structure."""

    def mark(node: PyTree) -> bool:
        return not isinstance(node, MetaOnly) and (_is_layer(node) or eqx.is_inexact_array(node))

    everything = jax.tree.map(mark, network, is_leaf=_is_layer)
    if adapts == "all":
        return everything
    nothing = jax.tree.map(lambda _: False, network, is_leaf=_is_layer)
    return eqx.tree_at(lambda n: n.head, nothing, everything.head)


def _is_layer(node: PyTree) -> bool:
    return isinstance(node, eqx.nn.Linear | FastLinear | MetaOnly)


def _choose_dual(inner: InnerLoop, network: AbstractNetwork) -> bool:
    per_parameter = isinstance(inner.rates, LearnedRates) and inner.rates.per_parameter
    obstacle = (
        (not network.linear_once and "the network does not declare `linear_once`")
        or (inner.clip_value is not None and "`clip_value` needs every entry of the gradient; use `clip_norm`")
        or (per_parameter and "step sizes per parameter need every entry of the gradient; use one per layer")
    )
    if inner.engine == "dual" and obstacle:
        raise ValueError(f"the dual engine cannot be used: {obstacle}, or take engine='auto'")
    return inner.engine == "dual" or (inner.engine == "auto" and not obstacle)


def _shrink(clip_norm: float | None, square_norm: Float[Array, ""]) -> Float[Array, ""]:
    """What to multiply a gradient with so that it is no longer than `clip_norm`."""
    if clip_norm is None:
        return jnp.ones_like(square_norm)
    return clip_norm / jnp.sqrt(jnp.maximum(square_norm, clip_norm**2))


def _descend(rate: PyTree, parameters: PyTree, gradient: PyTree) -> PyTree:
    return jax.tree.map(lambda p, g: p - rate * g, parameters, gradient)


def _total(numbers: Iterable[Array]) -> Float[Array, ""]:
    return jnp.asarray(sum(numbers, start=0.0))


def formed(model: TaskModel) -> TaskModel:
    """The same model with all its weights in `eqx.nn.Linear` layers again, whatever engine adapted it."""

    def form(node: PyTree) -> PyTree:
        return materialise(node) if isinstance(node, FastLinear) else node

    network = jax.tree.map(form, model.network, is_leaf=_is_layer)
    return TaskModel(network, model.modulation, model.embedding)


def gradient_step(inner: InnerLoop, model: TaskModel, support: Samples, loss: Loss, step: int) -> TaskModel:
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
    shrink = _shrink(inner.clip_norm, _total(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
    gradient = jax.tree.map(lambda g: shrink * g, gradient)
    return with_fast(jax.tree.map(_descend, inner.rates_at(step, model.network), fast, gradient))


def _materialised(inner: InnerLoop, model: TaskModel, support: Samples, loss: Loss, steps: int) -> Iterator[TaskModel]:
    yield model
    for step in range(steps):
        model = gradient_step(inner, model, support, loss, step)
        yield model


def _dual(inner: InnerLoop, model: TaskModel, support: Samples, loss: Loss, steps: int) -> Iterator[TaskModel]:
    points = jax.tree.leaves(support.inputs)[0].shape[0]

    def start(node: PyTree, adapted: bool) -> PyTree:
        dual = adapted and isinstance(node, eqx.nn.Linear) and pays(node, points * steps)
        return fasten(node) if dual else node

    def slot(node: PyTree, adapted: bool) -> PyTree:
        """Zeros whose gradient says how `node` has to change."""
        if not adapted:
            return None
        return empty_factors(node, points) if isinstance(node, FastLinear) else jax.tree.map(jnp.zeros_like, node)

    mask = adaptable(model.network, inner.adapts)
    network = jax.tree.map(start, model.network, mask, is_leaf=_is_layer)
    slots = jax.tree.map(slot, network, mask, is_leaf=_is_layer)

    yield model
    for step in range(steps):
        rates = inner.rates_at(step, model.network)
        network = _dual_step(inner, network, slots, rates, model.modulation, support, loss)
        yield TaskModel(network, model.modulation, model.embedding)


def _dual_step(
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
        return jax.tree.map(attach, network, slots, is_leaf=_is_layer)(x, modulation)

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

    squares = jax.tree.map(square_norm, network, gradient, is_leaf=_is_layer)
    shrink = _shrink(inner.clip_norm, _total(jax.tree.leaves(squares)))

    def descend(node: PyTree, rate: PyTree, gradient: PyTree) -> PyTree:
        if isinstance(node, FastLinear):
            return extend(node, gradient, rate * shrink)
        if gradient is None:
            return node
        return _descend(rate * shrink, node, gradient)

    return jax.tree.map(descend, network, rates, gradient, is_leaf=_is_layer)


def _is_factors(node: PyTree) -> bool:
    return isinstance(node, Factors)
