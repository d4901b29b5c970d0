"""Muon, an outer optimiser that moves each weight matrix along an orthogonal one.

Optax has Muon, too. This one rounds its products as told and is faster on CPUs (`benchmarks/muon.py`).
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from mmaml.core.precision import Precision, product


_MOMENTUM = 0.95
_STEPS = 5
_COEFFICIENTS = 3.4445, -4.7750, 2.0315
_ADAMS_STEP = 0.2


def muon(
    rate: optax.ScalarOrSchedule, are_matrices: Callable[[PyTree], PyTree], *, precision: Precision = "float32"
) -> optax.GradientTransformation:
    """Nesterov's momentum made orthogonal for weight matrices, and Adam with such momentum for all other parameters.

    Steps of matrices are as long as Adam's usually are (a fifth of the rate in each entry, root mean square), so that
    one `rate` suits both.

    - `are_matrices` says of each leaf of a tree of parameters whether it is a matrix in its last two axes, or several
      where it has axes before these.
    - `precision`: what the factors of products are rounded to while a matrix is made orthogonal.

    Sources: K. Jordan et al., *Muon* (2024), with its coefficients; J. Liu et al., *Muon is scalable for LLM training*
    (2025), section 2.2, for the length of steps.
    """

    def orthogonal(momentum: PyTree) -> PyTree:
        return jax.tree.map(jnp.vectorize(partial(_orthogonal, precision), signature="(m,n)->(m,n)"), momentum)

    matrices = optax.chain(
        optax.trace(_MOMENTUM, nesterov=True),
        optax.stateless(lambda momentum, _: orthogonal(momentum)),
        optax.scale_by_learning_rate(rate),
    )
    return optax.partition({True: matrices, False: optax.nadam(rate)}, are_matrices)


def _orthogonal(precision: Precision, matrix: Float[Array, "m n"]) -> Float[Array, "m n"]:
    """U Vᵀ of the matrix' singular value decomposition U S Vᵀ, roughly, times the length of a step."""
    first, second, third = _COEFFICIENTS

    def newton_schulz(_: Int[Array, ""], x: Float[Array, "short long"]) -> Float[Array, "short long"]:
        squares = product(x, x, precision, axis=1)
        polynomial = second * squares + third * product(squares, squares, precision)
        return first * x + product(polynomial, x, precision)

    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    # A loop and not unrolled: XLA would move the transposition into the products, and has none for that with bfloat16.
    x = jax.lax.fori_loop(0, _STEPS, newton_schulz, wide / (jnp.linalg.norm(wide) + 1e-8))
    return _ADAMS_STEP * wide.shape[1] ** 0.5 * (x if wide is matrix else x.T)
