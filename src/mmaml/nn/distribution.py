"""What a policy says about its next action: a distribution over real numbers, or over a few choices."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractDistribution(eqx.Module):
    """Over actions, vectors along the last axis."""

    @abc.abstractmethod
    def sample(self, noise: Float[Array, "*batch size"]) -> Float[Array, "*batch size"]:
        """Actions at random, as far as `noise` is."""

    @abc.abstractmethod
    def likeliest(self) -> Float[Array, "*batch size"]:
        """The actions of the greatest density or probability."""

    @abc.abstractmethod
    def log_prob(self, x: Float[Array, "*batch size"]) -> Float[Array, "*batch"]:
        """Logarithm of the density or probability of `x`."""

    @abc.abstractmethod
    def kl(self, other: Any) -> Float[Array, "*batch"]:
        """KL(self ‖ other), another of the same kind."""

    @abc.abstractmethod
    def fisher_vector_product(self, change: Any) -> "AbstractDistribution":
        """The Fisher information times a change of what makes the distribution up."""


class Gaussian(AbstractDistribution):
    """Normal distribution of independent coordinates; drawn with standard normal noise."""

    mean: Float[Array, "*batch size"]
    log_std: Float[Array, "*batch size"]

    def sample(self, noise: Float[Array, "*batch size"]) -> Float[Array, "*batch size"]:
        """As many deviations from the mean as `noise` says."""
        return self.mean + jnp.exp(self.log_std) * noise

    def likeliest(self) -> Float[Array, "*batch size"]:
        """The mean."""
        return self.mean

    def log_prob(self, x: Float[Array, "*batch size"]) -> Float[Array, "*batch"]:
        """Logarithm of the density at `x`."""
        z = (x - self.mean) * jnp.exp(-self.log_std)
        return -jnp.sum(0.5 * z**2 + self.log_std + 0.5 * jnp.log(2 * jnp.pi), axis=-1)

    def kl(self, other: "Gaussian") -> Float[Array, "*batch"]:
        """KL(self ‖ other)."""
        ratio = jnp.exp(2 * (self.log_std - other.log_std))
        z = (self.mean - other.mean) * jnp.exp(-other.log_std)
        return jnp.sum(other.log_std - self.log_std + 0.5 * (ratio + z**2 - 1), axis=-1)

    def fisher_vector_product(self, change: "Gaussian") -> "Gaussian":
        """The Fisher information times a change of mean and logarithm of the deviation."""
        return Gaussian(change.mean * jnp.exp(-2 * self.log_std), 2 * change.log_std)


class Categorical(AbstractDistribution):
    """One of a few choices, a vector with a one at its place and zeros elsewhere; drawn with Gumbel noise."""

    logits: Float[Array, "*batch size"]

    def sample(self, noise: Float[Array, "*batch size"]) -> Float[Array, "*batch size"]:
        """The choice that is first once `noise` is added: each as often as its probability says."""
        return self._chosen(self.logits + noise)

    def likeliest(self) -> Float[Array, "*batch size"]:
        """The choice of the greatest probability."""
        return self._chosen(self.logits)

    def log_prob(self, x: Float[Array, "*batch size"]) -> Float[Array, "*batch"]:
        """Logarithm of the probability of a choice."""
        return jnp.sum(x * jax.nn.log_softmax(self.logits), axis=-1)

    def kl(self, other: "Categorical") -> Float[Array, "*batch"]:
        """KL(self ‖ other)."""
        log_p, log_q = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)

    def fisher_vector_product(self, change: "Categorical") -> "Categorical":
        """The Fisher information, the covariance of the choices, times a change of the logits."""
        p = jax.nn.softmax(self.logits)
        return Categorical(p * (change.logits - jnp.sum(p * change.logits, axis=-1, keepdims=True)))

    def _chosen(self, score: Float[Array, "*batch size"]) -> Float[Array, "*batch size"]:
        return jax.nn.one_hot(score.argmax(-1), score.shape[-1])
