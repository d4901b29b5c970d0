"""Task-aware modulation: υ = h(support; ω_h), τ_i = g_i(υ; ω_g), and the operators that apply τ (paper, §4)."""

import abc
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.task import Samples


def scaled(
    h: Float[Array, "units *positions"], scale: Float[Array, " units"], shift: Float[Array, " units"]
) -> Float[Array, "units *positions"]:
    """scale ⊙ h + shift, units on the first axis."""
    return _beside(scale, h) * h + _beside(shift, h)


def _beside(of_units: Float[Array, " units"], h: Float[Array, "units *positions"]) -> Float[Array, "units *ones"]:
    return of_units.reshape(of_units.shape + (1,) * (h.ndim - 1))


class FiLM(eqx.Module):
    """Feature-wise affine modulation h ← (1 + γ) ⊙ h + β; γ = β = 0 is the identity."""

    gamma: Float[Array, "*tasks units"]
    beta: Float[Array, "*tasks units"]

    def __call__(self, h: Float[Array, "units *positions"]) -> Float[Array, "units *positions"]:
        """Modulate pre-activations `h`, units on the first axis."""
        return scaled(h, 1 + self.gamma, self.beta)

    def after(
        self, scale: Float[Array, " units"], shift: Float[Array, " units"]
    ) -> tuple[Float[Array, " units"], Float[Array, " units"]]:
        """The scale and shift that do at once what those given and then this modulation do."""
        return (1 + self.gamma) * scale, (1 + self.gamma) * shift + self.beta


class Gate(eqx.Module):
    """Multiplicative modulation h ← g ⊙ h."""

    gate: Float[Array, "*tasks units"]

    def __call__(self, h: Float[Array, "units *positions"]) -> Float[Array, "units *positions"]:
        """Modulate pre-activations `h`, units on the first axis."""
        return _beside(self.gate, h) * h

    def after(
        self, scale: Float[Array, " units"], shift: Float[Array, " units"]
    ) -> tuple[Float[Array, " units"], Float[Array, " units"]]:
        """The scale and shift that do at once what those given and then this modulation do."""
        return self.gate * scale, self.gate * shift


BlockModulation = Callable[[Float[Array, "units *positions"]], Float[Array, "units *positions"]]
"""What is done to the pre-activations of a block: `FiLM`, `Gate`, or an `eqx.Module` of one's own."""

Modulation = tuple[BlockModulation | None, ...]
"""τ: one for each block of the network, `None` where a block is not modulated."""


def modulate(
    h: Float[Array, "units *positions"], modulation: Modulation | None, block: int
) -> Float[Array, "units *positions"]:
    """Pre-activations `h` of block number `block`, units on the first axis, modulated if that block is."""
    operator = modulation[block] if modulation else None
    return h if operator is None else operator(h)


class Operator(NamedTuple):
    """A way to modulate a block: how many numbers each unit needs, and how a vector of them is used."""

    numbers_per_unit: int
    from_vector: Callable[[Float[Array, " numbers"]], BlockModulation]


def _film(tau: Float[Array, " numbers"]) -> FiLM:
    return FiLM(*jnp.split(tau, 2))


def _scale(tau: Float[Array, " numbers"]) -> FiLM:
    return FiLM(tau, jnp.zeros_like(tau))


def _sigmoid(tau: Float[Array, " numbers"]) -> Gate:
    return Gate(jax.nn.sigmoid(tau))


def _softmax(tau: Float[Array, " numbers"]) -> Gate:
    return Gate(jax.nn.softmax(tau))


OPERATORS: dict[str, Operator] = {
    "film": Operator(2, _film),
    "scale": Operator(1, _scale),
    "sigmoid": Operator(1, _sigmoid),
    "softmax": Operator(1, _softmax),
}
"""The paper's operators by name; `scale` is FiLM without its shift, as in its reinforcement
learning. Softmax attends over a block's units and is not rescaled by their number."""


class AbstractEncoder(eqx.Module):
    """Reads the support examples of one task and says what kind of task it is: υ = h(support; ω_h)."""

    @property
    @abc.abstractmethod
    def embedding_size(self) -> int:
        """Length of the task embedding υ."""

    @abc.abstractmethod
    def __call__(self, support: Samples) -> Float[Array, " embedding"]:
        """The task embedding υ of one task's support examples."""


class Modulator(eqx.Module):
    """An encoder and one linear head per modulated block."""

    encoder: AbstractEncoder
    heads: tuple[eqx.nn.Linear | None, ...]
    operator: Operator = eqx.field(static=True)
    widths: tuple[int, ...] = eqx.field(static=True)
    """Units of the network's blocks."""
    scale: float = eqx.field(static=True)
    """What the heads' numbers are multiplied by."""

    def __init__(
        self,
        encoder: AbstractEncoder,
        widths: Sequence[int],
        *,
        operator: str | Operator = "film",
        blocks: Sequence[int] | None = None,
        scale: float = 1.0,
        key: PRNGKeyArray,
    ):
        """Make the heads for a network whose blocks have `widths` units.

        `operator` is the name of one of `OPERATORS` or one of your own; `blocks` are the indices of the blocks to
        modulate, by default all. With a `scale` below 1 modulation begins weaker, FiLM nearer to the identity, and
        grows more slowly under optimisers whose steps do not depend on the size of gradients.

        Raises `ValueError` for an unknown operator or a block the network does not have.
        """
        if isinstance(operator, str):
            if operator not in OPERATORS:
                raise ValueError(f"unknown modulation {operator!r}; choose one of {', '.join(OPERATORS)}")
            operator = OPERATORS[operator]
        blocks = range(len(widths)) if blocks is None else blocks
        if missing := [b for b in blocks if not 0 <= b < len(widths)]:
            raise ValueError(
                f"cannot modulate block {missing[0]}: the network has blocks 0 to {len(widths) - 1}; "
                "list only those in `blocks`"
            )
        self.encoder = encoder
        self.operator = operator
        self.widths = tuple(widths)
        self.scale = scale
        self.heads = tuple(
            eqx.nn.Linear(encoder.embedding_size, operator.numbers_per_unit * width, key=k) if i in blocks else None
            for i, (width, k) in enumerate(zip(widths, jr.split(key, len(widths)), strict=True))
        )

    def __call__(self, support: Samples) -> tuple[Float[Array, " embedding"], Modulation]:
        """Task embedding υ and modulation τ of one task."""
        embedding = self.encoder(support)
        return embedding, tuple(head and self.operator.from_vector(self.scale * head(embedding)) for head in self.heads)
