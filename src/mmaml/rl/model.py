"""A trained learner of policies in use."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax.random as jr
import numpy as np

from mmaml.core.learners import AbstractLearner
from mmaml.experiments.modelfile import fill_learner, write_model
from mmaml.rl.build import make_exploration, make_learner
from mmaml.rl.explore import Exploration
from mmaml.rl.presets import PolicyConfig
from mmaml.runs.config import from_dict, to_dict


DOMAIN = "rl"


class PolicyModel:
    """A meta-trained learner with the environment whose tasks it learns."""

    def __init__(self, config: PolicyConfig, learner: AbstractLearner, exploration: Exploration):
        self.config = config
        self.learner = learner
        self.exploration = exploration

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the kinds of task."""
        return self.exploration.environment.modes

    def save(self, path: Path) -> None:
        """Write the model to one safetensors file."""
        write_model(path, DOMAIN, self.learner, {"config": to_dict(self.config)}, {})

    @classmethod
    def restore(cls, header: dict[str, Any], tensors: dict[str, np.ndarray], path: Path) -> "PolicyModel":
        """The model whose file at `path` holds `header` and `tensors`.

        Raises `UserError` if it is damaged, or its environment needs MuJoCo, which is not there.
        """
        config = from_dict(PolicyConfig, header["config"])
        exploration = make_exploration(config)
        make = eqx.Partial(make_learner, config, exploration.environment)
        like = eqx.filter_eval_shape(lambda key: make(key=key), jr.key(0))
        return cls(config, fill_learner(like, tensors, path), exploration)
