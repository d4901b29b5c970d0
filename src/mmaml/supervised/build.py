"""From the options that both domains share to what they name: inner loop, outer optimiser and trainer."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PRNGKeyArray, PyTree

from mmaml.core.inner import InnerLoop, Loss
from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.core.meta import MetaTrainer
from mmaml.core.muon import muon
from mmaml.core.network import AbstractNetwork
from mmaml.core.parallel import devices_for
from mmaml.core.precision import Precision
from mmaml.core.rates import LearnedRates
from mmaml.core.task import AbstractTaskSource
from mmaml.supervised.config import SupervisedConfig


STEP_SIZE_HASTE = 10.0
"""How much faster than all else logarithms of step sizes are learnt: as fast they would take a thousand meta-iterations
from 0.05 to the 1 that MAML comes to on images."""


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


def make_optimiser(
    config: SupervisedConfig, learner: AbstractLearner, precision: Precision = "float32"
) -> optax.GradientTransformation:
    """Adam or Muon, with its own gradient-norm bound for the modulator, for learnt step sizes and for all the rest.

    Step sizes always take Adam, at `STEP_SIZE_HASTE` times the rate. `precision` is that of Muon's products.
    """
    rate = config.meta_rate(config.iterations)
    adam = optax.adam(rate)
    of_weights = adam if config.meta_optimiser == "adam" else muon(rate, _are_matrices, precision=precision)

    def bounded(*optimiser: optax.GradientTransformation) -> optax.GradientTransformation:
        clip = optax.identity() if config.meta_clip_norm is None else optax.clip_by_global_norm(config.meta_clip_norm)
        return optax.chain(clip, *optimiser)

    def named(part: PyTree, name: str) -> PyTree[str]:
        return jax.tree.map(lambda _: name, part)

    groups = named(eqx.filter(learner, eqx.is_inexact_array), "network")
    groups = eqx.tree_at(lambda g: g.inner, groups, replace_fn=lambda inner: named(inner, "step sizes"))
    if isinstance(learner, MMAML):
        groups = eqx.tree_at(lambda g: g.modulator, groups, replace_fn=lambda part: named(part, "modulator"))
    return optax.partition(
        {
            "network": bounded(of_weights),
            "modulator": bounded(of_weights),
            "step sizes": bounded(adam, optax.scale(STEP_SIZE_HASTE)),
        },
        groups,
    )


def make_trainer(
    config: SupervisedConfig,
    source: AbstractTaskSource,
    learner: AbstractLearner,
    loss: Loss,
    *,
    tasks_per_step: int,
    key: PRNGKeyArray,
    pretraining: int = 0,
    precision: Precision = "float32",
) -> MetaTrainer:
    """Meta-training of `learner` on `tasks_per_step` tasks of `source` in each meta-iteration.

    `pretraining` is the number of first ones without gradient steps, `precision` that of the optimiser's products.
    """
    mesh = devices_for(tasks_per_step)
    return MetaTrainer(
        source=_on_all(mesh, source),
        learner=learner,
        loss=loss,
        optimiser=make_optimiser(config, learner, precision),
        tasks_per_step=tasks_per_step,
        key=key,
        post_modulation_share=config.post_modulation_share,
        pretraining=pretraining,
        task_microbatch=config.task_microbatch,
        mesh=mesh,
    )


def _on_all(mesh: Mesh, source: AbstractTaskSource) -> AbstractTaskSource:
    """The source with its data on every device from the beginning, or each dispatch would send them there.

    On CPUs nothing is copied, as all devices read the same memory; an accelerator that has the data keeps them.
    """
    everywhere = NamedSharding(mesh, PartitionSpec())
    arrays, rest = eqx.partition(source, eqx.is_array)
    if jax.default_backend() == "cpu":
        arrays = jax.tree.map(np.asarray, arrays)
    return eqx.combine(jax.device_put(arrays, everywhere), rest)


def _are_matrices(parameters: PyTree) -> PyTree:
    """Whether each parameter is a weight matrix, or several of them: directions of an LSTM, or modes."""

    def is_matrix(path: tuple[Any, ...], leaf: Array) -> bool:
        return getattr(path[-1], "name", "").startswith("weight") and leaf.ndim > 1

    return jax.tree_util.tree_map_with_path(is_matrix, parameters)
