"""From the options that both domains share to what they name: inner loop, outer optimiser and trainer."""

from typing import Any

import equinox as eqx
import jax
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, PRNGKeyArray, PyTree
from optax.contrib import MuonDimensionNumbers, muon

from mmaml.core.inner import InnerLoop, LearnedRates, Loss
from mmaml.core.learners import MMAML, AbstractLearner
from mmaml.core.meta import MetaTrainer
from mmaml.core.network import AbstractNetwork
from mmaml.core.parallel import devices_for
from mmaml.core.task import AbstractTaskSource
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
    """Adam or Muon, with its own gradient-norm bound for the modulator and for all the rest."""
    rate = config.meta_rate(config.iterations)

    def bounded() -> optax.GradientTransformation:
        clip = optax.identity() if config.meta_clip_norm is None else optax.clip_by_global_norm(config.meta_clip_norm)
        if config.meta_optimiser == "adam":
            return optax.chain(clip, optax.adam(rate))
        # Steps as long as Adam's usually are, so that one learning rate suits both.
        return optax.chain(clip, muon(rate, muon_weight_dimension_numbers=_matrices, consistent_rms=0.2))

    parameters = eqx.filter(learner, eqx.is_inexact_array)
    groups = jax.tree.map(lambda _: "network", parameters)
    if isinstance(learner, MMAML):
        groups = eqx.tree_at(lambda g: g.modulator, groups, replace_fn=lambda m: jax.tree.map(lambda _: "modulator", m))
    return optax.partition({"network": bounded(), "modulator": bounded()}, groups)


def make_trainer(
    config: SupervisedConfig,
    source: AbstractTaskSource,
    learner: AbstractLearner,
    loss: Loss,
    *,
    tasks_per_step: int,
    key: PRNGKeyArray,
) -> MetaTrainer:
    """Meta-training of `learner` on `tasks_per_step` tasks of `source` in each meta-iteration."""
    mesh = devices_for(tasks_per_step)
    # Data lie on every device from the beginning, or each dispatch would send them there.
    source = eqx.filter_shard(source, NamedSharding(mesh, PartitionSpec()))
    return MetaTrainer(
        source=source,
        learner=learner,
        loss=loss,
        optimiser=make_optimiser(config, learner),
        tasks_per_step=tasks_per_step,
        key=key,
        post_modulation_share=config.post_modulation_share,
        task_microbatch=config.task_microbatch,
        mesh=mesh,
    )


def _matrices(parameters: PyTree) -> PyTree:
    """For each weight that its last two axes are those of a matrix; `None` for all other parameters.

    Axes before them are of several matrices: directions of an LSTM, or modes.
    """
    # Learnt step sizes are named like the weights they are for.
    inner = jax.tree_util.GetAttrKey("inner")

    def axes(path: tuple[Any, ...], leaf: Array) -> MuonDimensionNumbers | None:
        of_layer = getattr(path[-1], "name", "").startswith("weight") and path[0] != inner
        return MuonDimensionNumbers(leaf.ndim - 1, leaf.ndim - 2) if of_layer and leaf.ndim > 1 else None

    return jax.tree_util.tree_map_with_path(axes, parameters)
