"""The families against formulas written down apart from the code, and their samplers' ranges."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from mmaml.regression.tasks import FAMILIES, NOISE_STD, FunctionTasks, mixture


X = np.linspace(-5, 5, 7)
FORMULAS = {
    "sinusoid": ([2.0, 0.5], 2 * np.sin(X - 0.5), [(0.1, 5), (0, np.pi)]),
    "linear": ([2.0, -1.0], 2 * X - 1, [(-3, 3)] * 2),
    "quadratic": ([0.1, 1.0, -2.0, -0.3], -0.1 * (X - 1) ** 2 - 2, [(0.02, 0.15), (-3, 3), (-3, 3), (-1, 1)]),
    "tanh": ([2.0, 1.0, -0.5], 2 * np.tanh(X - 1) - 0.5, [(-3, 3)] * 3),
    "l1": ([-2.0, 1.0, 0.5], -2 * np.abs(X - 1) + 0.5, [(-3, 3)] * 3),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_values_and_parameter_ranges(name):
    parameters, values, ranges = FORMULAS[name]
    np.testing.assert_allclose(FAMILIES[name](jnp.array(parameters), jnp.array(X)), values, rtol=1e-5, atol=1e-6)
    drawn = np.asarray(jax.vmap(FAMILIES[name].draw)(jr.split(jr.key(0), 2000)))
    for column, (low, high) in zip(drawn.T, ranges, strict=True):
        assert stats.kstest(column, stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_inputs_are_uniform_and_noise_is_on_support_and_query_alike():
    tasks = FunctionTasks("linear").sample(jr.key(1), 3000)
    for part in (tasks.support, tasks.query):
        x, y = np.asarray(part.inputs)[..., 0], np.asarray(part.targets)[..., 0]
        assert stats.kstest(x.ravel(), stats.uniform(-5, 10).cdf).pvalue > 1e-3
        # Residuals of each task's own straight line: 5 points less 2 parameters.
        residual = [np.polyfit(a, b, 1, full=True)[1][0] for a, b in zip(x, y, strict=True)]
        assert np.mean(residual) / 3 == pytest.approx(NOISE_STD**2, rel=0.05)


def test_parameters_inputs_and_noise_have_nothing_to_do_with_each_other():
    parameters, drawn = jax.vmap(lambda key: FunctionTasks("linear").draw(key, 4))(jr.split(jr.key(4), 4000))
    p, x, y = np.asarray(parameters), np.asarray(drawn.inputs)[..., 0], np.asarray(drawn.targets)[..., 0]
    correlations = stats.spearmanr(np.hstack([p, x, y - p[:, :1] * x - p[:, 1:]])).statistic
    assert np.abs(correlations - np.eye(10)).max() < 4 / np.sqrt(4000)


def test_no_input_comes_twice():
    tasks = FunctionTasks("linear", shots=3, queries=7).sample(jr.key(5), 20)
    x = np.hstack([tasks.support.inputs, tasks.query.inputs])
    assert x.shape == (20, 10, 1) and len(np.unique(x)) == 200


def test_both_signs_of_the_quadratic_are_as_likely():
    drawn = jax.vmap(FAMILIES["quadratic"].draw)(jr.split(jr.key(2), 2000))
    assert np.mean(np.sign(drawn[:, 3])) == pytest.approx(0, abs=0.08)


def test_tasks_depend_on_the_key_alone():
    source = FunctionTasks("tanh", shots=3, queries=7)
    a, b, c = (source.sample(jr.key(k), 4) for k in (0, 0, 1))
    np.testing.assert_array_equal(a.query.targets, b.query.targets)
    assert not np.allclose(a.query.targets, c.query.targets)
    assert a.support.inputs.shape == (4, 3, 1) and a.query.inputs.shape == (4, 7, 1)


def test_a_mixture_has_the_published_sizes_and_a_share_of_each_family():
    tasks = mixture(list(FAMILIES)).sample(jr.key(3), 23)
    counts = np.bincount(tasks.mode, minlength=5)
    assert counts.sum() == 23 and counts.max() - counts.min() <= 1
    assert tasks.support.inputs.shape == tasks.query.inputs.shape == (23, 5, 1)
