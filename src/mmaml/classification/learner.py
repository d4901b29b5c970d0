"""From a configuration to the untrained learner."""

from functools import partial

from jaxtyping import PRNGKeyArray

from mmaml.classification.config import ClassificationConfig
from mmaml.core.learners import AbstractLearner
from mmaml.experiments.learner import assemble_learner
from mmaml.nn.convnet import ConvEncoder, ConvNet
from mmaml.supervised.build import make_inner


def make_learner(
    config: ClassificationConfig, *, channels: int, modes: tuple[str, ...], key: PRNGKeyArray
) -> AbstractLearner:
    """The untrained learner for images with `channels` channels."""

    def network(key: PRNGKeyArray) -> ConvNet:
        by_support = config.normalise_by == "support"
        return ConvNet(
            channels, config.way, config.channels, support_statistics=by_support, precision=config.rounded_to, key=key
        )

    def encoder(key: PRNGKeyArray) -> ConvEncoder:
        labels = config.way if config.encoder_labels else None
        return ConvEncoder(
            channels, config.channels, config.embedding, classes=labels, precision=config.rounded_to, key=key
        )

    inner = partial(make_inner, config)
    rates = published_rates(config, modes) if config.mode_rates == "published" else None
    blocks = config.modulated_blocks
    return assemble_learner(config, network, encoder, inner, modes=len(modes), key=key, blocks=blocks, rates=rates)


def published_rates(config: ClassificationConfig, modes: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    """Step sizes of the paper's Multi-MAML by mode and step.

    Omniglot's are 0.4 and a single step, or 0.1 in every step of 20-way tasks; all others', and those of a person's own
    images, are 0.01.
    """
    steps = config.inner_steps
    omniglot = (0.4, *[0.0] * (steps - 1)) if config.way < 20 else (0.1,) * steps
    return tuple(omniglot if config.is_omniglot(mode) else (0.01,) * steps for mode in modes)
