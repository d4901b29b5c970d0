"""Phases of acting beside each other."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from mmaml.rl.explore import Exploration
from mmaml.rl.objectives import likelihood_ratio
from tests.rl.problems import ShortPointMass, learner


def test_every_phase_has_first_states_and_noise_of_its_own():
    env, unmoved = ShortPointMass(2), learner("maml", ShortPointMass(2), inner_lr=0.0)
    exploration = Exploration(env, likelihood_ratio, rollouts=5)
    phases = exploration.explore(unmoved, env.sample_tasks(jr.key(0), 40), jr.split(jr.key(1), 40), 1).episodes
    noise = [np.ravel((p.actions - p.behaviour.mean) / jnp.exp(p.behaviour.log_std)) for p in phases]
    assert np.abs(np.corrcoef(noise) - np.eye(2)).max() < 4 / np.sqrt(noise[0].size)
    starts = np.concatenate([p.observations[:, :, 0, 0] for p in phases])
    assert len(np.unique(starts)) == starts.size
