"""Random draws inside jit."""

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Int, PRNGKeyArray


def distinct(key: PRNGKeyArray, count: int | Int[Array, ""], size: int) -> Int[Array, " size"]:
    """`size` different numbers of 0 … `count` − 1 in random order; `count` costs nothing and may be traced.

    Every sequence is equally likely. There must be at least `size` numbers to draw from.
    """
    place = jnp.arange(size)
    # The i-th entry is first the rank of what is drawn among the numbers that the i draws before it left.
    ranks = jr.randint(key, (size,), 0, count - place)

    def make_room(numbers: Int[Array, " size"], i: Int[Array, ""]) -> tuple[Int[Array, " size"], None]:
        return numbers + ((place > i) & (numbers >= numbers[i])), None

    return jax.lax.scan(make_room, ranks, place, reverse=True)[0]
