"""How finely the factors of large matrix products are rounded."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


Precision = Literal["float32", "bfloat16"]
"""What the factors of products are rounded to; sums are of 32 bits in any case."""


def fastest_precision() -> Precision:
    """`bfloat16` where there are matrix units for it, else `float32`.

    Accelerators have them; a processor does if it has AMX, as far as Linux tells.
    """
    if jax.default_backend() != "cpu":
        return "bfloat16"
    try:
        with open("/proc/cpuinfo") as processors:
            flags = next((line for line in processors if line.startswith("flags")), "")
    except OSError:
        flags = ""
    return "bfloat16" if "amx_bf16" in flags.split() else "float32"


def product(
    a: Float[Array, "_ _"], b: Float[Array, "_ _"], precision: Precision, *, axis: int = 0
) -> Float[Array, "_ _"]:
    """The product over the last axis of `a` and one of `b`, with both of them rounded."""
    a, b = a.astype(precision), b.astype(precision)
    return jax.lax.dot_general(a, b, (((1,), (axis,)), ((), ())), preferred_element_type=jnp.float32)
