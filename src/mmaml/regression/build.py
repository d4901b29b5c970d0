"""From a configuration to what it names: task sources and learner."""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.learners import MAML, MMAML, AbstractLearner, MultiMAML
from mmaml.core.modulation import Modulator
from mmaml.core.network import MetaOnly
from mmaml.nn.linear import HE
from mmaml.nn.mlp import MLP
from mmaml.nn.recurrent import BiLSTMEncoder
from mmaml.regression.own import load_tasks
from mmaml.regression.presets import RegressionConfig
from mmaml.regression.scaler import Scaler
from mmaml.regression.tasks import Sources, mixture
from mmaml.supervised.build import make_inner


CONTEXT_SIZE = 20
"""Length of the baselines' bias transformation."""


def mean_squared_error(outputs: Float[Array, "points out"], targets: Float[Array, "points out"]) -> Float[Array, ""]:
    """Mean over points and outputs."""
    return jnp.mean((outputs - targets) ** 2)


def make_sources(config: RegressionConfig) -> Sources:
    """Where the tasks come from: families of functions, or a folder of the user's own.

    Raises `UserError` if the folder cannot be used, or holds other data than the configuration says.
    """
    if config.data is None:
        functions = mixture(config.families, config.shots, config.queries)
        return Sources(functions, functions, Scaler.identity(1))
    return load_tasks(Path(config.data), config.shots, config.queries, config.data_files)


def make_learner(config: RegressionConfig, *, in_size: int, modes: int, key: PRNGKeyArray) -> AbstractLearner:
    """The untrained learner."""
    network_key, encoder_key, heads_key = jr.split(key, 3)
    initialise = _INITIALISERS[config.initialisation]

    def network(context: Array | MetaOnly | None, key: PRNGKeyArray) -> MLP:
        return MLP(in_size, 1, config.hidden, initialise=initialise, context=context, key=key)

    def with_context(key: PRNGKeyArray) -> MLP:
        if not config.fixed_context:
            return network(jnp.zeros(CONTEXT_SIZE), key)
        prior_key, context_key = jr.split(key)
        return network(MetaOnly(jr.normal(context_key, (CONTEXT_SIZE,))), prior_key)

    if config.learner == "maml":
        prior = with_context(network_key)
        return MAML(prior=prior, inner=make_inner(config, prior))
    if config.learner == "multi-maml":
        priors = eqx.filter_vmap(with_context)(jr.split(network_key, modes))
        return MultiMAML(priors=priors, inner=make_inner(config, with_context(network_key)))
    prior = network(None, network_key)
    encoder = BiLSTMEncoder(in_size, 1, hidden=config.encoder_hidden, sort=config.sort_support, key=encoder_key)
    blocks = None if config.modulated == "all" else [0]
    modulator = Modulator(encoder, prior.widths, operator=config.modulation, blocks=blocks, key=heads_key)
    return MMAML(prior=prior, modulator=modulator, inner=make_inner(config, prior))


def _small(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "out in"]:
    return 0.01 * jr.normal(key, shape)


_INITIALISERS = {"small": _small, "he": HE}
