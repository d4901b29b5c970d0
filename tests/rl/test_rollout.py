"""Rollouts against environments stepped by hand."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from mmaml.core.network import TaskModel
from mmaml.rl.envs.point_mass import PointMass
from mmaml.rl.envs.reacher import Reacher
from mmaml.rl.rollout import rollout
from tests.compilation import compilations
from tests.rl.problems import policy


TASKS, ROLLOUTS = 3, 4
STARTS = []


class RememberingReacher(Reacher):
    """Tells the first states, which its observations do not show in full."""

    def reset(self, keys, task):
        STARTS.append(super().reset(keys, task))
        return STARTS[-1]


def models_for(environment, key=0):
    """Another policy for every task."""
    sizes = environment.observation_size, environment.action_size
    return TaskModel(eqx.filter_vmap(lambda k: policy(k, *sizes))(jr.split(jr.key(key), TASKS)))


def roll(environment, key=2, **changed):
    given = {
        "models": models_for(environment),
        "tasks": environment.sample_tasks(jr.key(1), TASKS),
        "keys": jr.split(jr.key(key), TASKS),
        **changed,
    }
    return (
        eqx.filter_jit(rollout)(environment, **given, rollouts=ROLLOUTS)
        if not hasattr(environment, "physics")
        else rollout(environment, **given, rollouts=ROLLOUTS)
    )


def made(environment):
    return SimpleNamespace(
        environment=environment, tasks=environment.sample_tasks(jr.key(1), TASKS), path=roll(environment)
    )


@pytest.fixture(scope="module")
def point():
    return made(PointMass(2))


@pytest.fixture(scope="module")
def reacher():
    return made(RememberingReacher(2, threads=2))


@pytest.fixture(params=["point", "reacher"])
def either(request):
    return request.getfixturevalue(request.param)


def episodes():
    return [(i, j) for i in range(TASKS) for j in range(ROLLOUTS)]


def test_sizes(either):
    env, path = either.environment, either.path
    batch = (TASKS, ROLLOUTS, env.horizon)
    assert path.observations.shape == (*batch, env.observation_size)
    assert path.actions.shape == path.behaviour.mean.shape == path.behaviour.log_std.shape == (*batch, env.action_size)
    assert path.rewards.shape == batch


def test_an_episode_in_jax_is_the_environment_stepped_with_its_actions(point):
    env, path = point.environment, point.path
    step = jax.jit(env.step)
    for i, j in episodes():
        task = jax.tree.map(lambda a, i=i: a[i], point.tasks)
        state = path.observations[i, j, 0]
        assert (np.abs(state) <= [0.2, 0.2, 0.1, 0.1]).all()
        for t in range(env.horizon):
            np.testing.assert_allclose(path.observations[i, j, t], state, rtol=1e-5, atol=1e-5)
            state, reward = step(state, path.actions[i, j, t] * 0.01, task)
            np.testing.assert_allclose(path.rewards[i, j, t], reward, rtol=1e-5)


def test_an_episode_on_the_mujoco_engine_is_the_environment_stepped_alone_with_its_actions(reacher):
    path, alone = reacher.path, Reacher(2, threads=1)
    start = STARTS[0]
    for number, (i, j) in enumerate(episodes()):
        task = jax.tree.map(lambda a, i=i: a[i][None], reacher.tasks)
        state = start[number][None]
        for t in range(alone.horizon):
            np.testing.assert_array_equal(path.observations[i, j, t], alone.observe(state)[0])
            state, reward = alone.step(state, np.asarray(path.actions[i, j, t][None]) * np.float32(0.1), task)
            np.testing.assert_allclose(path.rewards[i, j, t], reward[0], rtol=1e-5)


def test_number_of_threads_changes_nothing(reacher):
    again = roll(Reacher(2, threads=1))
    for a, b in zip(*map(jax.tree.leaves, (again, reacher.path)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_tasks_that_go_along_change_no_episode(reacher):
    """Bits of the policy's matrix products may depend on the size of a batch."""
    models, tasks = jax.tree.map(lambda leaf: leaf[:2], (models_for(reacher.environment), reacher.tasks))
    fewer = roll(reacher.environment, models=models, tasks=tasks, keys=jr.split(jr.key(2), TASKS)[:2])
    np.testing.assert_allclose(fewer.observations, reacher.path.observations[:2], atol=1e-4)


def test_an_environment_made_anew_compiles_nothing(reacher):
    roll(reacher.environment)
    compiled = compilations()
    roll(RememberingReacher(2, threads=2))
    assert not compiled


def test_behaviour_is_what_the_task_s_own_policy_says_of_the_observation(either):
    env, path = either.environment, either.path
    models = models_for(env)
    for i in range(TASKS):
        model = jax.tree.map(lambda a, i=i: a[i], models)
        said = model(path.observations[i].reshape(-1, env.observation_size))
        np.testing.assert_allclose(path.behaviour.mean[i].reshape(said.mean.shape), said.mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(path.behaviour.log_std[i].reshape(said.mean.shape), said.log_std, rtol=1e-6)


def test_actions_are_drawn_from_the_behaviour_independently(either):
    path = either.path
    z = np.asarray((path.actions - path.behaviour.mean) / jnp.exp(path.behaviour.log_std))
    assert stats.kstest(z.ravel(), "norm").pvalue > 0.01
    unrelated = 4 / np.sqrt(z[1:].size)
    neighbours = ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1]), (z[:, :, 1:], z[:, :, :-1]), (z[..., 1:], z[..., :-1]))
    for a, b in neighbours:
        assert abs(np.mean(a * b)) < unrelated * np.sqrt(z.size / a.size)


def test_a_model_and_a_goal_matter_to_their_own_task_only(either):
    env, path = either.environment, either.path
    models = jax.tree.map(lambda a, b: a.at[1].set(b[1]), models_for(env), models_for(env, key=9))
    tasks = eqx.tree_at(lambda t: t.goal, either.tasks, either.tasks.goal.at[1].add(0.1))
    other = roll(env, models=models, tasks=tasks)
    for a, b in zip(*map(jax.tree.leaves, (other, path)), strict=True):
        np.testing.assert_array_equal(a[::2], b[::2])
    assert (other.rewards[1] != path.rewards[1]).mean() > 0.9
    assert (other.actions[1] != path.actions[1]).all()


def test_the_same_keys_give_the_same_episodes_and_others_others(either):
    env, path = either.environment, either.path
    again, other = roll(env), roll(env, key=3)
    for a, b in zip(*map(jax.tree.leaves, (again, path)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (other.actions != path.actions).all() and (other.observations[:, :, 0] != path.observations[:, :, 0]).any()


def test_no_two_episodes_are_the_same(either):
    first = np.asarray(either.path.actions[:, :, 0]).reshape(TASKS * ROLLOUTS, -1)
    assert len(np.unique(first[:, 0])) == TASKS * ROLLOUTS
    starts = np.asarray(either.path.observations[:, :, 0]).reshape(TASKS * ROLLOUTS, -1)
    assert len(np.unique(starts[:, 0])) == TASKS * ROLLOUTS
