"""The inner loop: θ_{s+1} = θ_s − α ∇_θ L(f(·; θ_s, τ), support) with τ fixed (paper, Algorithm 1)."""

from collections.abc import Iterator

import equinox as eqx
import jax
from jaxtyping import Array, Int

from mmaml.core.dual import dual
from mmaml.core.inner import InnerLoop, Loss, whole_steps
from mmaml.core.materialised import formed, gradient_step, materialised
from mmaml.core.network import AbstractNetwork, TaskModel
from mmaml.core.rates import LearnedRates
from mmaml.core.task import Samples


def adapt(
    inner: InnerLoop, model: TaskModel, support: Samples, loss: Loss, *, steps: int | None = None
) -> Iterator[TaskModel]:
    """Yield the task's model after 0, 1, …, `steps` gradient steps (default: those of meta-training).

    After steps of the dual engine a layer is no `eqx.nn.Linear` but what computes the same: `formed` has its weights.

    Raises `ValueError` for `steps` that are no whole number or less than 0, or if the dual engine is asked for where it
    does not apply.
    """
    steps = inner.steps if steps is None else whole_steps(steps)
    model = _unsettled(model)
    take = dual if _choose_dual(inner, model.network) else materialised
    for adapted in take(inner, model, support, loss, steps):
        yield _settled(adapted, support)


def adapt_in_a_loop(
    inner: InnerLoop, model: TaskModel, support: Samples, loss: Loss, steps: Int[Array, ""]
) -> TaskModel:
    """The last of the models that `adapt` yields, for one task in use: compiled soon, and once for all `steps`.

    It takes the materialised engine, and no gradient goes through it.
    """
    start, fixed = eqx.partition(formed(_unsettled(model)), eqx.is_array)

    def step(number: Int[Array, ""], arrays: TaskModel) -> TaskModel:
        stepped = gradient_step(inner, eqx.combine(arrays, fixed), support, loss, number)
        return eqx.filter(stepped, eqx.is_array)

    return _settled(eqx.combine(jax.lax.fori_loop(0, steps, step, start), fixed), support)


def _unsettled(model: TaskModel) -> TaskModel:
    return TaskModel(model.network.unsettle(), model.modulation, model.embedding)


def _settled(model: TaskModel, support: Samples) -> TaskModel:
    settled = model.network.settle(support.inputs, model.modulation)
    return TaskModel(settled, model.modulation, model.embedding)


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
