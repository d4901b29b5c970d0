"""What classification lowers, and is judged by."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


def cross_entropy(logits: Float[Array, "images way"], labels: Int[Array, " images"]) -> Float[Array, ""]:
    """Mean over images."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def accuracy(logits: Float[Array, "images way"], labels: Int[Array, " images"]) -> Float[Array, ""]:
    """Share of images whose highest logit is that of their label."""
    return jnp.mean(logits.argmax(-1) == labels)
