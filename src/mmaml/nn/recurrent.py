"""Encoder that reads the support set as a sequence."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.modulation import AbstractEncoder
from mmaml.core.task import Samples


class BiLSTMEncoder(AbstractEncoder):
    """Bidirectional LSTM over the pairs (x, y); υ joins the top layer's last forward and first backward outputs.

    With `sort`, the pairs are read in the order of their inputs, as the paper says, and where those are alike of their
    targets; without, in the order they come, as the reference code does.
    """

    layers: tuple[eqx.nn.LSTMCell, ...]
    """One entry a layer; every array has a leading axis of two, the directions."""
    sort: bool = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        hidden: int = 40,
        layers: int = 2,
        sort: bool = True,
        key: PRNGKeyArray,
    ):
        def both_directions(size: int, key: PRNGKeyArray) -> eqx.nn.LSTMCell:
            return eqx.filter_vmap(lambda k: eqx.nn.LSTMCell(size, hidden, key=k))(jr.split(key, 2))

        sizes = [in_size + out_size] + [2 * hidden] * (layers - 1)
        self.layers = tuple(both_directions(n, k) for n, k in zip(sizes, jr.split(key, layers), strict=True))
        self.sort = sort

    @property
    def embedding_size(self) -> int:
        """Twice the hidden size."""
        return 2 * self.layers[0].hidden_size

    def __call__(self, support: Samples) -> Float[Array, " embedding"]:
        """υ of one support set: inputs `(points, in)`, targets `(points, out)`."""
        sequence = jnp.concatenate([support.inputs, support.targets], axis=-1)
        if self.sort:
            sequence = sequence[jnp.lexsort(sequence.T[::-1])]
        last = sequence[-1]
        for cell in self.layers:
            outputs = eqx.filter_vmap(_run)(cell, jnp.stack([sequence, sequence[::-1]]))
            last = outputs[:, -1].reshape(-1)
            sequence = jnp.concatenate([outputs[0], outputs[1, ::-1]], axis=-1)
        return last


def _run(cell: eqx.nn.LSTMCell, sequence: Float[Array, "points in"]) -> Float[Array, "points hidden"]:
    """Outputs of one direction at every point."""

    def step(state: tuple[Array, Array], x: Array) -> tuple[tuple[Array, Array], Array]:
        state = cell(x, state)
        return state, state[0]

    zeros = jnp.zeros(cell.hidden_size)
    # A loop that the compiler sees through is faster for few points; for 20 it is slower, and long to compile.
    points = len(sequence)
    _, outputs = jax.lax.scan(step, (zeros, zeros), sequence, unroll=points if points <= 10 else 2)
    return outputs
