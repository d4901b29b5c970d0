"""The environments as gymnasium sees them."""

import importlib
import sys
from itertools import pairwise

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import mmaml.rl.gym as adapter
from mmaml.rl.envs.goals import GoalTask
from mmaml.runs.errors import UserError
from tests.rl.test_figures import needs_gl


# Said of every environment whose observations have no bounds, gymnasium's own included.
unbounded = pytest.mark.filterwarnings("ignore:.*A Box observation space (min|max)imum value is")
SIZES = {"PointMass": 4, "Navigation": 2, "Reacher": 7, "Ant": 29, "CheetahLocation": 18, "CheetahSpeed": 17}


@unbounded
@pytest.mark.parametrize("name", SIZES)
def test_environments_pass_gymnasiums_check(name):
    env = gymnasium.make(f"mmaml/{name}-v0")
    check_env(env.unwrapped, skip_render_check=True)
    assert env.observation_space.shape == (SIZES[name],)
    env.close()


@pytest.mark.parametrize(("name", "horizon"), [("PointMass", 100), ("Reacher", 50)])
def test_episodes_are_cut_at_the_horizon_and_only_there(name, horizon):
    env = gymnasium.make(f"mmaml/{name}-v0", modes=2)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(horizon)]
    assert ends == [(False, False)] * (horizon - 1) + [(False, True)]


def test_a_task_stays_until_it_is_changed():
    env = adapter.TaskEnv("PointMass", modes=6)
    env.reset(seed=0)
    env.set_task(GoalTask(jnp.array([3.0, 4.0]), jnp.array(0)))
    for seed in (1, 2):
        start, _ = env.reset(seed=seed)
        after, reward, *_ = env.step(np.zeros(2, np.float32))
        np.testing.assert_allclose(after[:2], start[:2] + start[2:], rtol=1e-6)
        assert reward == pytest.approx(-np.hypot(after[0] - 3, after[1] - 4), rel=1e-6)


def test_a_goal_alone_is_a_task():
    env = adapter.TaskEnv("PointMass", modes=2)
    env.reset(seed=0)
    env.set_task([3.0, 4.0])
    env.reset(seed=1)
    after, reward, *_ = env.step(np.zeros(2, np.float32))
    assert reward == pytest.approx(-np.hypot(after[0] - 3, after[1] - 4), rel=1e-6)


def test_tasks_are_drawn_anew_until_one_is_set():
    env = adapter.TaskEnv("Navigation")
    rewards = set()
    for seed in (0, 0, 1):
        env.reset(seed=seed)
        rewards.add(env.step(np.zeros(2, np.float32))[1])
    assert len(rewards) == 2
    tasks = env.sample_tasks(3)
    env.set_task(tasks[1])
    assert len(tasks) == 3 and tasks[0].goal.shape == (2,)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"'Walker'; there are PointMass"):
        adapter.TaskEnv("Walker")
    env = adapter.TaskEnv("PointMass")
    for wrong in (GoalTask(jnp.zeros(3), jnp.array(0)), [1.0], [np.nan, 0.0]):
        with pytest.raises(ValueError, match=r"the goal .* does not fit"):
            env.set_task(wrong)
    env.reset(seed=0)
    for wrong in (0.3, [0.1], [np.nan, 0.0]):
        with pytest.raises(ValueError, match=r"the action .* does not fit; give finite numbers of Box"):
            env.step(np.asarray(wrong))


def test_missing_gymnasium_is_the_users_to_mend(monkeypatch):
    monkeypatch.delitem(sys.modules, "mmaml.rl.gym")
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(UserError, match=r"pip install 'mmaml\[rl\]'"):
        importlib.import_module("mmaml.rl.gym")


@unbounded
def test_an_episode_is_that_of_the_batched_environment():
    env = adapter.TaskEnv("Reacher", modes="6-reference")
    env.reset(seed=3)
    task, state = env._drawn, env._state
    for _ in range(5):
        action = env.action_space.sample()
        seen, reward, *_ = env.step(action)
        state, rewards = env.environment.step(state, action[None], task)
        assert reward == rewards[0]
        np.testing.assert_array_equal(seen, env.environment.observe(state)[0])


@pytest.mark.parametrize("name", ["Navigation", pytest.param("CheetahSpeed", marks=needs_gl)])
def test_pictures_show_the_episode_so_far(name):
    env = gymnasium.make(f"mmaml/{name}-v0", render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [np.asarray(env.render())]
    action = np.full(env.action_space.shape or (), 0.5, np.float32)
    for _ in range(3):
        seen, *_ = env.step(action)
        seen[:] = np.nan  # what the caller does with it is not in the picture
        pictures.append(np.asarray(env.render()))
    np.testing.assert_array_equal(pictures[-1], np.asarray(env.render()))
    assert all(p.dtype == np.uint8 and p.shape == pictures[0].shape and p.shape[2] == 3 for p in pictures)
    assert all(np.any(before != after) for before, after in pairwise(pictures))
    env.reset(seed=0)
    np.testing.assert_array_equal(pictures[0], np.asarray(env.render()))
    env.close()


def test_no_pictures_unless_they_are_asked_for():
    env = adapter.TaskEnv("PointMass")
    env.reset(seed=0)
    assert env.render() is None
    with pytest.raises(ValueError, match="render_mode 'human'; there is 'rgb_array'"):
        adapter.TaskEnv("PointMass", render_mode="human")
    with pytest.raises(gymnasium.error.ResetNeeded, match="no episode yet"):
        adapter.TaskEnv("PointMass", render_mode="rgb_array").render()
