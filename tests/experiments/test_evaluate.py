"""What an evaluation comes to in `result.json`, of values that are made up."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from mmaml.experiments.evaluate import judge
from mmaml.experiments.experiment import Evaluation
from mmaml.regression.experiment import RegressionExperiment
from mmaml.regression.presets import PRESETS
from mmaml.runs.config import to_dict
from mmaml.runs.folder import RunFolder


def test_differences_to_the_reference_are_as_uncertain_as_the_means_of_groups(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    values, reference, groups = rng.normal(size=(40, 2)), rng.normal(size=40), np.arange(40) // 10
    made = Evaluation(values, np.arange(40) // 20, {}, groups, ("another", reference))
    monkeypatch.setattr(RegressionExperiment, "evaluate", lambda *_: made)
    experiment = RegressionExperiment(replace(PRESETS["regression-2"], learner="maml", hidden=(4,)))
    folder = RunFolder.create(tmp_path / "run", "regression", "regression-2", to_dict(experiment.config))
    result, _ = judge(folder, experiment, 0, experiment.trainer.learner)
    means = (values[:, 1] - reference).reshape(4, 10).mean(1)
    low, high = scipy.stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert result["excess"] == pytest.approx({"mean": means.mean(), "ci95": (high - low) / 2})
