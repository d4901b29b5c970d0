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
    """Functions y = f(x; p) with every parameter p_i uniform on `ranges[i]`, independent of the others."""

    function: Callable[..., Array]
    ranges: tuple[tuple[float, float], ...]

    def draw(self, key: PRNGKeyArray) -> Float[Array, " parameters"]:
        """Parameters of one function."""
        low, high = jnp.array(self.ranges).T
        return jr.uniform(key, (len(self.ranges),), minval=low, maxval=high)

    def __call__(self, parameters: Float[Array, " parameters"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Values at `x` of the function with these parameters."""
        return self.function(x, *parameters)


_SYMMETRIC = (-3.0, 3.0)

FAMILIES: dict[str, Family] = {
    "sinusoid": Family(lambda x, a, phi: a * jnp.sin(x - phi), ((0.1, 5.0), (0.0, math.pi))),
    "linear": Family(lambda x, a, b: a * x + b, (_SYMMETRIC, _SYMMETRIC)),
    # The last parameter only lends its sign, so that either sign has probability one half.
    "quadratic": Family(
        lambda x, a, c, b, s: jnp.sign(s) * a * (x - c) ** 2 + b,
        ((0.02, 0.15), _SYMMETRIC, _SYMMETRIC, (-1.0, 1.0)),
    ),
    "tanh": Family(lambda x, a, c, b: a * jnp.tanh(x - c) + b, (_SYMMETRIC, _SYMMETRIC, _SYMMETRIC)),
    "l1": Family(lambda x, a, c, b: a * jnp.abs(x - c) + b, (_SYMMETRIC, _SYMMETRIC, _SYMMETRIC)),
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
        family = FAMILIES[self.family]

        def draw(key: PRNGKeyArray) -> Samples:
            parameter_key, x_key, noise_key = jr.split(key, 3)
            shape = (self.shots + self.queries, 1)
            x = jr.uniform(x_key, shape, minval=X_RANGE[0], maxval=X_RANGE[1])
            noise = NOISE_STD * jr.normal(noise_key, shape)
            return Samples(x, family(family.draw(parameter_key), x) + noise)

        samples = jax.vmap(draw)(jr.split(key, n))
        support = jax.tree.map(lambda a: a[:, : self.shots], samples)
        query = jax.tree.map(lambda a: a[:, self.shots :], samples)
        return Task(support, query, jnp.zeros(n, int))


def mixture(families: Sequence[str], shots: int = 5, queries: int = 5) -> Mixture:
    """Tasks of several families in equal shares."""
    return Mixture(tuple(FunctionTasks(f, shots, queries) for f in families), tuple(families))
