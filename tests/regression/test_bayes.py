import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.task import Samples, Task
from mmaml.regression.bayes import BayesPrediction, posterior_mean, query_mse
from mmaml.regression.tasks import FAMILIES, NOISE_STD, mixture


ALL = tuple(FAMILIES)
SAMPLES = 2048
QUERY = np.array([-4.0, 0.5, 4.5])
OTHERS = 60


def tasks_of(x: np.ndarray, y: np.ndarray) -> Task:
    """A batch of tasks with these support points, `(tasks, 5)`, to be predicted at QUERY."""
    query = np.tile(QUERY, (len(x), 1))
    leaves = [jnp.asarray(a, jnp.float32)[..., None] for a in (x, y, query, np.zeros_like(query))]
    return Task(Samples(*leaves[:2]), Samples(*leaves[2:]), jnp.zeros(len(x), int))


def midpoints(low: float, high: float, cells: int) -> np.ndarray:
    return low + (high - low) * (np.arange(cells) + 0.5) / cells


AXIS = midpoints(-3, 3, 100)
GRIDS = {
    "sinusoid": (lambda x, a, p: a * np.sin(x - p), midpoints(0.1, 5, 400), midpoints(0, np.pi, 400)),
    "linear": (lambda x, a, b: a * x + b, midpoints(-3, 3, 400), midpoints(-3, 3, 400)),
    "quadratic": (
        lambda x, a, c, b: a * (x - c) ** 2 + b,
        np.concatenate([midpoints(-0.15, -0.02, 30), midpoints(0.02, 0.15, 30)]),
        AXIS,
        AXIS,
    ),
    "tanh": (lambda x, a, c, b: a * np.tanh(x - c) + b, AXIS, AXIS, AXIS),
    "l1": (lambda x, a, c, b: a * np.abs(x - c) + b, AXIS, AXIS, AXIS),
}


def brute_force(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One task's mode probabilities and each mode's predictions at QUERY, from every function of a dense grid."""
    log_evidence, means = [], []
    for function, *axes in (GRIDS[name] for name in ALL):
        parameters = np.meshgrid(*axes, indexing="ij", sparse=True)
        error = np.sum([(y_i - function(x_i, *parameters)) ** 2 for x_i, y_i in zip(x, y, strict=True)], axis=0)
        weights = np.exp((error.min() - error) / (2 * NOISE_STD**2))
        log_evidence.append(np.log(weights.mean()) - error.min() / (2 * NOISE_STD**2))
        means.append([np.sum(weights * function(q, *parameters)) / weights.sum() for q in QUERY])
    probabilities = np.exp(np.array(log_evidence) - np.max(log_evidence))
    probabilities /= probabilities.sum()
    return probabilities, np.array(means)


# After one of each family: two whose parameters lie just past the end of a range, and one that is ambiguous.
FUNCTIONS = [
    lambda x: 2 * np.sin(x - 1),
    lambda x: 0.7 * x - 1,
    lambda x: 1 - 0.1 * (x + 2) ** 2,
    lambda x: 1 - 2 * np.tanh(x - 0.5),
    lambda x: 1.5 * np.abs(x - 1) - 2,
    lambda x: 3.1 * np.tanh(x) + 3.1,
    lambda x: 3.05 * x + 3.3,
    lambda x: 0 * x,
]


@pytest.fixture(scope="module")
def support() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.uniform(-5, 5, (len(FUNCTIONS), 5))
    x[-1] = np.linspace(3.5, 4.5, 5)
    y = np.stack([f(x_i) for f, x_i in zip(FUNCTIONS, x, strict=True)])
    return x, y + NOISE_STD * rng.normal(size=y.shape)


@pytest.fixture(scope="module")
def batch(support) -> Task:
    """The tasks of `support`, then some that no family explains: `OTHERS` far off, up to 1e6."""
    x, y = support
    rng = np.random.default_rng(1)
    far = rng.normal(size=(OTHERS, 5)) * np.logspace(0, 6, OTHERS)[:, None]
    return tasks_of(np.concatenate([x, rng.uniform(-5, 5, far.shape)]), np.concatenate([y, far]))


@pytest.fixture(scope="module")
def prediction(batch) -> BayesPrediction:
    return posterior_mean(batch, ALL, samples=SAMPLES, key=jr.key(0))


def test_agrees_with_a_dense_grid_over_all_families(support, prediction):
    for i, (x, y) in enumerate(zip(*support, strict=True)):
        probabilities, means = brute_force(x, y)
        np.testing.assert_allclose(prediction.mode_probabilities[i], probabilities, atol=0.01, err_msg=str(i))
        np.testing.assert_allclose(prediction.mean[i, :, 0], probabilities @ means, atol=0.04, err_msg=str(i))
        for mode in np.flatnonzero(probabilities > 0.05):
            told = prediction.mean_of_mode[i, mode, :, 0]
            np.testing.assert_allclose(told, means[mode], atol=0.04, err_msg=f"{i}, {ALL[mode]}")


def test_diagnostics_are_in_range_and_nothing_overflows_far_from_every_family(batch, prediction):
    assert prediction.mean.shape == batch.query.targets.shape
    assert np.all(np.isfinite(prediction.mean))
    assert np.all(np.abs(prediction.mean) < 30)
    assert np.all((prediction.ess > 0.999) & (prediction.ess < len(ALL) * SAMPLES * 1.001))
    assert np.all(prediction.ess[: len(FUNCTIONS)] > 30)
    np.testing.assert_allclose(prediction.mode_probabilities.sum(1), 1, rtol=1e-4)


def test_is_a_function_of_the_key(batch, prediction):
    again = posterior_mean(batch, ALL, samples=SAMPLES, key=jr.key(0))
    other = posterior_mean(batch, ALL, samples=SAMPLES, key=jr.key(1))
    np.testing.assert_array_equal(again.mean, prediction.mean)
    assert np.any(other.mean != prediction.mean)
    np.testing.assert_allclose(other.mean[: len(FUNCTIONS)], prediction.mean[: len(FUNCTIONS)], atol=0.05)


def test_agrees_with_conjugate_bayesian_regression_where_the_ranges_do_not_matter():
    rng = np.random.default_rng(2)
    x = np.tile([-4.0, -2.0, 0.0, 2.0, 4.0], (20, 1))
    a, b = rng.uniform(-1.5, 1.5, (2, 20, 1))
    y = a * x + b + NOISE_STD * rng.normal(size=x.shape)
    prediction = posterior_mean(tasks_of(x, y), ("linear",), samples=SAMPLES, key=jr.key(0))
    # x has mean zero, so slope and intercept are independent.
    expected = (x * y).sum(1, keepdims=True) / (x**2).sum(1, keepdims=True) * QUERY + y.mean(1, keepdims=True)
    np.testing.assert_allclose(prediction.mean[..., 0], expected, atol=0.005)
    assert np.all(prediction.ess > 0.9 * SAMPLES)


def test_who_is_told_the_mode_expects_less_error():
    tasks = mixture(ALL).sample(jr.key(3), 500)
    best = posterior_mean(tasks, ALL, samples=512, key=jr.key(0))
    gain = np.asarray(query_mse(best, tasks) - query_mse(best, tasks, told=True))
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))


def test_query_mse_is_a_mean_over_the_queries_of_each_task(batch, prediction):
    expected = (np.array(prediction.mean) ** 2).mean((1, 2))  # the batch's query targets are all zero
    np.testing.assert_allclose(query_mse(prediction, batch), expected, rtol=1e-5)
