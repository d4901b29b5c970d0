"""From a configuration to the untrained learner."""

from functools import partial

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.learners import AbstractLearner
from mmaml.core.network import MetaOnly
from mmaml.experiments.learner import assemble_learner
from mmaml.nn.linear import HE
from mmaml.nn.mlp import MLP
from mmaml.nn.recurrent import BiLSTMEncoder
from mmaml.regression.config import RegressionConfig
from mmaml.supervised.build import make_inner


CONTEXT_SIZE = 20
"""Length of the baselines' bias transformation."""


def make_learner(config: RegressionConfig, *, in_size: int, modes: int, key: PRNGKeyArray) -> AbstractLearner:
    """The untrained learner."""
    initialise = _INITIALISERS[config.initialisation]

    def network(key: PRNGKeyArray) -> MLP:
        context = None
        if config.learner in ("maml", "multi-maml"):
            context = jnp.zeros(CONTEXT_SIZE)
            if config.fixed_context:
                key, context_key = jr.split(key)
                context = MetaOnly(jr.normal(context_key, (CONTEXT_SIZE,)))
        return MLP(in_size, 1, config.hidden, initialise=initialise, context=context, key=key)

    def encoder(key: PRNGKeyArray) -> BiLSTMEncoder:
        return BiLSTMEncoder(in_size, 1, hidden=config.encoder_hidden, sort=config.sort_support, key=key)

    inner = partial(make_inner, config)
    return assemble_learner(config, network, encoder, inner, modes=modes, key=key, blocks=config.modulated_blocks)


def _small(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "out in"]:
    return 0.01 * jr.normal(key, shape)


_INITIALISERS = {"small": _small, "he": HE}
