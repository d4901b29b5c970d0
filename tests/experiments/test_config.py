"""Options that all domains share."""

import numpy as np
import pytest

from mmaml.regression.config import RegressionConfig


def test_the_outer_rate_falls_along_a_half_cosine_to_zero_after_the_last_step():
    rate = RegressionConfig(("linear",), meta_lr=0.2).meta_rate(10)
    np.testing.assert_allclose([rate(0), rate(5), rate(10)], [0.2, 0.1, 0], atol=1e-7)
    assert rate(9) > 0


def test_a_constant_outer_rate_stays():
    assert RegressionConfig(("linear",), meta_lr=0.2, meta_schedule="constant").meta_rate(10) == pytest.approx(0.2)
