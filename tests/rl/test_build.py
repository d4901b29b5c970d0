"""Options of reinforcement learning off their defaults, and what is made of them."""

from dataclasses import replace

import equinox as eqx
import jax.random as jr
import pytest

from mmaml.rl.build import make_exploration, make_learner, make_outer
from mmaml.rl.presets import PRESETS


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [
        ("first_order", True, "first_order"),
        ("inner_clip_norm", 3.0, "clip_norm"),
        ("inner_lr", 0.3, "rates"),
        ("inner_steps", 4, "steps"),
    ],
)
def test_options_reach_the_inner_loop(option, value, name):
    config = replace(PRESETS["point-2"], **{option: value})
    environment = make_exploration(config).environment
    learner = eqx.filter_eval_shape(lambda: make_learner(config, environment, key=jr.key(0)))
    assert getattr(learner.inner, name) == value != getattr(PRESETS["point-2"], option)


@pytest.mark.parametrize(("option", "value"), [("discount", 0.5), ("gae_lambda", 0.25), ("rollouts", 3)])
def test_options_reach_the_exploration(option, value):
    assert getattr(make_exploration(replace(PRESETS["point-2"], **{option: value})), option) == value


@pytest.mark.parametrize(("option", "value"), [("epochs", 3), ("clip", 0.3), ("kl_penalty", 0.5)])
def test_options_reach_promp(option, value):
    assert getattr(make_outer(replace(PRESETS["point-2"], **{option: value})), option) == value


def test_the_rate_falls_to_zero_over_all_epochs_of_a_run():
    rate = make_outer(replace(PRESETS["point-2"], meta_lr=0.2, meta_iterations=10, epochs=4)).learning_rate
    assert [rate(0), rate(20), rate(40)] == pytest.approx([0.2, 0.1, 0], abs=1e-7)
    assert rate(39) > 0


def test_the_bound_reaches_the_trust_region():
    assert make_outer(replace(PRESETS["point-2"], objective="trpo", max_kl=0.3)).max_kl == 0.3
