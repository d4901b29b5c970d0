"""The trust-region step: its curvature, and what it promises."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh

from mmaml.rl.build import make_exploration, make_learner, make_outer
from mmaml.rl.explore import Exploration
from mmaml.rl.objectives import likelihood_ratio, mean_kl
from mmaml.rl.outer import MetaBatch, TaskSamples, replay
from mmaml.rl.presets import PRESETS
from mmaml.rl.trainer import PolicyTrainer
from mmaml.rl.trpo import TRPO
from tests.rl.problems import ShortPointMass, in_double_precision, learner, task_samples


CONFIG = replace(PRESETS["navigation"], hidden=(5,), encoder_hidden=3, rollouts=2, tasks_per_step=3, learner="maml")


@pytest.fixture(scope="module")
def trainer():
    exploration = make_exploration(CONFIG)
    learner = make_learner(CONFIG, exploration.environment, key=jr.key(0))
    return PolicyTrainer(
        exploration=exploration, learner=learner, outer=make_outer(CONFIG), tasks_per_step=3, key=jr.key(1)
    )


@pytest.fixture(scope="module")
def tasks(trainer):
    tasks = trainer.exploration.environment.sample_tasks(jr.key(2), 3)
    phases = trainer.exploration.explore(trainer.learner, tasks, jr.split(jr.key(3), 3), 1).samples
    return TaskSamples(phases, tasks.mode)


def outcome(trainer, parameters, tasks):
    """Mean outer loss and mean KL of the policies that act last."""

    def one(task):
        learner = eqx.combine(parameters, trainer.learner)
        said, seen = replay(trainer.exploration, learner, task)[-1], task.phases[-1].targets
        return likelihood_ratio(said, seen), mean_kl(said, seen)

    return jax.tree.map(jnp.mean, jax.vmap(one)(tasks))


def test_the_loss_falls_within_the_trust_region(trainer, tasks):
    state = trainer.initial_state()
    after, stats = trainer.update(state, tasks)
    before, _ = outcome(trainer, state.parameters, tasks)
    loss, moved = outcome(trainer, after.parameters, tasks)
    assert loss < before
    np.testing.assert_allclose(stats.improvement, before - loss, rtol=1e-3)
    np.testing.assert_allclose([stats.loss, stats.kl], [loss, moved], rtol=1e-3)
    # The bound is what limits the step, and it is kept.
    assert 0.3 * CONFIG.max_kl < moved <= CONFIG.max_kl
    assert outcome(trainer, state.parameters, tasks)[1] < 1e-9


def test_one_step_of_the_solver_follows_the_gradient(trainer, tasks):
    """With a single step of conjugate gradients the direction is that of the gradient itself."""
    state = trainer.initial_state()
    batch = MetaBatch(trainer.exploration, trainer.learner, tasks, trainer.mesh)
    parameters, _, _ = eqx.filter_jit(TRPO(cg_steps=1).update)(state.parameters, (), batch)
    change, _ = ravel_pytree(jax.tree.map(jnp.subtract, parameters, state.parameters))
    gradient, _ = ravel_pytree(jax.grad(lambda p: outcome(trainer, p, tasks)[0])(state.parameters))
    cosine = change @ gradient / jnp.linalg.norm(change) / jnp.linalg.norm(gradient)
    np.testing.assert_allclose(cosine, -1, atol=1e-4)


def precise_batch(weights=None):
    """One task in double precision, whose last policy is the one that acted last; `weights` are those of its steps."""
    env = ShortPointMass(2)
    exploration = Exploration(env, likelihood_ratio, rollouts=8)
    made = in_double_precision(learner("maml", env, steps=1, hidden=(2,)))
    task = in_double_precision(task_samples(jr.key(0), env, phases=2, rollouts=8))
    if weights is not None:
        task = eqx.tree_at(lambda t: [phase.targets.weights for phase in t.phases], task, [weights] * 2)
    said = eqx.filter_jit(replay)(exploration, made, task)[-1]
    task = eqx.tree_at(lambda t: t.phases[-1].targets.behaviour, task, said)
    tasks = jax.tree.map(lambda leaf: leaf[None], task)
    return MetaBatch(exploration, made, tasks, Mesh(jax.devices()[:1], "tasks"))


def test_the_step_is_the_natural_gradient_s_and_as_long_as_the_bound_allows():
    with jax.enable_x64(True):
        batch = precise_batch()
        made, tasks = batch.learner, batch.tasks
        start, unravel = ravel_pytree(eqx.filter(made, eqx.is_inexact_array))
        gradients = jax.jit(jax.jacrev(lambda numbers: outcome(batch, unravel(numbers), tasks)))
        ahead, behind = ([gradients(start + eps * d)[1] for d in np.eye(start.size)] for eps in (1e-5, -1e-5))
        hessian = (np.array(ahead) - np.array(behind)) / 2e-5
        natural = np.linalg.solve(hessian, gradients(start)[0])
        outer = TRPO(max_kl=1e-8, cg_steps=start.size)
        parameters, _, _ = eqx.filter_jit(outer.update)(unravel(start), (), batch)
        change = np.asarray(ravel_pytree(parameters)[0] - start)
    assert change @ natural < -0.999 * np.linalg.norm(change) * np.linalg.norm(natural)
    assert 0.6e-8 < change @ hessian @ change / 2 < 1.001e-8


def test_nothing_changes_where_no_step_helps(trainer, tasks):
    """Advantages of zero leave nothing to gain."""
    empty = eqx.tree_at(lambda ls: ls.phases[-1].targets.advantages, tasks, replace_fn=jnp.zeros_like)
    state = trainer.initial_state()
    after, stats = trainer.update(state, empty)
    assert stats.improvement == 0 and stats.kl == 0
    for new, old in zip(jax.tree.leaves(after.parameters), jax.tree.leaves(state.parameters), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_loss_that_is_not_finite_is_told(trainer, tasks):
    broken = eqx.tree_at(lambda ls: ls.phases[-1].targets.advantages, tasks, replace_fn=lambda a: a * jnp.nan)
    _, stats = trainer.update(trainer.initial_state(), broken)
    assert not np.isfinite(stats.loss)


def test_steps_after_the_end_of_an_episode_are_none():
    """The same step whether what follows the end is cut off or is there without weight."""

    def cut_off(samples):
        half = jax.tree.map(lambda a: a[:, :20], samples)
        return eqx.tree_at(lambda s: s.targets.weights, half, replace_fn=jnp.ones_like)

    with jax.enable_x64(True):
        long = precise_batch(weights=2.0 * (jnp.arange(40) < 20))
        short = replace(long, tasks=TaskSamples(tuple(map(cut_off, long.tasks.phases)), long.tasks.mode))
        start = eqx.filter(long.learner, eqx.is_inexact_array)
        (expected, _, stats), (found, _, same) = (
            eqx.filter_jit(TRPO(cg_steps=5).update)(start, (), batch) for batch in (short, long)
        )
        assert stats.improvement > 0
        np.testing.assert_allclose(same, stats, rtol=1e-6)
        np.testing.assert_allclose(ravel_pytree(found)[0], ravel_pytree(expected)[0], rtol=1e-6)
