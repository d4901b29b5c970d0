"""From a configuration to what it names: task source, learner, optimiser, trainer."""

from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.inner import InnerLoop, LearnedRates
from mmaml.core.learners import MAML, MMAML, AbstractLearner, MultiMAML
from mmaml.core.meta import MetaTrainer
from mmaml.core.modulation import Modulator
from mmaml.core.network import MetaOnly
from mmaml.core.task import AbstractTaskSource
from mmaml.nn.mlp import MLP
from mmaml.nn.recurrent import BiLSTMEncoder
from mmaml.regression.presets import RegressionConfig
from mmaml.regression.tables import Scaler, load_tasks
from mmaml.regression.tasks import mixture


CONTEXT_SIZE = 20
"""Length of the baselines' bias transformation."""


def mean_squared_error(outputs: Float[Array, "points out"], targets: Float[Array, "points out"]) -> Float[Array, ""]:
    """Mean over points and outputs."""
    return jnp.mean((outputs - targets) ** 2)


def make_trainer(config: RegressionConfig) -> MetaTrainer:
    """Everything a run needs, in its initial state."""
    learner_key, task_key = jr.split(jr.key(config.seed))
    sources = make_sources(config)
    modes = len(sources.train.modes)
    learner = make_learner(config, in_size=len(sources.scaler.x_mean), modes=modes, key=learner_key)
    return MetaTrainer(
        source=sources.train,
        learner=learner,
        loss=mean_squared_error,
        optimiser=make_optimiser(config, learner),
        tasks_per_step=config.tasks_per_mode * modes,
        key=task_key,
        task_microbatch=config.task_microbatch,
    )


@dataclass(frozen=True)
class Sources:
    """Tasks to learn from and others to be judged on, and how their numbers were scaled."""

    train: AbstractTaskSource
    held_out: AbstractTaskSource
    scaler: Scaler


def make_sources(config: RegressionConfig) -> Sources:
    """Where the tasks come from: families of functions, or a folder of the user's own."""
    if config.data is None:
        functions = mixture(config.families, config.shots, config.queries)
        return Sources(functions, functions, Scaler.identity(1))
    return Sources(*load_tasks(Path(config.data), config.shots, config.queries))


def make_learner(config: RegressionConfig, *, in_size: int, modes: int, key: PRNGKeyArray) -> AbstractLearner:
    """The untrained learner."""
    network_key, encoder_key, heads_key = jr.split(key, 3)
    initialise = _INITIALISERS[config.initialisation]

    def network(context: Array | MetaOnly | None, key: PRNGKeyArray) -> MLP:
        return MLP(in_size, 1, config.hidden, initialise=initialise, context=context, key=key)

    def one_per_mode(key: PRNGKeyArray) -> MLP:
        prior_key, context_key = jr.split(key)
        return network(MetaOnly(jr.normal(context_key, (CONTEXT_SIZE,))), prior_key)

    if config.learner == "maml":
        prior = network(jnp.zeros(CONTEXT_SIZE), network_key)
        return MAML(prior=prior, inner=make_inner(config, prior, config.inner_steps))
    if config.learner == "multi-maml":
        priors = eqx.filter_vmap(one_per_mode)(jr.split(network_key, modes))
        return MultiMAML(priors=priors, inner=make_inner(config, one_per_mode(network_key), config.inner_steps))
    prior = network(None, network_key)
    encoder = BiLSTMEncoder(in_size, 1, hidden=config.encoder_hidden, sort=config.sort_support, key=encoder_key)
    blocks = None if config.modulated == "all" else [0]
    modulator = Modulator(encoder, prior.widths, operator=config.modulation, blocks=blocks, key=heads_key)
    inner = make_inner(config, prior, 0 if config.learner == "lstm" else config.inner_steps)
    return MMAML(prior=prior, modulator=modulator, inner=inner)


def make_inner(config: RegressionConfig, network: MLP, steps: int) -> InnerLoop:
    """The inner loop for tasks of one network."""
    rates = config.inner_lr
    if config.step_sizes != "fixed":
        rates = LearnedRates(
            network, rates, steps, per_parameter=config.step_sizes == "per-parameter", adapts=config.adapts
        )
    return InnerLoop(
        rates=rates,
        steps=steps,
        first_order=config.first_order,
        clip_norm=config.inner_clip_norm,
        clip_value=config.inner_clip_value,
        adapts=config.adapts,
        engine=config.engine,
    )


def make_optimiser(config: RegressionConfig, learner: AbstractLearner) -> optax.GradientTransformation:
    """Adam with its own gradient-norm bound for the modulator and for all the rest."""
    rate = config.meta_lr
    if config.meta_schedule == "cosine":
        rate = optax.cosine_decay_schedule(config.meta_lr, config.iterations)

    def adam() -> optax.GradientTransformation:
        clip = optax.identity() if config.meta_clip_norm is None else optax.clip_by_global_norm(config.meta_clip_norm)
        return optax.chain(clip, optax.adam(rate))

    parameters = eqx.filter(learner, eqx.is_inexact_array)
    groups = jax.tree.map(lambda _: "network", parameters)
    if isinstance(learner, MMAML):
        groups = eqx.tree_at(lambda g: g.modulator, groups, replace_fn=lambda m: jax.tree.map(lambda _: "modulator", m))
    return optax.partition({"network": adam(), "modulator": adam()}, groups)


def _small(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "out in"]:
    return 0.01 * jr.normal(key, shape)


_INITIALISERS = {"small": _small, "he": jax.nn.initializers.he_normal(in_axis=1, out_axis=0)}
