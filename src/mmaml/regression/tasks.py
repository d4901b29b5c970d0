"""The paper's five families of one-dimensional functions, and few-shot tasks drawn from them (§5.1)."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.task import AbstractTaskSource, Mixture, Samples, Task


X_RANGE = (-5.0, 5.0)
NOISE_STD = 0.3
"""Standard deviation of the noise on every y, support and query alike: an error of 0.09 nobody can avoid."""


class Family(NamedTuple):
    """Functions y = f(x; p) with every parameter p_i uniform on `ranges[i]`, independent of the others.

    Given all others, y is jointly affine in the parameters with the indices `affine`.
    """

    function: Callable[..., Array]
    ranges: tuple[tuple[float, float], ...]
    affine: tuple[int, ...]

    def draw(self, key: PRNGKeyArray) -> Float[Array, " parameters"]:
        """Parameters of one function."""
        low, high = jnp.array(self.ranges).T
        return jr.uniform(key, (len(self.ranges),), minval=low, maxval=high)

    def __call__(self, parameters: Float[Array, " parameters"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Values at `x` of the function with these parameters."""
        return self.function(x, *parameters)


_SYMMETRIC = (-3.0, 3.0)

FAMILIES: dict[str, Family] = {
    "sinusoid": Family(lambda x, a, phi: a * jnp.sin(x - phi), ((0.1, 5.0), (0.0, math.pi)), (0,)),
    "linear": Family(lambda x, a, b: a * x + b, (_SYMMETRIC, _SYMMETRIC), (0, 1)),
    # The last parameter only lends its sign, so that either sign has probability one half.
    "quadratic": Family(
        lambda x, a, c, b, s: jnp.sign(s) * a * (x - c) ** 2 + b,
        ((0.02, 0.15), _SYMMETRIC, _SYMMETRIC, (-1.0, 1.0)),
        (0, 2),
    ),
    "tanh": Family(lambda x, a, c, b: a * jnp.tanh(x - c) + b, (_SYMMETRIC, _SYMMETRIC, _SYMMETRIC), (0, 2)),
    "l1": Family(lambda x, a, c, b: a * jnp.abs(x - c) + b, (_SYMMETRIC, _SYMMETRIC, _SYMMETRIC), (0, 2)),
}
"""The families by name, in the paper's order: the k-mode setting takes the first k."""


class FunctionTasks(AbstractTaskSource):
    """Few-shot regression tasks of one family: noisy values at inputs drawn uniformly from `X_RANGE`."""

    family: str = eqx.field(static=True)
    shots: int = eqx.field(static=True, default=5)
    queries: int = eqx.field(static=True, default=5)

    @property
    def modes(self) -> tuple[str, ...]:
        """The family's name."""
        return (self.family,)

    def sample(self, key: PRNGKeyArray, n: int) -> Task:
        """`n` tasks; inputs and targets have the shape `(n, points, 1)`."""
        _, samples = jax.vmap(lambda key: self.draw(key, self.shots + self.queries))(jr.split(key, n))
        support = jax.tree.map(lambda a: a[:, : self.shots], samples)
        query = jax.tree.map(lambda a: a[:, self.shots :], samples)
        return Task(support, query, jnp.zeros(n, int))

    def draw(self, key: PRNGKeyArray, points: int) -> tuple[Float[Array, " parameters"], Samples]:
        """Parameters of one function, and `points` noisy values of it."""
        family = FAMILIES[self.family]
        parameter_key, x_key, noise_key = jr.split(key, 3)
        parameters = family.draw(parameter_key)
        x = jr.uniform(x_key, (points, 1), minval=X_RANGE[0], maxval=X_RANGE[1])
        noise = NOISE_STD * jr.normal(noise_key, (points, 1))
        return parameters, Samples(x, family(parameters, x) + noise)


def mixture(families: Sequence[str], shots: int = 5, queries: int = 5) -> Mixture:
    """Tasks of several families in equal shares."""
    return Mixture(tuple(FunctionTasks(f, shots, queries) for f in families), tuple(families))
