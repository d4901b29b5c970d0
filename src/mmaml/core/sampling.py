"""Random draws inside jit."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int, PRNGKeyArray, PyTree


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


def require_pure(sample: Callable[[PRNGKeyArray], PyTree], key: PRNGKeyArray) -> None:
    """Raise `ValueError` unless `sample` does the same whenever it is traced.

    What draws with NumPy does not; compiled, it would draw once, and give the same for ever.
    """
    # A new function each time, since JAX would not trace the same one twice.
    first, again = (jax.make_jaxpr(lambda key: sample(key))(key) for _ in range(2))
    code, code_again = (re.sub("0x[0-9a-f]+", "", str(trace.jaxpr)) for trace in (first, again))  # addresses in memory
    if code != code_again or not all(map(_same, first.consts, again.consts)):
        raise ValueError(
            "tasks of the same key are not the same: `sample` must be a pure function of its key. Draw with "
            "`jax.random` only, not with NumPy or `random`."
        )


def _same(one: Any, other: Any) -> bool:
    traced = isinstance(one, Tracer) or isinstance(other, Tracer)
    return one is other or (not traced and np.array_equal(one, other))
