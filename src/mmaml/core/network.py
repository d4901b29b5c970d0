"""What a task network declares so that it can be modulated and adapted, and the model of one task."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, PyTree

from mmaml.core.modulation import Modulation


class MetaOnly(eqx.Module):
    """Wraps a parameter that the outer loop learns and the inner loop leaves alone."""

    value: Float[Array, "*shape"]


class AbstractNetwork(eqx.Module):
    """A network f(x; θ, τ) for one example.

    An implementation passes the pre-activations of block `i` (units on the first axis) through
    `modulation[i]` unless that is `None`, and keeps its output layer in a field `head`.
    One that computes a set of examples faster together than each alone says how in `outputs`.
    """

    head: eqx.AbstractVar[PyTree]

    linear_once: ClassVar[bool] = False
    """True if each `eqx.nn.Linear` inside is called just once for an example, with one vector.

    The dual engine needs that. It puts other layers in their places, which have `in_features` and `out_features` but no
    `weight`: a network that shares a layer, reads its weights or calls it twice must leave this false.
    """

    @property
    @abc.abstractmethod
    def widths(self) -> tuple[int, ...]:
        """Units of each block that can be modulated, in the order of computation."""

    @abc.abstractmethod
    def __call__(self, x: PyTree, modulation: Modulation | None) -> PyTree:
        """Output for one example `x` under τ (`None`: nothing is modulated)."""

    def outputs(self, inputs: PyTree, modulation: Modulation | None) -> PyTree:
        """Outputs for a set of examples, the leading axis of every leaf of `inputs`: by default one by one.

        That axis is then named `"examples"`, so that a network may take statistics over the set.
        """
        return jax.vmap(self, in_axes=(0, None), axis_name="examples")(inputs, modulation)

    def settle(self, support: PyTree, modulation: Modulation | None) -> "AbstractNetwork":
        """The network for examples outside the support set, whose inputs are given.

        A network that normalises by statistics of the support set keeps them here; by default nothing is kept.
        """
        del support, modulation
        return self

    def unsettle(self) -> "AbstractNetwork":
        """The network without what `settle` has kept: from here it can be adapted to another support set."""
        return self


class TaskModel(eqx.Module):
    """The model of one task: f(·; θ, τ), before or after gradient steps.

    `embedding` is υ, what the modulator saw in the support set; `None` for learners without one.
    """

    network: AbstractNetwork
    modulation: Modulation | None = None
    embedding: Float[Array, "*tasks embedding"] | None = None

    def __call__(self, inputs: PyTree) -> PyTree:
        """Outputs for a set of examples, the leading axis of every leaf of `inputs`."""
        return self.network.outputs(inputs, self.modulation)
