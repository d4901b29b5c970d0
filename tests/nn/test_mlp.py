"""Multi-layer perceptrons against their formula in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.nn.mlp import MLP
from tests.core.problems import CONTEXTS, film, network


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_hidden_layer_is_affine_then_modulation_then_relu(context):
    net = network(jr.key(0), (2, 8, 6, 3), CONTEXTS[context])
    modulation, x = film(jr.key(1), net.widths), np.array([0.7, -1.2], np.float32)
    h = np.concatenate([x, *jax.tree.leaves(CONTEXTS[context])])
    for layer, tau in zip(net.hidden, modulation, strict=True):
        h = np.maximum((1 + tau.gamma) * (np.asarray(layer.weight) @ h + layer.bias) + tau.beta, 0)
    expected = np.asarray(net.head.weight) @ h + net.head.bias
    np.testing.assert_allclose(net(jnp.asarray(x), modulation), expected, rtol=1e-5, atol=1e-6)


def test_new_weights_are_as_wide_as_he_says_and_biases_zero():
    net = eqx.filter_jit(lambda: MLP(50, 20, (400, 200), key=jr.key(0)))()
    for layer, inputs in zip((*net.hidden, net.head), (50, 400, 200), strict=True):
        assert float(layer.weight.std()) == pytest.approx((2 / inputs) ** 0.5, rel=0.05)
        assert not layer.bias.any()
