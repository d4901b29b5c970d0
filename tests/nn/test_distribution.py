"""Distributions of actions against SciPy, quadrature, sums over all choices, and counts."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

from mmaml.nn.distribution import Categorical, Gaussian


RNG = np.random.default_rng(0)


def gaussian(*shape):
    return Gaussian(*(jnp.asarray(a, jnp.float32) for a in (RNG.normal(size=shape), 0.5 * RNG.normal(size=shape))))


def categorical(*shape):
    return Categorical(jnp.asarray(2 * RNG.normal(size=shape), jnp.float32))


def test_log_prob_is_that_of_independent_normals():
    density, x = gaussian(6, 3), gaussian(6, 3).mean
    expected = stats.norm.logpdf(x, density.mean, np.exp(density.log_std)).sum(-1)
    np.testing.assert_allclose(density.log_prob(x), expected, rtol=1e-5)


def test_kl_is_the_integral_it_stands_for():
    p, q = gaussian(5, 1), gaussian(5, 1)
    x = np.linspace(-30, 30, 200_001)
    for i in range(5):
        log_p, log_q = (stats.norm.logpdf(x, g.mean[i, 0], np.exp(g.log_std[i, 0])) for g in (p, q))
        integral = np.trapezoid(np.exp(log_p) * (log_p - log_q), x)
        assert float(p.kl(q)[i]) == pytest.approx(integral, rel=1e-4)


def test_kls_of_independent_coordinates_add_up():
    p, q = gaussian(4, 3), gaussian(4, 3)
    each = [
        Gaussian(p.mean[:, i : i + 1], p.log_std[:, i : i + 1]).kl(
            Gaussian(q.mean[:, i : i + 1], q.log_std[:, i : i + 1])
        )
        for i in range(3)
    ]
    np.testing.assert_allclose(p.kl(q), sum(each), rtol=1e-5)


def test_kl_from_itself_is_zero_and_at_its_least():
    p = gaussian(4, 3)
    value, slope = jax.value_and_grad(lambda other: p.kl(other).sum())(p)
    assert float(value) == 0
    np.testing.assert_allclose(np.concatenate(jax.tree.leaves(slope)), 0, atol=1e-6)
    assert (p.kl(gaussian(4, 3)) > 0).all()


def test_draws_of_numbers_are_as_many_deviations_from_the_mean_as_the_noise():
    density, noise = gaussian(4, 3), jr.normal(jr.key(0), (4, 3))
    np.testing.assert_allclose((density.sample(noise) - density.mean) / np.exp(density.log_std), noise, rtol=1e-4)
    np.testing.assert_array_equal(density.likeliest(), density.mean)


def test_choices_have_the_probabilities_of_softmax():
    said = categorical(6, 4)
    p = np.exp(said.logits) / np.exp(said.logits).sum(-1, keepdims=True)
    for choice in range(4):
        x = jnp.broadcast_to(jnp.eye(4)[choice], (6, 4))
        np.testing.assert_allclose(np.exp(said.log_prob(x)), p[:, choice], rtol=1e-5)
    np.testing.assert_array_equal(said.likeliest().argmax(-1), p.argmax(-1))


def test_choices_are_drawn_as_often_as_their_probabilities_say():
    said = categorical(1, 4)
    drawn = said.sample(jr.gumbel(jr.key(0), (20_000, 4)))
    assert set(np.unique(drawn)) == {0, 1} and (drawn.sum(-1) == 1).all()
    expected = 20_000 * np.asarray(jax.nn.softmax(said.logits))[0]
    assert stats.chisquare(drawn.sum(0), expected).pvalue > 0.01


def test_kl_of_choices_is_the_sum_it_stands_for():
    p, q = categorical(5, 3), categorical(5, 3)
    ps, qs = (np.asarray(jax.nn.softmax(x.logits), np.float64) for x in (p, q))
    np.testing.assert_allclose(p.kl(q), (ps * np.log(ps / qs)).sum(-1), rtol=1e-4)
    np.testing.assert_allclose(p.kl(p), 0, atol=1e-6)


@pytest.mark.parametrize("said", [gaussian(2), categorical(4)], ids=["numbers", "choices"])
def test_fisher_information_is_the_curvature_of_the_kl(said):
    flat, unravel = ravel_pytree(said)
    hessian = jax.hessian(lambda x: said.kl(unravel(x)))(flat)
    for direction in np.eye(4, dtype=np.float32):
        ours, _ = ravel_pytree(said.fisher_vector_product(unravel(jnp.asarray(direction))))
        np.testing.assert_allclose(ours, hessian @ direction, rtol=1e-5, atol=1e-6)
