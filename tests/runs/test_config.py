"""Configurations through JSON, also those that another version stored."""

import json

import pytest

from mmaml.regression.config import RegressionConfig
from mmaml.regression.presets import PRESETS
from mmaml.rl.config import PolicyConfig
from mmaml.rl.presets import PRESETS as RL_PRESETS
from mmaml.runs.config import from_dict, to_dict
from mmaml.runs.errors import UserError


STORED = json.loads(json.dumps(to_dict(PRESETS["regression-5"])))


def test_a_configuration_is_the_same_after_json():
    assert from_dict(RegressionConfig, STORED) == PRESETS["regression-5"]


def test_options_that_were_not_there_yet_have_their_defaults():
    older = {name: value for name, value in STORED.items() if name != "fixed_context"}
    assert from_dict(RegressionConfig, older) == PRESETS["regression-5"]


def test_options_that_are_not_there_any_more_are_named():
    with pytest.raises(UserError, match=r"does not fit this version of mmaml; fields that differ: learner_of_tomorrow"):
        from_dict(RegressionConfig, {**STORED, "learner_of_tomorrow": 1})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("hidden", 3, "a list of which each is a whole number"),
        ("hidden", ["a"], "a list"),
        ("shots", "five", "a whole number"),
        ("inner_lr", None, "a number"),
        ("learner", "mamml", "one of 'mmaml', 'maml'"),
        ("meta_iterations", 1.5, "a whole number or None"),
        ("seed", True, "a whole number"),
        ("augment", 1, "True or False"),
    ],
)
def test_values_of_another_type_are_named(name, value, allowed):
    option = name.replace("_", "-")
    with pytest.raises(UserError, match=rf"--{option} is .*, but must be .*{allowed}"):
        from_dict(RegressionConfig, {**STORED, name: value})


def test_what_is_no_configuration_is_named():
    with pytest.raises(UserError, match=r"stored configuration is \[1\], but must be an object"):
        from_dict(RegressionConfig, [1])


def test_what_has_no_default_must_be_there():
    stored = to_dict(RL_PRESETS["point-2"])
    del stored["environment"]
    with pytest.raises(UserError, match="fields that differ: environment"):
        from_dict(PolicyConfig, stored)


def test_a_message_does_not_quote_a_whole_table():
    with pytest.raises(UserError, match=r"^--data is \(0, 1, .*…, but must be a text or None\.$") as caught:
        from_dict(RegressionConfig, {**STORED, "data": list(range(1000))})
    assert len(str(caught.value)) < 300
