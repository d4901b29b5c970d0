"""Encoders of sets of points."""

import itertools

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.task import Samples
from mmaml.nn.recurrent import BiLSTMEncoder


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
