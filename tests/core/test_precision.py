"""What products are rounded to."""

import io

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.precision import fastest_precision, product


@pytest.mark.parametrize(("flags", "expected"), [("avx512f amx_bf16 amx_tile", "bfloat16"), ("avx2 fma", "float32")])
def test_the_fastest_precision_is_what_the_processor_has_units_for(monkeypatch, flags, expected):
    described = f"processor : 0\nflags : fpu {flags} sse2\nprocessor : 1\n"
    monkeypatch.setattr("mmaml.core.precision.open", lambda path: io.StringIO(described), raising=False)
    assert fastest_precision() == expected


@pytest.mark.parametrize("axis", [0, 1])
def test_factors_are_rounded_and_sums_are_not(axis):
    a, b = jr.normal(jr.key(0), (3, 500)), jr.normal(jr.key(1), (500, 4))
    exact = jax.jit(product, static_argnums=2, static_argnames="axis")
    other = b if axis == 0 else b.T
    np.testing.assert_allclose(exact(a, other, "float32", axis=axis), a @ b, atol=1e-4)
    rounded = [np.asarray(m.astype(jnp.bfloat16).astype(jnp.float32)) for m in (a, b)]
    got = exact(a, other, "bfloat16", axis=axis)
    np.testing.assert_allclose(got, rounded[0] @ rounded[1], atol=1e-4)
    assert np.abs(got - a @ b).max() > 1e-2


def test_accelerators_have_units_whatever_the_processor(monkeypatch):
    monkeypatch.setattr("mmaml.core.precision.open", lambda path: io.StringIO("flags : fpu sse2"), raising=False)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert fastest_precision() == "bfloat16"
