"""From the parts that a domain makes to the learner that a configuration asks for."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax.random as jr
from jaxtyping import PRNGKeyArray

from mmaml.core.inner import InnerLoop
from mmaml.core.learners import MAML, MMAML, AbstractLearner, MultiMAML
from mmaml.core.modulation import AbstractEncoder, Modulator
from mmaml.core.network import AbstractNetwork
from mmaml.experiments.config import ExperimentConfig


def assemble_learner(
    config: ExperimentConfig,
    network: Callable[[PRNGKeyArray], AbstractNetwork],
    encoder: Callable[[PRNGKeyArray], AbstractEncoder],
    inner: Callable[[AbstractNetwork], InnerLoop],
    *,
    modes: int,
    key: PRNGKeyArray,
    blocks: Sequence[int] | None = None,
    rates: tuple[tuple[float, ...], ...] | None = None,
) -> AbstractLearner:
    """An untrained learner of the kind that `config.learner` names.

    `network` and `encoder` are made of a key, `inner` is the inner loop for a network. Multi-MAML has `modes` networks
    and, if given, step sizes of its own (`rates`, by mode and step); MMAML modulates `blocks`, by default all.
    """
    network_key, encoder_key, heads_key = jr.split(key, 3)
    prior = network(network_key)
    if config.learner == "maml":
        return MAML(prior=prior, inner=inner(prior))
    if config.learner == "multi-maml":
        priors = eqx.filter_vmap(network)(jr.split(network_key, modes))
        return MultiMAML(priors=priors, inner=inner(prior), rates=rates)
    modulator = Modulator(
        encoder(encoder_key),
        prior.widths,
        operator=config.modulation,
        blocks=blocks,
        scale=config.modulation_scale,
        key=heads_key,
    )
    return MMAML(prior=prior, modulator=modulator, inner=inner(prior))
