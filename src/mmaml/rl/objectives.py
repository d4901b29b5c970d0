"""What policies are improved by: losses of one task's `Experience`, given what a policy says at its steps."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mmaml.nn.distribution import AbstractDistribution
from mmaml.rl.experience import Experience


def likelihood_ratio(policy: AbstractDistribution, seen: Experience) -> Float[Array, ""]:
    """−mean(π(a|s)/π_old(a|s) · A): ProMP's inner loss. Where π is still π_old, its gradient is the policy gradient."""
    return -jnp.mean(_ratio(policy, seen) * seen.advantages)


def log_likelihood(policy: AbstractDistribution, seen: Experience) -> Float[Array, ""]:
    """−mean(log π(a|s) · A): vanilla policy gradient, as in MAML."""
    return -jnp.mean(policy.log_prob(seen.actions) * seen.advantages)


def clipped_ratio(policy: AbstractDistribution, seen: Experience, clip: float) -> Float[Array, ""]:
    """ProMP's outer loss, that of PPO: a ratio beyond 1 ± `clip` has no more to gain."""
    ratio = _ratio(policy, seen)
    gain = jnp.minimum(ratio * seen.advantages, ratio.clip(1 - clip, 1 + clip) * seen.advantages)
    return -jnp.mean(gain)


def mean_kl(policy: AbstractDistribution, seen: Experience) -> Float[Array, ""]:
    """Mean KL(π_old ‖ π)."""
    return jnp.mean(seen.behaviour.kl(policy))


def _ratio(policy: AbstractDistribution, seen: Experience) -> Float[Array, " steps"]:
    return jnp.exp(policy.log_prob(seen.actions) - seen.behaviour.log_prob(seen.actions))
