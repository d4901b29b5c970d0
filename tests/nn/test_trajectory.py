"""The trajectory encoder against its cell, stepped by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.task import Samples
from mmaml.nn.distribution import Gaussian
from mmaml.nn.trajectory import TrajectoryEncoder
from mmaml.rl.experience import Experience


ROLLOUTS, HORIZON = 3, 6


def encoder(pieces=None):
    return TrajectoryEncoder(4, 2, hidden=5, horizon=HORIZON, pieces=pieces, key=jr.key(0))


def seen(seed=0):
    steps = ROLLOUTS * HORIZON
    keys = jr.split(jr.key(seed), 3)
    o, a, r = (jr.normal(k, (steps, *shape)) for k, shape in zip(keys, ((4,), (2,), ()), strict=True))
    unread = Gaussian(jnp.full((steps, 2), jnp.nan), jnp.full((steps, 2), jnp.nan))
    return Samples(o, Experience(a, r, jnp.full(steps, jnp.nan), unread, jnp.ones(steps)))


def rearranged(support, order):
    return jax.tree.map(lambda a: a[jnp.asarray(order)], support)


def layers(pair, x):
    first, second = pair
    return np.asarray(second.weight) @ np.maximum(np.asarray(first.weight) @ x + first.bias, 0) + second.bias


def by_hand(encoder, sequences):
    """The embedding of sequences of (observation, action, reward), one cell call at a time."""
    read = []
    for sequence in sequences:
        state = jnp.zeros(5)
        for step in sequence:
            state = encoder.cell(jnp.asarray(step, jnp.float32), state)
        read.append(layers(encoder.each, np.asarray(state)))
    return layers(encoder.together, np.mean(read, axis=0))


def steps_of(support):
    return np.concatenate([support.inputs, support.targets.actions, support.targets.rewards[:, None]], axis=1)


def test_reads_whole_rollouts_as_its_cell_does():
    support = seen()
    sequences = steps_of(support).reshape(ROLLOUTS, HORIZON, 7)
    np.testing.assert_allclose(encoder()(support), by_hand(encoder(), sequences), rtol=1e-4, atol=1e-6)


def test_pieces_are_the_first_steps_cut_up_and_padded_on_the_left():
    support = seen()
    pieces = steps_of(support)[: 2 * ROLLOUTS].reshape(ROLLOUTS, 2, 7)
    padded = np.concatenate([np.zeros((ROLLOUTS, HORIZON - 2, 7)), pieces], axis=1)
    np.testing.assert_allclose(encoder(2)(support), by_hand(encoder(2), padded), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pieces", [None, 2])
def test_only_the_first_pieces_are_seen(pieces):
    support, other = seen(0), seen(1)
    read = ROLLOUTS * (pieces or HORIZON)

    def with_step_of_other(i):
        return jax.tree.map(lambda a, b: a.at[i].set(b[i]), support, other)

    change = [
        float(jnp.abs(encoder(pieces)(with_step_of_other(i)) - encoder(pieces)(support)).max())
        for i in range(ROLLOUTS * HORIZON)
    ]
    assert min(change[:read]) > 0 and not any(change[read:])


def test_what_follows_the_end_of_an_episode_is_not_read():
    support, lengths = seen(), (4, HORIZON, 1)
    weights = np.concatenate([1.5 * (np.arange(HORIZON) < length) for length in lengths])
    ended = eqx.tree_at(lambda s: s.targets.weights, support, jnp.asarray(weights, jnp.float32))
    sequences = steps_of(support).reshape(ROLLOUTS, HORIZON, 7)
    read = [sequence[:length] for sequence, length in zip(sequences, lengths, strict=True)]
    np.testing.assert_allclose(encoder()(ended), by_hand(encoder(), read), rtol=1e-4, atol=1e-6)


def test_order_of_rollouts_does_not_matter():
    support = seen()
    order = np.arange(ROLLOUTS * HORIZON).reshape(ROLLOUTS, HORIZON)[[2, 0, 1]].ravel()
    np.testing.assert_allclose(encoder()(rearranged(support, order)), encoder()(support), rtol=1e-5, atol=1e-6)


def test_order_of_steps_matters():
    support = seen()
    order = np.arange(ROLLOUTS * HORIZON).reshape(ROLLOUTS, HORIZON)[:, ::-1].ravel()
    assert not np.allclose(encoder()(rearranged(support, order)), encoder()(support), rtol=1e-3)


def test_says_what_size_its_embedding_has():
    assert encoder()(seen()).shape == (encoder().embedding_size,)
