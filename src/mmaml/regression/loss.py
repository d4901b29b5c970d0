"""What regression lowers, and is judged by."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def mean_squared_error(outputs: Float[Array, "points out"], targets: Float[Array, "points out"]) -> Float[Array, ""]:
    """Mean over points and outputs."""
    return jnp.mean((outputs - targets) ** 2)
