"""Muon against the singular value decomposition and against optax's."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers
from optax.contrib import muon as of_optax

from mmaml.core.muon import muon


RATE = 0.01
SHAPES = {"wide": (3, 7), "tall": (7, 3), "square": (5, 5), "several": (2, 4, 6)}


def updates(optimiser, gradients):
    """What the optimiser makes of each gradient in turn."""
    parameters = jax.tree.map(jnp.zeros_like, gradients[0])
    state = optimiser.init(parameters)
    step = jax.jit(optimiser.update)
    for gradient in gradients:
        update, state = step(gradient, state, parameters)
        yield update


def gradients(count):
    def one(key):
        return {name: jr.normal(jr.fold_in(key, n), shape) for n, (name, shape) in enumerate(SHAPES.items())}

    return [one(jr.key(i)) for i in range(count)]


def everywhere(value):
    """What says `value` of every parameter."""
    return lambda parameters: jax.tree.map(lambda _: value, parameters)


def polynomial_of_singular_values(momentum):
    """The update by its definition: singular values by 3.4445 s - 4.775 s³ + 2.0315 s⁵, five times."""
    u, s, v = np.linalg.svd(momentum, full_matrices=False)
    s = s / np.sqrt((s**2).sum(-1, keepdims=True))
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return -RATE * 0.2 * max(momentum.shape[-2:]) ** 0.5 * (u * s[..., None, :]) @ v


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-4), ("bfloat16", 0.15)])
def test_momentum_has_its_singular_values_brought_near_to_one(precision, tolerance):
    sequence = gradients(3)
    momentum = {name: 0 for name in SHAPES}
    for gradient, update in zip(
        sequence, updates(muon(RATE, everywhere(True), precision=precision), sequence), strict=True
    ):
        for name in SHAPES:
            momentum[name] = 0.95 * momentum[name] + np.asarray(gradient[name], np.float64)
            expected = polynomial_of_singular_values(0.95 * momentum[name] + gradient[name])
            np.testing.assert_allclose(update[name], expected, atol=tolerance * np.abs(expected).max(), err_msg=name)


def test_the_first_step_is_that_of_optax():
    first = gradients(1)

    def axes(parameters):
        return jax.tree.map(lambda p: MuonDimensionNumbers(p.ndim - 1, p.ndim - 2), parameters)

    theirs = of_optax(RATE, muon_weight_dimension_numbers=axes, consistent_rms=0.2)
    (ours,), (expected,) = updates(muon(RATE, everywhere(True)), first), updates(theirs, first)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3 * jnp.abs(b).max()), ours, expected)


def test_what_is_no_matrix_moves_as_with_adam():
    sequence = gradients(3)
    optimisers = muon(RATE, everywhere(False)), optax.nadam(RATE)
    for ours, expected in zip(*(updates(optimiser, sequence) for optimiser in optimisers), strict=True):
        jax.tree.map(np.testing.assert_array_equal, ours, expected)


def test_a_gradient_of_zeros_moves_nothing():
    zeros = jax.tree.map(jnp.zeros_like, gradients(1)[0])
    (update,) = updates(muon(RATE, everywhere(True)), [zeros])
    jax.tree.map(lambda u: np.testing.assert_array_equal(u, 0), update)
