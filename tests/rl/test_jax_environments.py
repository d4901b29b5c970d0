"""Point Mass and Navigation against closed forms, and whole batches of episodes inside one jit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.rl.envs.catalogue import ENVIRONMENTS
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.envs.navigation import Navigation
from mmaml.rl.envs.point_mass import PointMass


def task(*goal):
    return GoalTask(jnp.array(goal), jnp.array(0))


def rollout(env, state, actions, goal_task):
    """States after each step and rewards of one episode."""

    def step(state, action):
        state, reward = env.step(state, action, goal_task)
        return state, (state, reward)

    return jax.lax.scan(step, state, actions)[1]


def test_point_mass_under_constant_force():
    env, t = PointMass(), np.arange(1, 101)[:, None]
    start, force, goal = np.array([0.1, -0.2, 0.05, 0.1]), np.array([0.02, -0.05]), np.array([5.0, -4.0])
    states, rewards = rollout(env, jnp.array(start), jnp.tile(jnp.array(force), (100, 1)), task(*goal))
    position = start[:2] + t * start[2:] + force * t * (t + 1) / 2
    np.testing.assert_allclose(states[:, :2], position, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(states[:, 2:], start[2:] + force * t, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(rewards, -np.hypot(*(position - goal).T), rtol=1e-4)
    np.testing.assert_array_equal(env.observe(states[0]), states[0])


@pytest.mark.parametrize("env", [PointMass(), Navigation()])
def test_actions_are_clipped_per_axis(env):
    state = env.reset(jr.key(0))
    beyond, at = (env.step(state, jnp.array(a), task(1.0, 2.0)) for a in ([3.0, -0.7], [0.1, -0.1]))
    np.testing.assert_array_equal(beyond[0], at[0])
    np.testing.assert_array_equal(beyond[1], at[1])
    assert not np.allclose(env.step(state, jnp.array([0.09, -0.1]), task(1.0, 2.0))[0], at[0])


def test_policy_actions_of_ten_are_the_bound():
    np.testing.assert_allclose(PointMass().scale(jnp.array([10.0, -5.0])), [0.1, -0.05], rtol=1e-6)
    np.testing.assert_allclose(ENVIRONMENTS["ant-2"]().scale(jnp.full(8, 1.0)), 0.1, rtol=1e-6)


def test_navigation_walks():
    env = Navigation()
    states, rewards = rollout(env, env.reset(jr.key(0)), jnp.tile(jnp.array([0.1, -0.05]), (40, 1)), task(2.0, 0.0))
    t = np.arange(1, 41)
    np.testing.assert_allclose(states, np.stack([0.1 * t, -0.05 * t], axis=1), rtol=1e-5)
    np.testing.assert_allclose(rewards, -((0.1 * t - 2) ** 2 + (0.05 * t) ** 2), rtol=1e-4, atol=1e-5)


def test_first_states():
    state = np.asarray(jax.vmap(PointMass().reset)(jr.split(jr.key(0), 4000)))
    width = np.array([0.2, 0.2, 0.1, 0.1])
    assert (np.abs(state) <= width).all()
    np.testing.assert_allclose(state.mean(axis=0) / width, 0, atol=0.05)
    np.testing.assert_allclose(state.std(axis=0) / width, 3**-0.5, rtol=0.03)


@pytest.mark.parametrize(("name", "expected"), [("point-4", -7.1), ("point-6", -5.1)])
def test_standing_still_costs_the_distance_of_the_goals(name, expected):
    env = ENVIRONMENTS[name]()
    tasks = env.sample_tasks(jr.key(0), 4000)
    still = jnp.zeros((4000, 4))
    rewards = jax.vmap(env.step)(still, jnp.zeros((4000, 2)), tasks)[1]
    assert rewards.mean() == pytest.approx(expected, abs=0.1)


def test_all_tasks_and_episodes_in_one_jit():
    env = PointMass(6)

    @eqx.filter_jit
    def run(env, key):
        task_key, reset_key, action_key = jr.split(key, 3)
        tasks = env.sample_tasks(task_key, 40)
        states = jax.vmap(jax.vmap(env.reset))(jr.split(reset_key, (40, 20)))
        actions = env.scale(jr.normal(action_key, (40, 20, env.horizon, 2)))
        one_task = jax.vmap(lambda s, a, t: rollout(env, s, a, t), in_axes=(0, 0, None))
        return jax.vmap(one_task)(states, actions, tasks)[1]

    rewards = run(env, jr.key(0))
    assert rewards.shape == (40, 20, 100)
    np.testing.assert_array_equal(rewards, run(PointMass(6), jr.key(0)))
    assert (rewards != run(env, jr.key(1))).all(axis=-1).any()


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match="5 modes; there are 1, 2, 4, 6"):
        PointMass(5)
