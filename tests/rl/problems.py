"""Small policies, learners and made-up experience for tests of reinforcement learning."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from mmaml import MAML, MMAML, InnerLoop, Modulator, MultiMAML, Samples
from mmaml.nn.distribution import Gaussian
from mmaml.nn.policy import GaussianPolicy
from mmaml.nn.trajectory import TrajectoryEncoder
from mmaml.rl.envs.point_mass import PointMass
from mmaml.rl.experience import Experience
from mmaml.rl.outer import TaskSamples


LEARNERS = ("maml", "multi-maml", "mmaml")


class ShortPointMass(PointMass):
    """Episodes of five steps."""

    horizon: ClassVar[int] = 5


def begin(environment, tasks, key):
    """First states of one episode of each task."""
    return environment.reset(jr.split(jr.key(key), len(tasks.mode)), tasks)


def policy(key, observation_size=4, action_size=2, hidden=(8, 6)):
    """A policy whose biases are not zero and whose deviations are not one, or tests would not see them."""

    def others(net):
        return [*(layer.bias for layer in (*net.hidden, net.head)), net.log_std]

    net_key, *keys = jr.split(key, 5)
    net = GaussianPolicy(observation_size, action_size, hidden, key=net_key)
    noise = [0.3 * jr.normal(k, a.shape) for k, a in zip(keys, others(net), strict=False)]
    return eqx.tree_at(others, net, noise)


@eqx.filter_jit
def learner(kind, environment, *, inner_lr=0.1, steps=2, first_order=False, hidden=(8, 6), key=0):
    """A small learner of every kind for an environment."""
    policy_key, encoder_key, heads_key = jr.split(jr.key(key), 3)
    sizes = environment.observation_size, environment.action_size
    inner = InnerLoop(inner_lr, steps, first_order=first_order, clip_norm=None, engine="materialised")
    if kind == "multi-maml":
        priors = eqx.filter_vmap(lambda k: policy(k, *sizes, hidden))(jr.split(policy_key, len(environment.modes)))
        return MultiMAML(priors=priors, inner=inner)
    prior = policy(policy_key, *sizes, hidden)
    if kind == "maml":
        return MAML(prior=prior, inner=inner)
    encoder = TrajectoryEncoder(*sizes, hidden=5, horizon=environment.horizon, key=encoder_key)
    modulator = Modulator(encoder, prior.widths, operator="scale", key=heads_key)
    return MMAML(prior=prior, modulator=modulator, inner=inner)


def task_samples(key, environment, phases, rollouts=2):
    """Experience of one task that no policy made, though its actions are not unlikely."""

    def phase(key):
        keys = jr.split(key, 6)
        steps, size = rollouts * environment.horizon, environment.action_size
        observations = jr.normal(keys[0], (steps, environment.observation_size))
        behaviour = Gaussian(0.5 * jr.normal(keys[1], (steps, size)), 0.3 * jr.normal(keys[2], (steps, size)))
        actions = behaviour.mean + jnp.exp(behaviour.log_std) * jr.normal(keys[3], (steps, size))
        rewards, advantages = jr.normal(keys[4], (steps,)), jr.normal(keys[5], (steps,))
        return Samples(observations, Experience(actions, rewards, advantages, behaviour, jnp.ones(steps)))

    return TaskSamples(tuple(phase(k) for k in jr.split(key, phases)), jnp.array(0))


def in_double_precision(tree):
    return jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, tree)
