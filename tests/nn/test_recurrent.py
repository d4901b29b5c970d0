"""Encoders of sets of points."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.task import Samples
from mmaml.nn.recurrent import BiLSTMEncoder
from tests.core.problems import samples


POINTS = [(1.0, 0.5, 0.0), (1.0, 0.5, 1.0), (1.0, -0.5, 2.0), (-2.0, 3.0, 3.0)]
"""Two inputs and a target each; some are alike in the first input, some in both."""


@pytest.mark.parametrize("sort", [True, False])
def test_sorted_the_order_of_the_points_does_not_matter(sort):
    encoder = BiLSTMEncoder(2, 1, hidden=3, sort=sort, key=jr.key(0))
    embeddings = [
        encoder(Samples(jnp.array(order)[:, :2], jnp.array(order)[:, 2:])) for order in itertools.permutations(POINTS)
    ]
    different = np.unique(np.round(embeddings, 5), axis=0)
    assert len(different) == (1 if sort else 24)


def test_points_are_read_from_the_least_input_on():
    sorting, reading = (BiLSTMEncoder(1, 1, hidden=3, sort=sort, key=jr.key(0)) for sort in (True, False))
    x, y = jnp.array([[2.0], [-1.0], [0.5]]), jnp.array([[0.0], [1.0], [2.0]])
    order = jnp.array([1, 2, 0])
    np.testing.assert_array_equal(sorting(Samples(x, y)), reading(Samples(x[order], y[order])))


def read(cell, sequence):
    """What an LSTM cell says after each point."""
    state, said = (jnp.zeros(cell.hidden_size), jnp.zeros(cell.hidden_size)), []
    for point in sequence:
        state = eqx.filter_jit(cell)(point, state)
        said.append(state[0])
    return said


@pytest.mark.parametrize("points", [4, 12])
def test_every_layer_reads_both_ways_and_the_next_reads_what_both_say_of_a_point(points):
    encoder, support = BiLSTMEncoder(2, 1, hidden=3, sort=False, key=jr.key(0)), samples(jr.key(1), points)
    sequence = list(jnp.concatenate([support.inputs, support.targets], axis=1))
    for both in encoder.layers:
        there, back = (jax.tree.map(lambda a, way=way: a[way], both) for way in (0, 1))
        forward, backward = read(there, sequence), read(back, sequence[::-1])[::-1]
        sequence = [jnp.concatenate(pair) for pair in zip(forward, backward, strict=True)]
    np.testing.assert_allclose(encoder(support), jnp.concatenate([forward[-1], backward[0]]), rtol=1e-4, atol=1e-6)
