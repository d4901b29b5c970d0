"""Where goals lie, how widely they spread, and how often each mode comes up."""

import jax
import jax.random as jr
import numpy as np
import pytest

from mmaml.rl.envs.catalogue import ENVIRONMENTS
from mmaml.rl.envs.goals import GoalClusters


N = 24_000
H = 3**0.5 / 2
DIAGONAL = [(-1, -1), (1, 1)]
SQUARE = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
HEXAGON = [(1, 0), (0.5, H), (-0.5, H), (-0.5, -H), (0.5, -H), (-1, 0)]
EXPECTED = {
    "point-1": (5, DIAGONAL[1:], 1),
    "point-2": (5, DIAGONAL, 1),
    "point-4": (5, SQUARE, 1),
    "point-6": (5, HEXAGON, 1),
    "ant-1": (4, [(-1, 0)], 0.8),
    "ant-2": (4, [(-1, 0), (1, 0)], 0.8),
    "ant-4": (4, [(-1, 0), (-0.5, H), (0.5, H), (1, 0)], 0.8),
    "navigation": (2, [(-1, 0), (1, 0)], 0.5),
    "cheetah-location": (4, [(-1,), (1,)], 0.5),
    "cheetah-speed": (1.5, [(-1,), (1,)], 0.3),
}
REACHER = {
    "reacher-1": (0.225, DIAGONAL[1:]),
    "reacher-2": (0.225, DIAGONAL),
    "reacher-4": (0.225, SQUARE),
    "reacher-6": (0.318, HEXAGON),
    "reacher-6-reference": (0.318, HEXAGON[:2]),
}


def draw(name, n=N, seed=0):
    tasks = ENVIRONMENTS[name]().sample_tasks(jr.key(seed), n)
    return np.asarray(tasks.goal), np.asarray(tasks.mode)


@pytest.mark.parametrize("name", EXPECTED)
def test_goals_spread_around_the_centres(name):
    radius, centres, std = EXPECTED[name]
    goal, mode = draw(name)
    assert len(ENVIRONMENTS[name]().modes) == len(centres)
    for i, centre in enumerate(centres):
        mine = goal[mode == i][:, : len(centre)]
        assert len(mine) == pytest.approx(N / len(centres), rel=0.05)
        np.testing.assert_allclose(
            mine.mean(axis=0), radius * np.array(centre), atol=5 * std * (len(centres) / N) ** 0.5
        )
        np.testing.assert_allclose(mine.std(axis=0), std, rtol=0.05)
        if len(centre) == 2:
            assert abs(np.corrcoef(mine.T)[0, 1]) < 0.07


def test_every_name_is_covered():
    assert set(ENVIRONMENTS) == set(EXPECTED) | set(REACHER)


@pytest.mark.parametrize("name", ["point-6", "reacher-4", "cheetah-speed"])
def test_a_goal_is_of_the_cluster_it_lies_in(name):
    environment = ENVIRONMENTS[name]()
    goals, modes = draw(name, 300)
    taken_for = np.array([environment.mode_of(goal, None) for goal in goals])
    assert (taken_for == modes).mean() > 0.85
    assert environment.mode_of(goals[0], 1) == 1


@pytest.mark.parametrize("name", REACHER)
def test_reacher_pulls_far_goals_back(name):
    radius, centres = REACHER[name]
    goal, mode = draw(name)
    distance = np.linalg.norm(goal, axis=1)
    assert distance.max() <= 0.30 + 1e-6
    near = distance < 0.30 - 1e-6
    np.testing.assert_allclose(goal[near, 2], 0.03)
    assert (goal[~near, 2] < 0.03 + 1e-6).all()
    assert near.mean() == pytest.approx(0.36, abs=0.02)
    # The same draws by hand: pulling back scales all three coordinates.
    rng = np.random.default_rng(0)
    for i, centre in enumerate(centres):
        free = radius * np.array(centre) + 0.1 * rng.normal(size=(N, 2))
        full = np.concatenate([free, np.full((N, 1), 0.03)], axis=1)
        full *= np.minimum(1, 0.30 / np.linalg.norm(full, axis=1, keepdims=True))
        mine = goal[mode == i]
        assert len(mine) == pytest.approx(N / len(centres), rel=0.06)
        np.testing.assert_allclose(mine.mean(axis=0), full.mean(axis=0), atol=0.006)
        np.testing.assert_allclose(mine.std(axis=0), full.std(axis=0), atol=0.005)


def test_the_reference_draws_two_of_six_centres():
    assert set(draw("reacher-6")[1]) == set(range(6))
    assert set(draw("reacher-6-reference")[1]) == {0, 1}
    assert ENVIRONMENTS["reacher-6-reference"]().modes == ENVIRONMENTS["reacher-6"]().modes[:2]


@pytest.mark.parametrize(("name", "share"), [("point-6", [7, 7, 7, 7, 6, 6]), ("ant-4", [10, 10, 10, 10])])
def test_round_robin_shares_of_forty_tasks(name, share):
    mode = draw(name, 40)[1]
    assert np.bincount(mode).tolist() == share
    assert mode[:7].tolist() == [i % len(share) for i in range(7)]


@pytest.mark.parametrize("name", ["point-2", "point-4", "reacher-2", "reacher-6", "ant-2"])
def test_other_modes_are_independent_draws(name):
    counts = {tuple(np.bincount(draw(name, 40, seed)[1]).tolist()) for seed in range(5)}
    assert len(counts) > 1


def test_sampling_is_a_pure_function_that_can_be_jitted():
    clusters = GoalClusters(((0.0, 1.0), (2.0, 3.0)), 0.5)
    plain, jitted, other = (
        f(jr.key(k), 40)
        for f, k in ((clusters.sample, 3), (jax.jit(clusters.sample, static_argnums=1), 3), (clusters.sample, 4))
    )
    np.testing.assert_allclose(plain.goal, jitted.goal, rtol=1e-6)
    np.testing.assert_array_equal(plain.mode, jitted.mode)
    assert not np.allclose(plain.goal, other.goal)
    assert clusters.names == ("(0, 1)", "(2, 3)")
