"""Untrained learners of policies for tests."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from mmaml.core.learners import AbstractLearner
from mmaml.rl.build import make_exploration, make_learner
from mmaml.rl.config import PolicyConfig
from mmaml.rl.model import PolicyModel


def tiny_config(environment: str, **options: Any) -> PolicyConfig:
    sizes: dict[str, Any] = {"hidden": (8, 8), "encoder_hidden": 8, "rollouts": 2, "inner_steps": 1, "budget": "smoke"}
    return PolicyConfig(environment, **sizes | options)


def tiny_model(environment: str, **options: Any) -> PolicyModel:
    """A learner with weights from NumPy: its own initialisation takes seconds to compile."""
    config = tiny_config(environment, **options)
    exploration = make_exploration(config)
    make = functools.partial(make_learner, config, exploration.environment)
    shapes = eqx.filter_eval_shape(lambda key: make(key=key), jr.key(0))
    rng = np.random.default_rng(0)

    def fill(leaf: Any) -> Any:
        is_shape = isinstance(leaf, jax.ShapeDtypeStruct)
        return jnp.asarray(0.4 * rng.normal(size=leaf.shape), jnp.float32) if is_shape else leaf

    learner: AbstractLearner = jax.tree.map(fill, shapes)
    return PolicyModel(config, learner, exploration)
