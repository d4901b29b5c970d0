"""The dual form of fast weights: a linear layer after gradient steps, without ever forming its new weights.

A gradient step on a linear layer adds an outer product for every support point, −α Σ_k δ_k h_kᵀ, so the layer
can keep the pairs (h_k, −α δ_k) and apply them to its input: K inner products instead of a new matrix.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class FastLinear(eqx.Module):
    """`slow` after gradient steps that left the pairs (`inputs`, `changes`): W x + b + Σ_r (H_r·x + 1) Δ_r."""

    slow: eqx.nn.Linear
    inputs: Float[Array, "*tasks rank in"]
    changes: Float[Array, "*tasks rank out"]

    @property
    def in_features(self) -> int:
        """As of `eqx.nn.Linear`."""
        return self.inputs.shape[-1]

    @property
    def out_features(self) -> int:
        """As of `eqx.nn.Linear`."""
        return self.changes.shape[-1]

    def __call__(self, x: Float[Array, " in"], *, key: PRNGKeyArray | None = None) -> Float[Array, " out"]:
        """Output for one input vector; `key` is there for `eqx.nn.Sequential`, as in Equinox's own layers."""
        del key
        shares = _project(self.inputs, x) + float(self.slow.use_bias)
        y = x @ self.slow.weight.T + _combine(shares, self.changes)
        return y if self.slow.bias is None else y + self.slow.bias


class Factors(eqx.Module):
    """A gradient of a linear layer as outer products: Σ_k `deltas[k]` `inputs[k]`ᵀ for W, Σ_k `deltas[k]` for b."""

    inputs: Float[Array, "*axes in"]
    deltas: Float[Array, "*axes out"]


def fasten(layer: eqx.nn.Linear) -> FastLinear:
    """The layer before any step: no pairs yet."""
    out_size, in_size = layer.weight.shape
    kind = layer.weight.dtype
    return FastLinear(layer, jnp.zeros((0, in_size), kind), jnp.zeros((0, out_size), kind))


def materialise(layer: FastLinear) -> eqx.nn.Linear:
    """The layer with its new weights formed."""
    weight = layer.slow.weight + layer.changes.T @ layer.inputs
    bias = None if layer.slow.bias is None else layer.slow.bias + layer.changes.sum(0)
    return eqx.tree_at(lambda old: (old.weight, old.bias), layer.slow, (weight, bias), is_leaf=lambda x: x is None)


def pays(layer: eqx.nn.Linear, rank: int) -> bool:
    """Whether `rank` pairs are faster than a copy of the weights they stand for.

    By measurement on CPUs: while they hold less than five fourths as many numbers. Not for layers of scalars.
    """
    if "scalar" in (layer.in_features, layer.out_features):
        return False
    out_size, in_size = layer.weight.shape
    return 4 * rank * (in_size + out_size) < 5 * in_size * out_size


def empty_factors(layer: FastLinear, points: int) -> Factors:
    """Zeros for `Tapped`, one pair for each of `points` examples."""
    out_size, in_size = layer.slow.weight.shape
    kind = layer.slow.weight.dtype
    return Factors(jnp.zeros((points, in_size), kind), jnp.zeros((points, out_size), kind))


def extend(layer: FastLinear, gradient: Factors, rate: Float[Array, ""]) -> FastLinear:
    """The layer after one more gradient step of size `rate`."""
    return FastLinear(
        layer.slow,
        jnp.concatenate([layer.inputs, gradient.inputs]),
        jnp.concatenate([layer.changes, -rate * gradient.deltas]),
    )


def factored_square_norm(gradient: Factors, use_bias: bool) -> Float[Array, ""]:
    """‖∇W‖² + ‖∇b‖² from the factors: ⟨HHᵀ + 1, ΔΔᵀ⟩."""
    return jnp.sum((_gram(gradient.inputs) + float(use_bias)) * _gram(gradient.deltas))


def _gram(rows: Float[Array, "points n"]) -> Float[Array, "points points"]:
    return jax.vmap(_project, in_axes=(None, 0))(rows, rows)


# The derivative of both products by their rows is an outer product for each example, summed over the examples. JAX
# would make that a matrix product along the examples, for which XLA's CPU backend takes five times as long.


@jax.custom_vjp
def _project(rows: Float[Array, "rank n"], x: Float[Array, " n"]) -> Float[Array, " rank"]:
    """Inner product of `x` with each row."""
    return x @ rows.T


@jax.custom_vjp
def _combine(shares: Float[Array, " rank"], rows: Float[Array, "rank n"]) -> Float[Array, " n"]:
    """Sum of the rows, each times its share."""
    return shares @ rows


def _pull_project(saved: tuple[Array, Array], g: Float[Array, " rank"]) -> tuple[Array, Array]:
    rows, x = saved
    return g[:, None] * x, _combine(g, rows)


def _pull_combine(saved: tuple[Array, Array], g: Float[Array, " n"]) -> tuple[Array, Array]:
    shares, rows = saved
    return _project(rows, g), shares[:, None] * g


_project.defvjp(lambda rows, x: (_project(rows, x), (rows, x)), _pull_project)
_combine.defvjp(lambda shares, rows: (_combine(shares, rows), (shares, rows)), _pull_combine)


class Tapped(eqx.Module):
    """A layer whose gradient with respect to the zeros in `slot` is its `Factors`."""

    layer: FastLinear
    slot: Factors

    @property
    def in_features(self) -> int:
        """As of `eqx.nn.Linear`."""
        return self.layer.in_features

    @property
    def out_features(self) -> int:
        """As of `eqx.nn.Linear`."""
        return self.layer.out_features

    def __call__(self, x: Float[Array, " in"], *, key: PRNGKeyArray | None = None) -> Float[Array, " out"]:
        """Output for one input vector: the layer's own."""
        del key
        return self.layer(_tap(x, self.slot.inputs)) + self.slot.deltas


@jax.custom_vjp
def _tap(x: Float[Array, " n"], slot: Float[Array, " n"]) -> Float[Array, " n"]:
    """`x` itself; its backward pass hands `x` to the slot as if it were a gradient."""
    del slot
    return x


_tap.defvjp(lambda x, slot: (x, x), lambda x, g: (g, x))
