"""Means with intervals, against textbook formulas."""

import numpy as np
import pytest
import scipy.stats

from mmaml.runs.statistics import by_mode, mean_and_ci


def test_the_interval_of_groups_is_that_of_their_means():
    rng = np.random.default_rng(0)
    means = rng.normal(size=5)
    values, groups = (means[:, None] + rng.normal(size=(5, 40))).ravel(), np.repeat([3, 1, 4, 2, 9], 40)
    means = values.reshape(5, 40).mean(1)
    low, high = scipy.stats.ttest_1samp(means, 0).confidence_interval(0.95)
    numbers = mean_and_ci(values, groups)
    assert numbers["mean"] == pytest.approx(values.mean())
    assert numbers["ci95"] == pytest.approx((high - low) / 2)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)

    def holds() -> bool:
        values = (rng.normal(size=(3, 1)) + rng.normal(size=(3, 20))).ravel()
        numbers = mean_and_ci(values, np.repeat(np.arange(3), 20))
        return abs(numbers["mean"]) < numbers["ci95"]

    assert np.mean([holds() for _ in range(2000)]) == pytest.approx(0.95, abs=0.02)


def test_a_mode_with_one_group_has_no_interval():
    values, modes = np.arange(6.0), np.array([0, 0, 1, 1, 1, 1])
    result = by_mode(values, modes, ("a", "b"), groups=np.array([0, 0, 1, 1, 2, 2]))
    assert list(result["per_mode"]) == ["b"] and list(by_mode(values, modes, ("a", "b"))["per_mode"]) == ["a", "b"]
