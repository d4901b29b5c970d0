"""From the options that all domains share to what they name: inner loop and outer optimiser."""

import equinox as eqx
import jax
import optax

from mmaml.core.inner import InnerLoop, LearnedRates
from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.core.network import AbstractNetwork
from mmaml.supervised.config import SupervisedConfig


def make_inner(config: SupervisedConfig, network: AbstractNetwork) -> InnerLoop:
    """The inner loop for tasks of one network."""
    steps = 0 if config.learner == "lstm" else config.inner_steps
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


def make_optimiser(config: SupervisedConfig, learner: AbstractLearner) -> optax.GradientTransformation:
    """Adam with its own gradient-norm bound for the modulator and for all the rest."""
    rate = config.meta_rate(config.iterations)

    def adam() -> optax.GradientTransformation:
        clip = optax.identity() if config.meta_clip_norm is None else optax.clip_by_global_norm(config.meta_clip_norm)
        return optax.chain(clip, optax.adam(rate))

    parameters = eqx.filter(learner, eqx.is_inexact_array)
    groups = jax.tree.map(lambda _: "network", parameters)
    if isinstance(learner, MMAML):
        groups = eqx.tree_at(lambda g: g.modulator, groups, replace_fn=lambda m: jax.tree.map(lambda _: "modulator", m))
    return optax.partition({"network": adam(), "modulator": adam()}, groups)
