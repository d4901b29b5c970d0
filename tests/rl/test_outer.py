"""ProMP's objective and its gradient through all inner steps, against finite differences and closed forms."""

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.sharding import Mesh

from mmaml import MAML, InnerLoop, TaskModel
from mmaml.core.materialised import gradient_step
from mmaml.nn.distribution import Gaussian
from mmaml.rl.experience import Experience
from mmaml.rl.explore import Exploration
from mmaml.rl.objectives import clipped_ratio, likelihood_ratio, log_likelihood, mean_kl
from mmaml.rl.outer import MetaBatch, ProMP, TaskSamples, replay
from tests.rl.problems import ShortPointMass, in_double_precision, learner, policy, task_samples


ENV = ShortPointMass(2)
EXPLORATION = Exploration(ENV, likelihood_ratio, rollouts=2)
replayed = eqx.filter_jit(replay)
stepped = eqx.filter_jit(gradient_step)


def outer_loss(outer, learner, given, exploration=EXPLORATION):
    return outer.loss(replay(exploration, learner, given), given)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def seen_by(behaviour, key=0, advantages=None):
    """Experience whose actions were drawn from `behaviour`."""
    action_key, advantage_key = jr.split(jr.key(key))
    steps = behaviour.mean.shape[0]
    actions = behaviour.mean + jnp.exp(behaviour.log_std) * jr.normal(action_key, behaviour.mean.shape)
    advantages = jr.normal(advantage_key, (steps,)) if advantages is None else advantages
    return Experience(actions, jnp.zeros(steps), advantages, behaviour, jnp.ones(steps))


def some_behaviour(steps=8):
    mean_key, std_key = jr.split(jr.key(1))
    return Gaussian(jr.normal(mean_key, (steps, 2)), 0.3 * jr.normal(std_key, (steps, 2)))


@pytest.mark.parametrize("kind", ["maml", "mmaml"])
@pytest.mark.parametrize("inner_loss", [likelihood_ratio, log_likelihood])
def test_gradient_through_all_inner_steps_equals_finite_differences(kind, inner_loss):
    with jax.enable_x64(True):
        made = in_double_precision(learner(kind, ENV))
        given = in_double_precision(task_samples(jr.key(0), ENV, phases=3))
        exploration, outer = Exploration(ENV, inner_loss, rollouts=2), ProMP(clip=0.3, kl_penalty=0.5)
        parameters, rest = eqx.partition(made, eqx.is_inexact_array)
        value = jax.jit(lambda p: outer_loss(outer, eqx.combine(p, rest), given, exploration))
        gradient = jax.jit(jax.grad(value))(parameters)
        parts = [lambda p: p.prior] + ([lambda p: p.modulator.encoder, lambda p: p.modulator.heads] * (kind == "mmaml"))
        for part in parts:
            one = part(parameters)
            direction = jax.tree.map(lambda a: jr.normal(jr.key(a.size), a.shape, jnp.float64), one)
            shifted = [
                eqx.tree_at(part, parameters, jax.tree.map(lambda a, d, eps=eps: a + eps * d, one, direction))
                for eps in (1e-5, -1e-5)
            ]
            numeric = (value(shifted[0]) - value(shifted[1])) / 2e-5
            analytic = flat(part(gradient)) @ flat(direction)
            assert abs(numeric) > 1e-4
            np.testing.assert_allclose(analytic, numeric, rtol=1e-5)


def test_at_the_behaviour_policy_both_inner_losses_have_the_same_gradient():
    net, observations = TaskModel(policy(jr.key(0))), jr.normal(jr.key(1), (20, 4))
    seen = seen_by(net(observations))
    gradients = [
        jax.jit(jax.grad(lambda m, f=f: f(m(observations), seen)))(net) for f in (likelihood_ratio, log_likelihood)
    ]
    np.testing.assert_allclose(*map(flat, gradients), rtol=1e-4, atol=1e-6)
    assert np.abs(flat(gradients[0])).max() > 1e-2


@pytest.mark.parametrize("loss", [likelihood_ratio, log_likelihood])
def test_on_a_bandit_the_gradient_is_that_of_the_expected_reward(loss):
    # The reward of action a is a², so that the expected reward is μ² + σ²; the actions are those of a quadrature,
    # whose weights the advantages carry, and the mean over actions is exact.
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    mean, log_std = 0.7, -0.4
    actions = mean + np.exp(log_std) * nodes
    advantages = actions**2 * weights / weights.sum() * len(nodes)

    def said(mean, log_std):
        return Gaussian(jnp.full((9, 1), mean), jnp.full((9, 1), log_std))

    behaviour = said(mean, log_std)
    actions, advantages = jnp.asarray(actions[:, None], jnp.float32), jnp.asarray(advantages, jnp.float32)
    seen = Experience(actions, jnp.zeros(9), advantages, behaviour, jnp.ones(9))
    slope = jax.grad(lambda m, s: loss(said(m, s), seen), argnums=(0, 1))(mean, log_std)
    np.testing.assert_allclose(slope, [-2 * mean, -2 * np.exp(2 * log_std)], rtol=1e-4)


def test_clipped_ratio_is_flat_where_there_is_no_more_to_gain():
    ratios = np.array([0.5, 0.95, 1.05, 1.5, 0.5, 0.95, 1.05, 1.5], np.float32)
    advantages = jnp.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0])
    behaviour = some_behaviour()
    # Raising the density of every action by the same factor takes another behaviour's word for the denominator.
    seen = seen_by(behaviour, advantages=advantages)

    def gains(log_ratios):
        """Loss of each step alone; `log_std` cannot be moved without moving the density, so the mean is."""

        def one(i):
            mean = seen.actions[i] - jnp.exp(behaviour.log_std[i]) * z(i, log_ratios[i])
            step = Experience(seen.actions[i : i + 1], jnp.zeros(1), advantages[i : i + 1], anchor(i), jnp.ones(1))
            return clipped_ratio(Gaussian(mean[None], behaviour.log_std[i : i + 1]), step, 0.1)

        return jnp.stack([one(i) for i in range(8)])

    def z(i, log_ratio):
        """Distance from the mean at which the density is exp(log_ratio) of what it is at distance 2."""
        return jnp.array([jnp.sqrt(4 - 2 * log_ratio), 0.0])

    def anchor(i):
        mean = seen.actions[i] - jnp.exp(behaviour.log_std[i]) * jnp.array([2.0, 0.0])
        return Gaussian(mean[None], behaviour.log_std[i : i + 1])

    logs = jnp.log(ratios)
    expected = -np.minimum(ratios * advantages, np.clip(ratios, 0.9, 1.1) * advantages)
    np.testing.assert_allclose(gains(logs), expected, rtol=1e-5)
    slopes = jax.grad(lambda x: gains(x).sum())(logs)
    flat_there = [False, False, False, True, True, False, False, False]
    np.testing.assert_allclose(slopes, np.where(flat_there, 0, -ratios * advantages), rtol=1e-4, atol=1e-6)


def test_drift_costs_nothing_at_the_behaviour_and_more_beyond():
    behaviour = some_behaviour()
    seen = seen_by(behaviour)
    cost, slope = jax.value_and_grad(mean_kl)(behaviour, seen)
    assert float(cost) == 0
    np.testing.assert_allclose(flat(slope), 0, atol=1e-6)
    moved = Gaussian(behaviour.mean + 0.1, behaviour.log_std)
    expected = np.mean(np.sum(0.01 / (2 * np.exp(2 * behaviour.log_std)), axis=1))
    assert float(mean_kl(moved, seen)) == pytest.approx(expected, rel=1e-4)


def test_drift_is_measured_by_the_old_policy():
    """KL(N(0, 1) ‖ N(0, e)) is half of 1/e; there are two coordinates."""
    behaviour = some_behaviour()
    wider = Gaussian(behaviour.mean, behaviour.log_std + 0.5)
    assert float(mean_kl(wider, seen_by(behaviour))) == pytest.approx(1 / np.e, rel=1e-5)


def test_values_worked_out_by_hand():
    """The ratio of N(1, 1) to N(0, 1) is √e at 1 and 1/√e at 0."""
    old, new = (Gaussian(jnp.full((2, 1), mean), jnp.zeros((2, 1))) for mean in (0.0, 1.0))
    seen = Experience(jnp.array([[1.0], [0.0]]), jnp.zeros(2), jnp.array([2.0, -1.0]), old, jnp.ones(2))
    root, log_peak = np.sqrt(np.e), -np.log(2 * np.pi) / 2
    assert float(likelihood_ratio(new, seen)) == pytest.approx(-(2 * root - 1 / root) / 2, rel=1e-5)
    assert float(log_likelihood(new, seen)) == pytest.approx(-(2 * log_peak - (log_peak - 0.5)) / 2, rel=1e-5)
    assert float(clipped_ratio(new, seen, 0.2)) == pytest.approx(-(2 * 1.2 - 0.8) / 2, rel=1e-5)
    assert float(mean_kl(new, seen)) == pytest.approx(0.5, rel=1e-5)


def test_first_order_is_the_plain_gradient_at_the_adapted_parameters():
    given, outer = task_samples(jr.key(0), ENV, phases=3), ProMP(kl_penalty=0.0)
    first_order = learner("maml", ENV, first_order=True)
    fomaml = eqx.filter_jit(eqx.filter_grad(lambda m: outer_loss(outer, m, given)))(first_order).prior
    model = TaskModel(first_order.prior)
    for step in range(2):
        model = stepped(InnerLoop(0.1, clip_norm=None), model, given.phases[step], likelihood_ratio, step)
    last = given.phases[2]
    plain = jax.jit(jax.grad(lambda m: clipped_ratio(m(last.inputs), last.targets, 0.1)))(model).network
    np.testing.assert_allclose(flat(fomaml), flat(plain), rtol=1e-4, atol=1e-6)
    second_order = eqx.filter_jit(eqx.filter_grad(lambda m: outer_loss(outer, m, given)))(learner("maml", ENV))
    assert np.abs(flat(second_order.prior) - flat(plain)).max() > 1e-3


def test_inner_steps_are_textbook_policy_gradients():
    given, made = task_samples(jr.key(0), ENV, phases=2), learner("maml", ENV, steps=1)
    seen = given.phases[0]
    gradient = jax.jit(jax.grad(lambda n: likelihood_ratio(TaskModel(n)(seen.inputs), seen.targets)))(made.prior)
    adapted = jax.tree.map(lambda p, g: p - 0.1 * g, made.prior, gradient)
    expected = TaskModel(adapted)(given.phases[1].inputs)
    np.testing.assert_allclose(flat(replayed(EXPLORATION, made, given)[1]), flat(expected), rtol=1e-4, atol=1e-6)


def test_with_identity_modulation_mmaml_replays_like_maml():
    given, mmaml = task_samples(jr.key(0), ENV, phases=3), learner("mmaml", ENV)
    silent = jax.tree.map(jnp.zeros_like, eqx.filter(mmaml.modulator.heads, eqx.is_array))
    silent = eqx.combine(silent, mmaml.modulator.heads)
    identity = eqx.tree_at(lambda m: m.modulator.heads, mmaml, silent)
    maml = MAML(prior=mmaml.prior, inner=mmaml.inner)
    paths = [replayed(EXPLORATION, m, given) for m in (identity, maml, mmaml)]
    np.testing.assert_allclose(flat(paths[0]), flat(paths[1]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(flat(paths[2][0]), flat(paths[1][0]))
    assert np.abs(flat(paths[2][1]) - flat(paths[1][1])).max() > 1e-2


def test_modulation_is_inferred_from_the_first_phase_alone_and_first_used_in_the_second():
    given, mmaml = task_samples(jr.key(0), ENV, phases=3), learner("mmaml", ENV)
    said = replayed(EXPLORATION, mmaml, given)
    _, modulation = mmaml.modulator(given.phases[0])
    inner = InnerLoop(0.1, clip_norm=None)
    unmodulated = stepped(inner, TaskModel(mmaml.prior), given.phases[0], likelihood_ratio, 0)
    model = TaskModel(unmodulated.network, modulation)
    np.testing.assert_allclose(flat(said[1]), flat(model(given.phases[1].inputs)), rtol=1e-4, atol=1e-6)
    model = stepped(inner, model, given.phases[1], likelihood_ratio, 1)
    np.testing.assert_allclose(flat(said[2]), flat(model(given.phases[2].inputs)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2])
def test_drift_of_the_first_phase_teaches_the_prior_and_not_the_modulator(steps):
    given = task_samples(jr.key(0), ENV, phases=steps + 1)
    nothing_gained = eqx.tree_at(lambda s: s.phases[-1].targets.advantages, given, replace_fn=jnp.zeros_like)
    mmaml, outer = learner("mmaml", ENV, steps=steps), ProMP(kl_penalty=1.0)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda m: outer_loss(outer, m, nothing_gained)))(mmaml)
    assert np.abs(flat(gradient.prior)).max() > 1e-3
    assert (np.abs(flat(gradient.modulator)).max() > 0) == (steps > 1)


@pytest.mark.parametrize("kind", ["multi-maml", "mmaml"])
def test_on_its_own_episodes_a_learner_says_again_what_it_said_while_acting(kind):
    made = learner(kind, ENV)
    tasks = ENV.sample_tasks(jr.key(0), 3)
    phases = EXPLORATION.explore(made, tasks, jr.split(jr.key(1), 3), 2).samples
    said = eqx.filter_jit(jax.vmap(lambda given: replay(EXPLORATION, made, given)))(TaskSamples(phases, tasks.mode))
    for phase, again in zip(phases, said, strict=True):
        np.testing.assert_allclose(flat(again), flat(phase.targets.behaviour), rtol=1e-4, atol=1e-5)


def test_the_outer_loss_of_a_task_is_gain_plus_mean_drift():
    given, made = task_samples(jr.key(0), ENV, phases=3), learner("maml", ENV)
    said = replayed(EXPLORATION, made, given)
    gain = clipped_ratio(said[2], given.phases[2].targets, 0.2)
    drift = [mean_kl(said[k], given.phases[k].targets) for k in range(2)]
    found = ProMP(clip=0.2, kl_penalty=0.3).loss(said, given)
    np.testing.assert_allclose(found, gain + 0.3 * (drift[0] + drift[1]) / 2, rtol=1e-5)


def test_an_update_is_as_many_adam_steps_as_epochs_and_tells_how_far_it_got():
    tasks = jax.tree.map(lambda *a: jnp.stack(a), *(task_samples(jr.key(i), ENV, phases=2) for i in range(3)))
    made, outer = learner("maml", ENV, steps=1), ProMP(1e-2, epochs=2)
    batch = MetaBatch(EXPLORATION, made, tasks, Mesh(jax.devices()[:1], "tasks"))
    parameters, rest = eqx.partition(made, eqx.is_inexact_array)
    numbers, unravel = jax.flatten_util.ravel_pytree(parameters)

    @jax.jit
    @jax.value_and_grad
    def mean_loss(numbers):
        learner = eqx.combine(unravel(numbers), rest)
        return jax.vmap(lambda given: outer_loss(outer, learner, given))(tasks).mean()

    found, _, stats = eqx.filter_jit(outer.update)(parameters, outer.init(parameters), batch)
    losses = []
    first, second, clear = 0.0, 0.0, True
    for epoch in (1, 2):
        loss, gradient = map(np.asarray, mean_loss(numbers))
        losses.append(loss)
        # Where the gradient is all but zero, Adam makes much of its rounding.
        clear &= np.abs(gradient) > 1e-4
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        numbers -= 1e-2 * (first / (1 - 0.9**epoch)) / (np.sqrt(second / (1 - 0.999**epoch)) + 1e-8)
    assert clear.mean() > 0.9
    np.testing.assert_allclose(flat(found)[clear], numbers[clear], atol=1e-4)
    after, _ = mean_loss(numbers)
    np.testing.assert_allclose([stats.loss, stats.improvement], [after, losses[0] - after], rtol=1e-2)
    last = eqx.filter_jit(jax.vmap(lambda given: replay(EXPLORATION, eqx.combine(found, rest), given)[-1]))(tasks)
    moved = jax.vmap(mean_kl)(last, tasks.phases[-1].targets).mean()
    np.testing.assert_allclose(stats.kl, moved, rtol=1e-4)


@pytest.mark.parametrize("epochs", [1, 2])
def test_the_loss_is_not_finite_once_any_step_has_broken_the_policy(epochs):
    tasks = jax.tree.map(lambda a: a[None], task_samples(jr.key(0), ENV, phases=2))
    made, outer = learner("maml", ENV, steps=1), ProMP(jnp.inf, epochs=epochs)
    batch = MetaBatch(EXPLORATION, made, tasks, Mesh(jax.devices()[:1], "tasks"))
    parameters = eqx.filter(made, eqx.is_inexact_array)
    _, _, stats = eqx.filter_jit(outer.update)(parameters, outer.init(parameters), batch)
    assert not np.isfinite(stats.loss)
