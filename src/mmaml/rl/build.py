"""From a configuration to what it names: environment, learner and trainer."""

from jaxtyping import PRNGKeyArray

from mmaml.core.inner import InnerLoop
from mmaml.core.learners import AbstractLearner
from mmaml.experiments.learner import assemble_learner
from mmaml.nn.policy import AbstractPolicy, CategoricalPolicy, GaussianPolicy
from mmaml.nn.trajectory import TrajectoryEncoder
from mmaml.rl.config import PolicyConfig
from mmaml.rl.envs.catalogue import make_environment
from mmaml.rl.envs.environment import Environment
from mmaml.rl.explore import Exploration
from mmaml.rl.objectives import likelihood_ratio, log_likelihood
from mmaml.rl.outer import AbstractOuter, ProMP
from mmaml.rl.trpo import TRPO
from mmaml.runs.errors import UserError


_INNER_LOSSES = {"likelihood-ratio": likelihood_ratio, "log-likelihood": log_likelihood}
REFERENCE_PIECE = 5
"""Steps in what the authors' code takes for a rollout: the number of its fields."""


def make_exploration(config: PolicyConfig) -> Exploration:
    """The environment, and how agents meet its tasks.

    Raises `UserError` if it cannot be made, or is not what the configuration says it was.
    """
    environment = make_environment(config.environment)
    if (began := config.environment_is) and (now := described(environment)) != began:
        raise UserError(
            f"{config.environment} is not the environment that this run was begun with: that had {began}; it has "
            f"{now}. Make it as it was, or start a new run with --out or --overwrite."
        )
    return Exploration(
        environment,
        _INNER_LOSSES[config.inner_loss],
        rollouts=config.rollouts,
        discount=config.discount,
        gae_lambda=config.gae_lambda,
    )


def described(environment: Environment) -> str:
    """What policies and results depend on in an environment, in words."""
    actions = "choices of action" if environment.discrete else "numbers in an action"
    return (
        f"{environment.observation_size} numbers in an observation, {environment.action_size} {actions}, "
        f"{environment.horizon} steps in an episode and tasks of the kinds {', '.join(environment.modes)}"
    )


def make_learner(config: PolicyConfig, environment: Environment, *, key: PRNGKeyArray) -> AbstractLearner:
    """The untrained learner."""
    sizes = environment.observation_size, environment.action_size
    inner = InnerLoop(
        rates=config.inner_lr,
        steps=config.inner_steps,
        first_order=config.first_order,
        clip_norm=config.inner_clip_norm,
        engine="materialised",
    )

    def policy(key: PRNGKeyArray) -> AbstractPolicy:
        kind = CategoricalPolicy if environment.discrete else GaussianPolicy
        return kind(*sizes, config.hidden, key=key)

    def encoder(key: PRNGKeyArray) -> TrajectoryEncoder:
        pieces = min(REFERENCE_PIECE, environment.horizon) if config.encoder_reads == "pieces" else None
        return TrajectoryEncoder(
            *sizes, hidden=config.encoder_hidden, horizon=environment.horizon, pieces=pieces, key=key
        )

    return assemble_learner(config, policy, encoder, lambda _: inner, modes=len(environment.modes), key=key)


def make_outer(config: PolicyConfig) -> AbstractOuter:
    """The outer loop."""
    if config.objective == "trpo":
        return TRPO(config.max_kl)
    rate = config.meta_rate(config.iterations * config.epochs)
    return ProMP(rate, epochs=config.epochs, clip=config.clip, kl_penalty=config.kl_penalty)
