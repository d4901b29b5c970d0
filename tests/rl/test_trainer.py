"""Meta-training of policies: it learns, repeats itself bit for bit, and microbatches and devices change nothing."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.sharding import Mesh
from rich.console import Console

from mmaml.rl.envs.navigation import Navigation
from mmaml.rl.envs.reacher import Reacher
from mmaml.rl.evaluate import evaluate
from mmaml.rl.explore import Exploration
from mmaml.rl.objectives import likelihood_ratio
from mmaml.rl.outer import ProMP
from mmaml.rl.trainer import PolicyTrainer
from mmaml.runs.folder import RunFolder
from mmaml.runs.metrics import read_metrics
from mmaml.runs.statistics import mean_and_ci
from mmaml.runs.training import Schedule, train
from tests.compilation import compilations
from tests.rl.problems import LEARNERS, ShortPointMass, learner
from tests.training import AT_MOST, parameters, run


SHORT, REACHER = ShortPointMass(2), Reacher(2, threads=1)


def trainer(kind="mmaml", environment=SHORT, tasks=5, rollouts=2, learning_rate=1e-2, key=5, **options):
    return PolicyTrainer(
        exploration=Exploration(environment, likelihood_ratio, rollouts=rollouts),
        learner=learner(kind, environment, inner_lr=0.05, steps=1, hidden=(8,)),
        outer=ProMP(learning_rate, epochs=2),
        tasks_per_step=tasks,
        key=jr.key(key),
        **options,
    )


@pytest.mark.parametrize("environment", [SHORT, REACHER], ids=["point", "reacher"])
def test_one_dispatch_or_several_give_the_same_bits_and_nothing_is_compiled_anew(environment):
    t, compiled = trainer(environment=environment), compilations()
    state, history = run(t, 2)
    seen = len(compiled)
    assert seen > 0
    state, more = t.run(state, 1, AT_MOST)
    assert int(state.step) == 3
    whole, at_once = run(t, 3)
    assert len(compiled) == seen
    np.testing.assert_array_equal(parameters(whole), parameters(state))
    for name, values in at_once.items():
        np.testing.assert_array_equal(values[:3], [*history[name][:2], more[name][0]])
        assert not values[3:].any()


def test_the_key_decides_everything():
    first, again, other = (parameters(run(trainer(key=key), 2)[0]) for key in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


def test_microbatches_and_devices_change_only_rounding():
    assert len(jax.devices()) == 2
    alone = Mesh(jax.devices()[:1], "tasks")
    (state, history), (other, numbers) = (
        run(trainer("maml", **options), 2) for options in ({}, {"mesh": alone, "task_microbatch": 2})
    )
    np.testing.assert_allclose(parameters(other), parameters(state), rtol=2e-3, atol=1e-4)
    for name, values in history.items():
        np.testing.assert_allclose(numbers[name], values, rtol=1e-3, atol=1e-5)


def test_reported_numbers_are_mean_returns_of_the_episodes_before_and_after_adaptation():
    t = trainer("maml")
    _, history = run(t, 1)
    task_key, explore_key = jr.split(jr.fold_in(t.key, 0))
    tasks = SHORT.sample_tasks(task_key, 5)
    episodes = t.exploration.explore(t.learner, tasks, jr.split(explore_key, 5), 1).episodes
    before, after = (np.asarray(episodes[i].rewards).sum(axis=2).mean(axis=1) for i in (0, 1))
    assert history["query_before"][0] == pytest.approx(before.mean(), rel=1e-5)
    assert history["query"][0] == pytest.approx(after.mean(), rel=1e-5)
    np.testing.assert_allclose([history[f"return_{i}"][0] for i in (0, 1)], [before.mean(), after.mean()], rtol=1e-5)
    assert "return_2" not in history
    assert history["query_ci95"][0] == pytest.approx(1.96 * after.std(ddof=1) / 5**0.5, rel=1e-4)


def test_the_interval_of_several_meta_iterations_is_that_of_all_their_tasks():
    returned = np.random.default_rng(0).normal(-100, 20, (3, 4000))
    means, intervals = np.array([[*mean_and_ci(row).values()] for row in returned]).T
    found = trainer("maml").summary({"query": means, "query_ci95": intervals})
    of_all = mean_and_ci(returned.ravel())
    assert found["query"] == pytest.approx(of_all["mean"])
    assert found["query_ci95"] == pytest.approx(of_all["ci95"], rel=0.01)


def test_a_row_of_metrics_sums_up_a_dispatch(tmp_path):
    t, folder = trainer("maml"), RunFolder(tmp_path)
    _, history = run(t, 3)
    numbers = {name: np.asarray(values[:3]) for name, values in history.items()}
    schedule = Schedule(3, save_every=3, dispatch=AT_MOST)
    train(folder, t, schedule, lambda learner: {}, console=Console(quiet=True))
    (row,) = read_metrics(folder.metrics_path)
    assert row["query_ci95"] == pytest.approx((numbers.pop("query_ci95") ** 2).sum() ** 0.5 / 3)
    for name, values in numbers.items():
        assert row[name] == pytest.approx(values.mean(), abs=1e-6)


@pytest.mark.parametrize("kind", LEARNERS)
@pytest.mark.parametrize("environment", [SHORT, REACHER], ids=["point", "reacher"])
def test_every_learner_changes_all_it_has_in_one_meta_iteration(kind, environment):
    t = trainer(kind, environment)
    state, history = run(t, 1)
    assert all(np.isfinite(values[0]) for values in history.values())
    before, after = t.initial_state().parameters, state.parameters
    for old, new in zip(*map(jax.tree.leaves, (before, after)), strict=True):
        assert jnp.isfinite(new).all() and (new != old).any()
    if kind == "mmaml":
        changed = [a != b for a, b in zip(*map(jax.tree.leaves, (before.modulator, after.modulator)), strict=True)]
        assert len(changed) > 10 and np.mean(np.concatenate([np.ravel(c) for c in changed])) > 0.5


def test_learns():
    t = trainer("mmaml", Navigation(), tasks=8, rollouts=4, key=6)
    state, first = t.run(t.initial_state(), 50, 50)
    for _ in range(4):
        state, last = t.run(state, 50, 50)
    untrained = first["query"][:5].mean()
    # The first episodes have to find out whether the goal is left or right; the last ones know.
    assert last["query"].mean() > 0.4 * untrained
    assert last["query"].mean() > 0.4 * last["query_before"].mean()


@pytest.mark.parametrize("environment", [SHORT, REACHER], ids=["point", "reacher"])
def test_evaluation_in_parts_has_a_row_for_each_task_and_a_column_for_each_phase(environment):
    t = trainer(environment=environment)
    tasks = environment.sample_tasks(jr.key(0), 5)
    values = evaluate(t.exploration, t.learner, tasks, jr.key(1), 2, at_once=2)
    assert values.shape == (5, 3) and np.isfinite(values).all()
    assert len(np.unique(values)) == 15
    at_once = evaluate(t.exploration, t.learner, tasks, jr.key(1), 2)
    np.testing.assert_allclose(values, at_once[:5], rtol=1e-4)
