"""What policies are improved by: losses of one task's `Experience`, given what a policy says at its steps.

Means are over the steps that took place, by the weights of the experience.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mmaml.nn.distribution import AbstractDistribution
from mmaml.rl.experience import Experience


def likelihood_ratio(policy: AbstractDistribution, experience: Experience) -> Float[Array, ""]:
    """−mean(π(a|s)/π_old(a|s) · A): ProMP's inner loss. Where π is still π_old, its gradient is the policy gradient."""
    return -_mean(_ratio(policy, experience) * experience.advantages, experience)


def log_likelihood(policy: AbstractDistribution, experience: Experience) -> Float[Array, ""]:
    """−mean(log π(a|s) · A): vanilla policy gradient, as in MAML."""
    return -_mean(policy.log_prob(experience.actions) * experience.advantages, experience)


def clipped_ratio(policy: AbstractDistribution, experience: Experience, clip: float) -> Float[Array, ""]:
    """ProMP's outer loss, that of PPO: a ratio beyond 1 ± `clip` has no more to gain."""
    ratio = _ratio(policy, experience)
    gain = jnp.minimum(ratio * experience.advantages, ratio.clip(1 - clip, 1 + clip) * experience.advantages)
    return -_mean(gain, experience)


def mean_kl(policy: AbstractDistribution, experience: Experience) -> Float[Array, ""]:
    """Mean KL(π_old ‖ π)."""
    return _mean(experience.behaviour.kl(policy), experience)


def _ratio(policy: AbstractDistribution, experience: Experience) -> Float[Array, " steps"]:
    return jnp.exp(policy.log_prob(experience.actions) - experience.behaviour.log_prob(experience.actions))


def _mean(values: Float[Array, " steps"], experience: Experience) -> Float[Array, ""]:
    return jnp.mean(experience.weights * values)
