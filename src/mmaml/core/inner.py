"""How the inner loop is done: steps, their sizes, and bounds."""

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from mmaml.core.network import AbstractNetwork
from mmaml.core.rates import Adapts, LearnedRates, Step, at_most, is_layer


Loss = Callable[[PyTree, PyTree], Float[Array, ""]]
"""Mean loss over a set of examples: `loss(outputs, targets)`."""

Engine = Literal["auto", "dual", "materialised"]

LONGEST = 1e18
"""No bound on gradients may be greater: its square would not fit into single precision."""

BOUND = f"greater than 0 and at most {LONGEST:.0e}, or None for no bound"


def _fixed(rates: Any) -> Any:
    """Arrays of rates as numbers or tuples of them, so that the outer loop does not train them."""
    if isinstance(rates, tuple | list):
        return tuple(map(_fixed, rates))
    if not isinstance(rates, np.generic | np.ndarray | jax.Array):
        return rates
    numbers = np.asarray(rates, float).tolist()
    return tuple(numbers) if isinstance(numbers, list) else numbers


def _is_rate(value: Any) -> bool:
    if isinstance(value, int | float):
        return 0 <= value < math.inf
    return isinstance(value, LearnedRates) or eqx.is_array_like(value)  # one traced by JAX has no value yet


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
      meta-trained: arrays become numbers.
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
            if (value := getattr(self, name)) is not None and not 0 < value <= LONGEST:
                raise ValueError(f"`{name}` is {value!r}; it must be {BOUND}.")
        rates = self.rates if isinstance(self.rates, tuple) else (self.rates,)
        if not rates or not all(map(_is_rate, rates)):
            raise ValueError(
                f"`rates` is {self.rates!r}; it must be 0 or more and finite, or a tuple of at least one such number."
            )

    def rates_at(self, step: Step, network: AbstractNetwork) -> PyTree:
        """Step sizes of step `step`, one entry for each layer or lone parameter of `network`."""
        if isinstance(self.rates, LearnedRates):
            return self.rates.at(step)
        if isinstance(self.rates, tuple):
            i = at_most(step, len(self.rates) - 1)
            rate = self.rates[i] if isinstance(i, int) else jnp.stack([*map(jnp.asarray, self.rates)])[i]
        else:
            rate = self.rates
        return jax.tree.map(lambda _: rate, network, is_leaf=is_layer)

    def shrink(self, squares: Iterable[Array]) -> Float[Array, ""]:
        """What to multiply a gradient with so that it is no longer than `clip_norm`.

        `squares` are the squared lengths of its parts.
        """
        square_norm = jnp.asarray(sum(squares, start=0.0))
        if self.clip_norm is None:
            return jnp.ones_like(square_norm)
        return self.clip_norm / jnp.sqrt(jnp.maximum(square_norm, self.clip_norm**2))
