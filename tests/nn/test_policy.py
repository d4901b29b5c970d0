"""Policies against their formula in NumPy."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from mmaml.core.modulation import OPERATORS, FiLM
from mmaml.nn.policy import CategoricalPolicy, GaussianPolicy


RNG = np.random.default_rng(0)


def policy(key=0, sizes=(3, 5, 4, 2)):
    """A policy whose biases are not zero and whose deviations are not one."""
    net = GaussianPolicy(sizes[0], sizes[-1], sizes[1:-1], key=jr.key(key))

    def others(n):
        return [*(layer.bias for layer in (*n.hidden, n.head)), n.log_std]

    return eqx.tree_at(others, net, [0.3 * jr.normal(jr.key(i), a.shape) for i, a in enumerate(others(net))])


@pytest.mark.parametrize("gammas", [None, (0.0, 0.0), (0.7, -0.4)])
def test_policy_scales_pre_activations_by_one_plus_gamma(gammas):
    net, x = policy(), RNG.normal(size=3)
    scales = [np.ones(5), np.ones(4)]
    modulation = None
    if gammas is not None:
        vectors = [gamma * RNG.normal(size=width) for gamma, width in zip(gammas, net.widths, strict=True)]
        modulation = tuple(OPERATORS["scale"].from_vector(jnp.asarray(v, jnp.float32)) for v in vectors)
        scales = [1 + v for v in vectors]
    h = x
    for layer, scale in zip(net.hidden, scales, strict=True):
        h = np.tanh(scale * (np.asarray(layer.weight) @ h + layer.bias))
    said = net(jnp.asarray(x, jnp.float32), modulation)
    np.testing.assert_allclose(said.mean, np.asarray(net.head.weight) @ h + net.head.bias, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(said.log_std, net.log_std)


def test_a_policy_of_choices_is_that_of_numbers_without_deviations():
    net, x = policy(), jnp.asarray(RNG.normal(size=3), jnp.float32)
    choices = CategoricalPolicy(3, 2, (5, 4), key=jr.key(1))
    choices = eqx.tree_at(lambda n: (n.hidden, n.head), choices, (net.hidden, net.head))
    modulation = tuple(FiLM(jnp.full(w, 0.3), jnp.full(w, -0.2)) for w in net.widths)
    assert choices.widths == net.widths
    np.testing.assert_array_equal(choices(x, modulation).logits, net(x, modulation).mean)


def test_identity_modulation_changes_nothing():
    net, x = policy(), jnp.asarray(RNG.normal(size=3), jnp.float32)
    identity = tuple(FiLM(jnp.zeros(w), jnp.zeros(w)) for w in net.widths)
    np.testing.assert_allclose(net(x, identity).mean, net(x, None).mean, rtol=1e-6)


def test_new_policies_are_glorot_uniform_with_zero_biases_and_unit_deviations():
    net = GaussianPolicy(40, 30, (64, 50), key=jr.key(0))
    for layer, (n, m) in zip((*net.hidden, net.head), ((40, 64), (64, 50), (50, 30)), strict=True):
        bound = np.sqrt(6 / (n + m))
        assert layer.weight.shape == (m, n) and not layer.bias.any()
        assert stats.kstest(np.ravel(layer.weight), stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.01
    assert not net.log_std.any() and net.log_std.shape == (30,)
