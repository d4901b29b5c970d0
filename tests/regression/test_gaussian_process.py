"""The Gaussian process against scikit-learn's, and the choice of its kernel."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from mmaml import AbstractTaskSource, Samples, Task
from mmaml.regression.gaussian_process import Kernel, fit_kernel, query_mse


class Waves(AbstractTaskSource):
    """Sine waves of one length of two inputs, with noise."""

    length: float
    noise: float
    modes = ("waves",)

    def sample(self, key, n):
        keys = jr.split(key, 3)
        x = jr.uniform(keys[0], (n, 30, 2), minval=-2, maxval=2)
        y = jnp.sin(x.sum(-1, keepdims=True) / self.length + jr.uniform(keys[1], (n, 1, 1), maxval=6.3))
        y += self.noise * jr.normal(keys[2], y.shape)
        return Task(Samples(x[:, :15], y[:, :15]), Samples(x[:, 15:], y[:, 15:]), jnp.zeros(n, int))


@pytest.mark.parametrize("kernel", [Kernel(0.5, 0.1), Kernel(2.0, 0.001)])
def test_errors_are_those_of_scikit_learn(kernel):
    tasks = Waves(1.0, 0.1).sample(jr.key(0), 4)
    for i, error in enumerate(query_mse(tasks, kernel)):
        task = jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i], np.float64), tasks)
        theirs = GaussianProcessRegressor(
            ConstantKernel(1.0) + RBF(kernel.length), alpha=kernel.noise, optimizer=None
        ).fit(task.support.inputs, task.support.targets[:, 0])
        expected = np.mean((theirs.predict(task.query.inputs) - task.query.targets[:, 0]) ** 2)
        assert error == pytest.approx(expected, rel=2e-2)


def test_the_kernel_suits_the_tasks():
    rough, smooth, noisy = (fit_kernel(Waves(*kind)) for kind in ((0.5, 0.03), (4.0, 0.03), (4.0, 1.0)))
    assert rough.length < smooth.length and smooth.noise < noisy.noise
