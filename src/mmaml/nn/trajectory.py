"""Encoder that reads the rollouts of a task."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mmaml.core.modulation import AbstractEncoder
from mmaml.core.task import Samples
from mmaml.nn.linear import linear


class TrajectoryEncoder(AbstractEncoder):
    """A GRU over (observation, action, reward) of every rollout, then layers, the mean over rollouts, and layers.

    The support's targets must have `actions`, `rewards` and `weights`; its steps are those of whole rollouts of
    `horizon` steps, one after the other. Those without weight, after an episode's end, are not read. With `pieces` set
    to n, the GRU reads as many pieces of n steps as there are rollouts instead, from the first step on and each after
    zeros that fill up the horizon: the authors' code does so with n = 5, by mistake, and sees only the first rollout or
    two.
    """

    cell: eqx.nn.GRUCell
    each: tuple[eqx.nn.Linear, eqx.nn.Linear]
    together: tuple[eqx.nn.Linear, eqx.nn.Linear]
    horizon: int = eqx.field(static=True)
    pieces: int | None = eqx.field(static=True)

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        *,
        hidden: int,
        horizon: int,
        pieces: int | None = None,
        key: PRNGKeyArray,
    ):
        gru_key, *keys = jr.split(key, 5)
        self.cell = eqx.nn.GRUCell(observation_size + action_size + 1, hidden, key=gru_key)
        a, b, c, d = (linear(hidden, hidden, key=k) for k in keys)
        self.each, self.together = (a, b), (c, d)
        self.horizon = horizon
        self.pieces = pieces

    @property
    def embedding_size(self) -> int:
        """The hidden size."""
        return self.cell.hidden_size

    def __call__(self, support: Samples) -> Float[Array, " embedding"]:
        """υ of one task's rollouts: observations `(rollouts · horizon, observation)`, and targets as said."""
        experience = support.targets
        steps = jnp.concatenate([support.inputs, experience.actions, experience.rewards[:, None]], axis=-1)
        valid = experience.weights > 0
        count = len(steps) // self.horizon
        padding = 0
        if self.pieces is not None:
            used = count * self.pieces
            steps, valid, padding = steps[:used], valid[:used], self.horizon - self.pieces

        def one(sequence: Float[Array, "steps in"], valid: Bool[Array, " steps"]) -> Float[Array, " hidden"]:
            return _layers(self.each, self._last_state(sequence, valid, padding))

        read = jax.vmap(one)(steps.reshape(count, -1, steps.shape[-1]), valid.reshape(count, -1))
        return _layers(self.together, read.mean(0))

    def _last_state(
        self, sequence: Float[Array, "steps in"], valid: Bool[Array, " steps"], padding: int
    ) -> Float[Array, " hidden"]:
        """What the cell comes to, its inputs' part worked out for all steps at once."""
        cell = self.cell
        bias = cell.bias_n
        assert cell.bias is not None and bias is not None  # Equinox has cells without
        nothing = jnp.zeros((padding, sequence.shape[-1]))
        from_input = jnp.concatenate([nothing, sequence]) @ cell.weight_ih.T + cell.bias

        def step(state: Array, step: tuple[Array, Array]) -> tuple[Array, None]:
            from_input, valid = step
            reset_in, update_in, new_in = jnp.split(from_input, 3)
            reset_state, update_state, new_state = jnp.split(cell.weight_hh @ state, 3)
            reset, update = jax.nn.sigmoid(reset_in + reset_state), jax.nn.sigmoid(update_in + update_state)
            new = jnp.tanh(new_in + reset * (new_state + bias))
            return jnp.where(valid, new + update * (state - new), state), None

        valid = jnp.concatenate([jnp.ones(padding, bool), valid])
        state, _ = jax.lax.scan(step, jnp.zeros(cell.hidden_size), (from_input, valid))
        return state


def _layers(layers: tuple[eqx.nn.Linear, eqx.nn.Linear], x: Float[Array, " n"]) -> Float[Array, " n"]:
    first, second = layers
    return second(jax.nn.relu(first(x)))
