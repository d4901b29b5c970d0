"""A trained policy in use: it adapts to a task that is drawn or given, and acts."""

import dataclasses

import gymnasium
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.learners import MMAML
from mmaml.rl.envs.catalogue import make_environment
from mmaml.rl.envs.environment import POLICY_RANGE
from mmaml.rl.envs.own.environment import OwnEnvironment
from mmaml.rl.explore import Exploration, returns
from mmaml.rl.pictures.examples import examples_of
from mmaml.rl.pictures.video import pick_task
from mmaml.rl.tasks import DRAWS, drawn_task, task_and_episode_keys
from mmaml.runs.errors import RunFailed
from tests.rl.learners import tiny_model


class Tank(gymnasium.Env):
    """Fill a tank to a hidden level; only now and then to a high one."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(np.array([-0.3, 0.0], np.float32), np.array([0.7, 0.1], np.float32))
    horizon = 3
    modes = ("low", "high", "never")

    def sample_tasks(self, n):
        return [{"level": self.np_random.uniform(0, 2), "valve": np.ones(2)} for _ in range(n)]

    def mode_of(self, task):
        return int(task["level"] > 1)

    def set_task(self, task):
        self.task = task

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.level = np.zeros(1, np.float32)
        return self.level, {}

    def step(self, action):
        self.level = self.level + action[:1]
        return self.level, -abs(float(self.level[0] - self.task["level"])), False, False, {}


TANK = f"{__name__}:Tank"


@pytest.fixture(scope="module")
def point():
    return tiny_model("point-4", inner_steps=2)


def test_it_does_in_a_task_what_the_video_of_it_shows(point):
    adapted = point.adapt(mode="(5, -5)", seed=3)
    task = pick_task(point, "(5, -5)", 3)
    np.testing.assert_array_equal(adapted.task.goal, task.goal[0])
    shown = examples_of(point.learner, point.exploration, task, 3)
    np.testing.assert_allclose(adapted.returns, returns(shown.episodes)[0], rtol=1e-5)
    assert adapted.returns.shape == (3,)


def test_its_policy_is_the_one_that_acted_last(point):
    adapted = point.adapt(seed=0)
    alone, episode_key = jax.tree.map(lambda leaf: leaf[None], adapted.task), task_and_episode_keys(0)[1]
    samples, episodes, _ = point.exploration.explore(point.learner, alone, jr.split(episode_key, 1), 2)
    seen = np.asarray(episodes[-1].observations[0])
    expected = np.clip(episodes[-1].behaviour.mean[0], -POLICY_RANGE, POLICY_RANGE) * 0.1 / POLICY_RANGE
    np.testing.assert_allclose(adapted.act(seen), expected, atol=1e-5)
    np.testing.assert_allclose(adapted.act(seen[0, 3]), expected[0, 3], atol=1e-5)
    assert isinstance(point.learner, MMAML)
    first = jax.tree.map(lambda leaf: leaf[0], samples[0])
    embedding, _ = point.learner.modulator(first)
    np.testing.assert_allclose(adapted.embedding, embedding, rtol=1e-3, atol=1e-4)


def test_tasks_and_episodes_have_keys_of_their_own(monkeypatch):
    """No key that a batch of tasks is drawn with, or splits into, is that of another batch or of the episodes."""
    keys, model = [], tiny_model(TANK)
    draw = OwnEnvironment.sample_tasks
    monkeypatch.setattr(OwnEnvironment, "sample_tasks", lambda env, key, n: keys.append(key) or draw(env, key, n))
    with pytest.raises(ValueError, match="none of 600 tasks"):
        model.adapt(mode="never")
    assert len(keys) == DRAWS

    def explore(exploration, learner, tasks, episode_keys, steps):
        keys[DRAWS:] = episode_keys
        raise RunFailed("enough was seen")

    monkeypatch.setattr(Exploration, "explore", explore)
    with pytest.raises(RunFailed, match="enough"):
        model.adapt()
    families = [{tuple(jr.key_data(k).tolist()) for k in (key, *jr.split(key, 3))} for key in keys]
    assert len(set.union(*families)) == 4 * (DRAWS + 1)


def test_actions_can_be_drawn(point):
    adapted = point.adapt(seed=1, steps=0)
    assert adapted.embedding is None and adapted.returns.shape == (1,)
    many = np.zeros((4000, 4))
    drawn = adapted.act(many, key=jr.key(0))
    np.testing.assert_array_equal(drawn, adapted.act(many, key=jr.key(0)))
    assert (drawn != adapted.act(many, key=jr.key(1))).all()
    deviation = 0.01 * np.exp(np.asarray(adapted.model.network.log_std))  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.1)
    np.testing.assert_allclose(drawn.mean(axis=0), adapted.act(many[0]), atol=0.002)


@pytest.mark.parametrize("name", ["point-6", "ant-4", "point-4"])
def test_any_mode_is_any_of_them(name):
    environment = make_environment(name)
    assert {int(drawn_task(environment, None, seed).mode[0]) for seed in range(25)} == {*range(len(environment.modes))}


def test_a_task_of_ones_own_environment_is_of_the_kind_that_it_says():
    model = tiny_model(TANK)
    task = {"level": 1.5, "valve": np.ones(2)}
    assert model.adapt(task, steps=0).task.mode == 1
    assert model.adapt(task, mode="high", steps=0).task.mode == 1
    with pytest.raises(ValueError, match="is of the mode 'high', not 'low'; leave the mode out"):
        model.adapt(task, mode="low")


def test_a_goal_can_be_given(point):
    near, far = (point.adapt([x, x], steps=1) for x in (0.5, 9.0))
    np.testing.assert_array_equal(far.task.goal, [9, 9])
    assert point.modes[int(point.adapt([5, -4], steps=0).task.mode)] == "(5, -5)"
    assert near.returns[0] > far.returns[0]
    with pytest.raises(ValueError, match=r"the goal \[1, 2, 3\] does not fit .*shape \(3,\)\); give finite numbers"):
        point.adapt([1, 2, 3])
    with pytest.raises(ValueError, match="not finite"):
        point.adapt([np.nan, 0])


def test_multi_maml_has_the_prior_of_the_nearest_goals_or_of_what_it_is_told():
    multi = tiny_model("point-2", learner="multi-maml")
    told = [multi.adapt([5.0, 5.0], mode=mode).act(np.ones(4)) for mode in multi.modes]
    assert (told[0] != told[1]).all()
    np.testing.assert_array_equal(multi.adapt([5.0, 5.0]).act(np.ones(4)), told[1])
    assert multi.adapt(mode="(5, 5)").embedding is None


def test_an_environment_of_one_s_own():
    model = tiny_model(TANK)
    assert model.adapt(mode="high").task.task["level"] > 1
    adapted = model.adapt({"level": 1, "valve": [1, 2]})
    assert adapted.task.task["level"] == 1 and adapted.returns.shape == (2,)
    for scale in (0.0, 1e6, -1e6):
        action = adapted.act([scale])
        assert Tank.action_space.contains(action), action
    with pytest.raises(ValueError, match="the task 1 does not fit"):
        model.adapt(1)
    with pytest.raises(ValueError, match="none of 600 tasks drawn with the seed 0 is of the mode 'never'"):
        model.adapt(mode="never")


def test_what_does_not_fit_is_refused(point):
    with pytest.raises(ValueError, match=r"mode must be one of \(-5, -5\), .*; got 'north'"):
        point.adapt(mode="north")
    with pytest.raises(ValueError, match="-1 gradient steps; it must be 0 or more"):
        point.adapt(steps=-1)
    adapted = point.adapt(steps=0)
    for wrong, message in (
        ([1, 2], r"shape \(2,\).*size 4"),
        (np.zeros(()), "shape"),
        ([np.inf, 0, 0, 0], "not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            adapted.act(wrong)
    with pytest.raises(dataclasses.FrozenInstanceError):
        adapted.returns = jnp.zeros(1)  # pyright: ignore[reportAttributeAccessIssue]
