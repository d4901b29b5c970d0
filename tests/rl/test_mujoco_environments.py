"""Observations, rewards and first states of the environments on the MuJoCo engine."""

import jax.numpy as jnp
import jax.random as jr
import mujoco
import numpy as np
import pytest

from mmaml.rl.envs.ant import Ant
from mmaml.rl.envs.catalogue import ENVIRONMENTS
from mmaml.rl.envs.cheetah import CheetahLocation, CheetahSpeed
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.envs.reacher import Reacher, fingertip
from tests.rl.problems import begin


def forward(env, state):
    """MuJoCo's own view of a state, brought up to date."""
    model = env.physics.model
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = env.physics.qpos(state[None])[0], env.physics.qvel(state[None])[0]
    mujoco.mj_forward(model, data)
    return data


def stepped(env, n=6, steps=30):
    """States before and after, actions beyond the bounds, tasks and rewards of one step somewhere in an episode."""
    rng = np.random.default_rng(0)
    tasks = env.sample_tasks(jr.key(1), n)
    states = begin(env, tasks, 2)
    for _ in range(steps):
        states, _ = env.step(states, rng.normal(size=(n, env.action_size)), tasks)
    actions = 1.5 * rng.normal(size=(n, env.action_size))
    return states, actions, *env.step(states, actions, tasks), tasks


def test_fingertip_is_where_mujoco_says():
    env = Reacher(threads=1)
    angles = np.random.default_rng(0).uniform(-5, 5, (20, 3))
    states = env.physics.states(angles, np.zeros((20, 3)))
    positions = [forward(env, state).body("fingertip").xpos for state in states]
    np.testing.assert_allclose(fingertip(angles), positions, atol=1e-12)
    np.testing.assert_allclose(fingertip(np.zeros((1, 3))), [[0.31, 0, 0.01]])


@pytest.mark.parametrize(("env", "body"), [(Reacher(threads=2), "fingertip"), (Ant(threads=2), "torso")])
def test_rewards_of_goals_are_l1_distances_after_the_step(env, body):
    _, actions, after, rewards, tasks = stepped(env)
    where = np.array([forward(env, state).body(body).xpos for state in after])
    expected = -np.abs(where - np.asarray(tasks.goal)).sum(axis=1) - 0.1 * (actions.clip(-1, 1) ** 2).sum(axis=1)
    np.testing.assert_allclose(rewards, expected, rtol=1e-6)


def test_cheetah_rewards():
    before, actions, after, rewards, tasks = stepped(CheetahLocation(threads=2))
    cost, goal = 0.05 * (actions.clip(-1, 1) ** 2).sum(axis=1), np.asarray(tasks.goal)[:, 0]
    np.testing.assert_allclose(rewards, -np.abs(after[:, 1] - goal) - cost, rtol=1e-6)

    env = CheetahSpeed(threads=2)
    before, actions, after, rewards, tasks = stepped(env)
    assert env.physics.seconds == pytest.approx(0.05)
    cost, goal = 0.05 * (actions.clip(-1, 1) ** 2).sum(axis=1), np.asarray(tasks.goal)[:, 0]
    np.testing.assert_allclose(rewards, -np.abs((after[:, 1] - before[:, 1]) / 0.05 - goal) - cost, rtol=1e-5)


def test_observations():
    angles, velocities = np.array([[0.3, -2.0, 2.5]]), np.array([[0.1, 0.2, 0.3]])
    env = Reacher(threads=1)
    seen = env.observe(env.physics.states(angles, velocities))[0]
    expected = [np.cos(0.3), np.cos(-2), np.sin(0.3), np.sin(-2), 2.5, 0.1, 0.2]
    np.testing.assert_allclose(seen, expected, rtol=1e-6)

    qpos, qvel = np.arange(15.0)[None], np.arange(15.0, 29.0)[None]
    ant = Ant(threads=1)
    rest = [0, 0, 0.75, 1] + [0] * 25
    np.testing.assert_allclose(ant.observe(ant.physics.states(qpos, qvel))[0], np.arange(29) + rest)

    for cheetah, hidden in ((CheetahLocation(threads=1), 0), (CheetahSpeed(threads=1), 1)):
        states = cheetah.physics.states(np.arange(9.0)[None], np.arange(9.0, 18.0)[None])
        np.testing.assert_array_equal(cheetah.observe(states)[0], np.arange(hidden, 18))


def test_first_states():
    n = 3000
    for env, qvel_std in ((Reacher(threads=1), 0.005 / 3**0.5), (Ant(threads=1), 0.1), (CheetahSpeed(threads=1), 0.1)):
        states = env.reset(jr.split(jr.key(0), n), env.sample_tasks(jr.key(1), n))
        qpos, qvel = env.physics.qpos(states) - env.physics.model.qpos0, env.physics.qvel(states)
        assert not states[:, 0].any()
        assert np.abs(qpos).max() <= 0.1 + 1e-9
        np.testing.assert_allclose(qpos.std(axis=0), 0.1 / 3**0.5, rtol=0.05)
        np.testing.assert_allclose(qvel.std(axis=0), qvel_std, rtol=0.06)
        np.testing.assert_allclose(qpos.mean(axis=0), 0, atol=0.005)
        assert (
            np.abs(np.corrcoef(np.concatenate([qpos, qvel], axis=1).T) - np.eye(qpos.shape[1] + qvel.shape[1])).max()
            < 0.08
        )
    env = Reacher(threads=1)
    assert np.abs(env.reset(jr.split(jr.key(0), n), env.sample_tasks(jr.key(1), n))[:, 4:]).max() <= 0.005


@pytest.mark.parametrize("name", ["reacher-6", "ant-2", "cheetah-location", "cheetah-speed"])
def test_rollouts_follow_the_seed_and_have_the_sizes_they_declare(name):
    def run(threads, seed):
        env = ENVIRONMENTS[name](threads=threads)
        tasks = env.sample_tasks(jr.key(seed), 6)
        states = begin(env, tasks, seed)
        total = np.zeros(6)
        for t in range(8):
            actions = env.scale(10 * jr.normal(jr.key(100 * seed + t), (6, env.action_size)))
            states, rewards = env.step(states, actions, tasks)
            total += rewards
            seen = env.observe(states)
            assert seen.shape == (6, env.observation_size) and seen.dtype == rewards.dtype == np.float32
        return total

    np.testing.assert_array_equal(run(1, 0), run(3, 0))
    assert (run(2, 0) != run(2, 1)).all()


def test_steps_change_none_of_their_arguments():
    env = Ant(threads=1)
    tasks = env.sample_tasks(jr.key(0), 6)
    states, actions = begin(env, tasks, 0), np.full((6, 8), 3.0)
    kept = states.copy()
    env.step(states, actions, tasks)
    np.testing.assert_array_equal(states, kept)
    np.testing.assert_array_equal(actions, 3.0)


def test_ant_stands_up_from_a_pose_outside_its_ankles_range():
    env = Ant(threads=1)
    task = GoalTask(jnp.zeros((1, 3)), jnp.zeros(1, int))
    states = env.physics.states(np.zeros((1, 15)), np.zeros((1, 14)))
    for _ in range(100):
        states, _ = env.step(states, np.zeros((1, 8)), task)
    ankles = np.degrees(env.physics.qpos(states)[0, 8::2])
    assert (np.abs(ankles) > 25).all() and np.sign(ankles).tolist() == [1, -1, -1, 1]
    assert 0.2 < states[0, 3] < 0.75


@pytest.mark.parametrize(
    ("make", "message"), [(Reacher, "modes 3; there are 1, 2, 4, 6, 6-ref"), (Ant, "3 modes; there are 1, 2, 4")]
)
def test_unknown_modes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(3)
