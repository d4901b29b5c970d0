"""The learners of classification are those that are asked for."""

from dataclasses import replace

import equinox as eqx
import jax.random as jr
import pytest

from mmaml.classification.learner import make_learner
from mmaml.classification.presets import PRESETS


@pytest.mark.parametrize(("labels", "joined"), [(True, 7), (False, 0)])
def test_the_encoder_reads_labels_if_asked_for(labels, joined):
    config = replace(PRESETS["classification-2"], way=7, channels=(4,), encoder_labels=labels)
    learner = eqx.filter_eval_shape(lambda: make_learner(config, channels=1, modes=("a", "b"), key=jr.key(0)))
    assert learner.modulator.encoder.out.in_features == 4 + joined
