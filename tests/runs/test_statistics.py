"""Means with intervals, against textbook formulas."""

import numpy as np
import pytest
import scipy.stats

from mmaml.runs.statistics import by_mode, mean_and_ci, progress_numbers


def half_width(means):
    low, high = scipy.stats.ttest_1samp(means, 0).confidence_interval(0.95)
    return (high - low) / 2


def test_the_interval_of_groups_is_that_of_their_means():
    rng = np.random.default_rng(0)
    means = rng.normal(size=5)
    values, groups = (means[:, None] + rng.normal(size=(5, 40))).ravel(), np.repeat([3, 1, 4, 2, 9], 40)
    numbers = mean_and_ci(values, groups)
    assert numbers["mean"] == pytest.approx(values.mean())
    assert numbers["ci95"] == pytest.approx(half_width(values.reshape(5, 40).mean(1)))


def test_the_interval_of_a_mode_is_that_of_the_means_of_its_groups():
    values = np.random.default_rng(0).normal(size=(6, 10))
    per_mode = by_mode(values.ravel(), np.arange(60) // 30, ("a", "b"), groups=np.arange(60) // 10)["per_mode"]
    for name, part in (("a", values[:3]), ("b", values[3:])):
        assert per_mode[name] == pytest.approx({"mean": part.mean(), "ci95": half_width(part.mean(1))})


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


def test_progress_is_before_the_first_step_and_after_the_last():
    numbers = progress_numbers(np.array([[4.0, 9.0, 1.0], [6.0, 9.0, 3.0]]))
    assert (numbers["query_before"], numbers["query"]) == (5, 2)
    assert numbers["query_ci95"] == pytest.approx(1.96)
