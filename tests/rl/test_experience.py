"""Returns, baseline and advantages against plain loops and regression in double precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmaml.nn.distribution import Gaussian
from mmaml.rl.experience import Trajectories, advantage_estimates, discounted_cumsum, linear_baseline, to_samples
from mmaml.rl.objectives import clipped_ratio, likelihood_ratio, log_likelihood, mean_kl


RNG = np.random.default_rng(0)


def sums_by_loop(values, discount):
    total, sums = np.zeros(values.shape[:-1]), np.zeros(values.shape)
    for t in reversed(range(values.shape[-1])):
        total = values[..., t] + discount * total
        sums[..., t] = total
    return sums


def baseline_in_double_precision(observations, returns):
    rollouts, steps, n = observations.shape
    seen = np.clip(observations.astype(np.float64), -10, 10)
    t = np.tile(np.arange(steps)[:, None] / 100, (rollouts, 1, 1))
    x = np.concatenate([seen, seen**2, t, t**2, t**3, t**0], axis=-1).reshape(-1, 2 * n + 4)
    rows = np.concatenate([x, np.sqrt(1e-5) * np.eye(x.shape[1])])
    y = np.concatenate([returns.reshape(-1), np.zeros(x.shape[1])])
    return (x @ np.linalg.lstsq(rows, y, rcond=None)[0]).reshape(returns.shape)


def random_trajectories(rollouts=3, steps=7):
    def normal(*shape):
        return jnp.asarray(RNG.normal(size=(rollouts, steps, *shape)), jnp.float32)

    return Trajectories(
        normal(4), normal(2), normal(), Gaussian(normal(2), normal(2)), jnp.ones((rollouts, steps), bool)
    )


def ended(episodes, lengths):
    """The same, each over after so many steps; what follows has no reward, but actions and observations."""
    valid = jnp.arange(episodes.rewards.shape[1]) < jnp.asarray(lengths)[:, None]
    return eqx.tree_at(lambda e: (e.rewards, e.valid), episodes, (episodes.rewards * valid, valid))


@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 1)])
def test_discounted_cumsum(shape, discount):
    values = RNG.normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(
        discounted_cumsum(jnp.asarray(values), discount), sums_by_loop(values, discount), rtol=1e-5, atol=1e-6
    )


def random_walk(n=7):
    return np.cumsum(0.3 * RNG.normal(size=(20, 50, n)), axis=1)


OBSERVATIONS = {
    "independent": lambda: RNG.normal(size=(20, 100, 4)),
    "random walks": random_walk,
    "collinear": lambda: random_walk(2)[..., [0, 1, 0, 1, 1]] * [1, 1, 1, -3, 1],
    "constant": lambda: np.broadcast_to([0.0, 1.0, -2.0], (20, 50, 3)),
    "the clock itself": lambda: np.broadcast_to(np.arange(100)[:, None] / [100.0, 10.0], (20, 100, 2)),
    "large": lambda: 1e4 * RNG.normal(size=(20, 50, 4)),
    "small": lambda: 1e-4 * RNG.normal(size=(20, 50, 4)),
    "fewer than features": lambda: RNG.normal(size=(1, 5, 29)),
}


@pytest.mark.parametrize("kind", OBSERVATIONS)
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_baseline_is_ridge_regression_in_double_precision(kind, scale):
    observations = OBSERVATIONS[kind]().astype(np.float32)
    rewards = -scale * (0.1 + np.abs(observations.clip(-5, 5)).mean(-1) + RNG.random(observations.shape[:2]))
    returns = sums_by_loop(rewards, 0.99).astype(np.float32)
    expected = baseline_in_double_precision(observations, returns)
    found = jax.jit(linear_baseline)(jnp.asarray(observations), jnp.asarray(returns), jnp.ones(returns.shape, bool))
    np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(returns).max())


def test_baseline_finds_returns_that_its_features_explain():
    observations = random_walk(3).astype(np.float32)
    t = np.arange(50) / 100
    returns = observations @ [1, -2, 3] + (observations**2) @ [0.1, 0.2, 0.3] + 5 * t - 2 * t**3 + 7
    returns = jnp.asarray(returns, jnp.float32)
    found = jax.jit(linear_baseline)(jnp.asarray(observations), returns, jnp.ones(returns.shape, bool))
    np.testing.assert_allclose(found, returns, atol=1e-3 * np.abs(returns).max())


def test_with_lambda_one_advantages_are_returns_minus_baseline():
    rewards, baseline = RNG.normal(size=(2, 3, 8)).astype(np.float32)
    found = advantage_estimates(jnp.asarray(rewards), jnp.asarray(baseline), discount=0.9, gae_lambda=1.0)
    np.testing.assert_allclose(found, sums_by_loop(rewards, 0.9) - baseline, rtol=1e-4, atol=1e-5)


def test_with_lambda_zero_advantages_are_td_errors():
    rewards, baseline = RNG.normal(size=(2, 3, 8)).astype(np.float32)
    found = advantage_estimates(jnp.asarray(rewards), jnp.asarray(baseline), discount=0.9, gae_lambda=0.0)
    np.testing.assert_allclose(found[:, -1], rewards[:, -1] - baseline[:, -1], rtol=1e-5)
    one_step = rewards[:, :-1] + 0.9 * baseline[:, 1:] - baseline[:, :-1]
    np.testing.assert_allclose(found[:, :-1], one_step, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gae_lambda", [0.3, 0.95])
def test_advantages_weigh_estimates_of_every_length(gae_lambda):
    rewards, baseline = RNG.normal(size=(2, 8)).astype(np.float32)
    discount, horizon = 0.9, 8

    def estimate(t, length):
        """The return seen for `length` steps, the baseline from there on."""
        end = min(t + length, horizon)
        seen = sum(discount**k * rewards[t + k] for k in range(end - t))
        return seen + (discount**length * baseline[end] if end < horizon else 0) - baseline[t]

    # Beyond the horizon all estimates are the same, and 1000 of them are as good as infinitely many.
    expected = [
        sum((1 - gae_lambda) * gae_lambda ** (length - 1) * estimate(t, length) for length in range(1, 1000))
        for t in range(horizon)
    ]
    found = advantage_estimates(jnp.asarray(rewards), jnp.asarray(baseline), discount=discount, gae_lambda=gae_lambda)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_what_is_learnt_from_are_all_steps_in_the_order_of_rollouts():
    episodes = random_trajectories()
    seen = to_samples(episodes, discount=0.99, gae_lambda=1.0)
    one_by_one = [(r, t) for r in range(3) for t in range(7)]
    for flat, nested in (
        (seen.inputs, episodes.observations),
        (seen.targets.actions, episodes.actions),
        (seen.targets.rewards, episodes.rewards),
        (seen.targets.behaviour.mean, episodes.behaviour.mean),
        (seen.targets.behaviour.log_std, episodes.behaviour.log_std),
    ):
        np.testing.assert_array_equal(flat, [nested[place] for place in one_by_one])


def test_advantages_are_what_was_gained_over_the_baseline_normalised_in_every_task():
    episodes = random_trajectories(4, 20)
    seen = to_samples(episodes, discount=0.9, gae_lambda=0.5)
    baseline = baseline_in_double_precision(
        np.asarray(episodes.observations), sums_by_loop(np.asarray(episodes.rewards), 0.9)
    )
    next_values = np.concatenate([baseline[:, 1:], np.zeros((4, 1))], axis=1)
    raw = sums_by_loop(episodes.rewards + 0.9 * next_values - baseline, 0.45)
    np.testing.assert_allclose(
        seen.targets.advantages, ((raw - raw.mean()) / raw.std()).reshape(-1), rtol=1e-3, atol=1e-4
    )

    tasks = jax.tree.map(lambda *a: jnp.stack(a), *(random_trajectories() for _ in range(3)))
    tasks = eqx.tree_at(lambda t: t.rewards, tasks, tasks.rewards * jnp.array([1, 10, 100])[:, None, None])
    advantages = jax.vmap(lambda t: to_samples(t, discount=0.99, gae_lambda=1.0))(tasks).targets.advantages
    np.testing.assert_allclose(advantages.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(advantages.std(1), 1, rtol=1e-4)


def test_rewards_that_say_nothing_give_finite_advantages():
    episodes = random_trajectories()
    silent = eqx.tree_at(lambda e: e.rewards, episodes, jnp.zeros((3, 7)))
    assert jnp.isfinite(to_samples(silent, discount=0.99, gae_lambda=1.0).targets.advantages).all()


def test_only_what_happened_before_the_end_of_an_episode_is_learnt_from():
    lengths = (9, 20, 1, 14)
    episodes = ended(random_trajectories(4, 20), lengths)
    seen = to_samples(episodes, discount=0.9, gae_lambda=0.5)
    happened = np.asarray(episodes.valid)
    rewards = [np.asarray(r[:length]) for r, length in zip(episodes.rewards, lengths, strict=True)]
    returns = np.concatenate([sums_by_loop(r, 0.9) for r in rewards])
    observations = np.clip(np.asarray(episodes.observations, np.float64), -10, 10)
    t = np.tile(np.arange(20)[:, None] / 100, (4, 1, 1))
    x = np.concatenate([observations, observations**2, t, t**2, t**3, t**0], axis=-1)[happened]
    rows = np.concatenate([x, np.sqrt(1e-5) * np.eye(x.shape[1])])
    fitted = x @ np.linalg.lstsq(rows, np.concatenate([returns, np.zeros(x.shape[1])]), rcond=None)[0]
    raw = []
    for r, values in zip(rewards, np.split(fitted, np.cumsum(lengths)[:-1]), strict=True):
        raw.append(sums_by_loop(r + 0.9 * np.append(values[1:], 0) - values, 0.45))
    raw = np.concatenate(raw)
    found = np.asarray(seen.targets.advantages).reshape(4, 20)
    np.testing.assert_allclose(found[happened], (raw - raw.mean()) / raw.std(), rtol=1e-3, atol=1e-4)
    assert not found[~happened].any()
    np.testing.assert_allclose(seen.targets.weights, happened.ravel() / happened.mean(), rtol=1e-6)


def test_steps_after_the_end_change_no_objective_and_no_gradient():
    """As many more steps as one likes, with whatever in them."""
    short, long = random_trajectories(3, 5), random_trajectories(3, 12)
    long = ended(jax.tree.map(lambda a, b: b.at[:, :5].set(a), short, long), [5, 5, 5])

    def objectives(shift, episodes):
        seen = to_samples(episodes, discount=0.9, gae_lambda=0.9).targets
        policy = Gaussian(seen.behaviour.mean + shift, seen.behaviour.log_std - shift)
        losses = (likelihood_ratio, log_likelihood, mean_kl)
        return jnp.stack([*(loss(policy, seen) for loss in losses), clipped_ratio(policy, seen, 0.1)])

    for function in (objectives, jax.jacobian(objectives)):
        np.testing.assert_allclose(function(0.1, long), function(0.1, short), rtol=1e-3, atol=1e-4)
