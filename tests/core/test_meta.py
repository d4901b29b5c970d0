"""Meta-training: it learns, does not recompile, and microbatches and devices change nothing."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

from mmaml import InnerLoop, MetaTrainer, Mixture
from tests.compilation import compilations
from tests.core.problems import PlanesAndWaves, learner, mse
from tests.training import AT_MOST, parameters, run


def trainer(kind="film", tasks=6, **options):
    inner = InnerLoop(0.05, steps=1)
    return MetaTrainer(PlanesAndWaves(), learner(kind, inner), mse, optax.adam(1e-2), tasks, jr.key(5), **options)


@pytest.mark.parametrize("kind", ["maml", "film"])
def test_learns_without_recompiling(kind):
    t = trainer(kind, tasks=16)
    compiled = compilations()
    state, first = t.run(t.initial_state(), 8, AT_MOST)
    seen = len(compiled)
    assert seen > 0
    for count in (8, 3, *[8] * 30):
        state, last = t.run(state, count, AT_MOST)
    assert len(compiled) == seen
    assert int(state.step) == 8 * 32 + 3
    assert last["loss"].mean() < (0.75 if kind == "maml" else 0.6) * first["loss"].mean()


def test_step_sizes_that_are_given_are_not_trained():
    rates = jnp.array([0.01, 0.005])
    t = trainer("maml")
    t = eqx.tree_at(lambda t: t.learner.inner, t, InnerLoop(rates, steps=2))
    state, _ = run(t, 2)
    np.testing.assert_array_equal(jnp.stack(t.learner_at(state).inner.rates), rates)
    assert len(jax.tree.leaves(state.parameters.inner)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": 0}, "`tasks_per_step` is 0; it must be at least 1"),
        ({"post_modulation_share": 2.0}, "`post_modulation_share` is 2.0; it must be from 0 to below 1"),
        ({"pretraining": -1}, "`pretraining` is -1 meta-iterations; it must be 0 or more"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        trainer(**options)


def test_multi_maml_needs_a_prior_for_each_mode():
    one_more = Mixture((PlanesAndWaves(),) * 3, ("a", "b", "c"))
    with pytest.raises(ValueError, match="Multi-MAML has priors for 2 modes, and the source has 3"):
        MetaTrainer(one_more, learner("multi-maml"), mse, optax.adam(1e-2), 6, jr.key(5))


def test_a_source_that_draws_with_numpy_is_refused():
    class Frozen(PlanesAndWaves):
        def sample(self, key, n):
            x = np.random.default_rng().normal(size=(n, 4, 2)).astype(np.float32)
            tasks = super().sample(key, n)
            return eqx.tree_at(lambda t: t.support.inputs, tasks, x)

    t = eqx.tree_at(lambda t: t.source, trainer(), Frozen())
    with pytest.raises(ValueError, match=r"`sample` must be a pure function of its key. Draw with `jax.random`"):
        t.run(t.initial_state(), 1, 1)


def test_targets_that_a_loss_would_broadcast_are_refused():
    class Flat(PlanesAndWaves):
        def sample(self, key, n):
            tasks = super().sample(key, n)
            return eqx.tree_at(lambda t: t.query.targets, tasks, tasks.query.targets[..., 0])

    t = eqx.tree_at(lambda t: t.source, trainer("maml"), Flat())
    with pytest.raises(ValueError, match=r"outputs have the shape \(4, 1\) and its targets \(4,\); both must have the"):
        t.run(t.initial_state(), 1, 1)


def test_one_dispatch_or_several_give_the_same_bits():
    whole, parts = run(trainer(), 6), run(trainer(), 1, 3, 2)
    np.testing.assert_array_equal(parameters(whole[0]), parameters(parts[0]))


def test_every_iteration_has_fresh_tasks_that_the_key_fixes():
    t = replace(trainer("maml"), loss=lambda outputs, targets: targets.mean())
    state, first = run(t, 3)
    _, then = t.run(state, 2, AT_MOST)
    losses = np.concatenate([first["loss"][:3], then["loss"][:2]])
    drawn = jax.jit(lambda i: t.source.sample(jr.fold_in(t.key, i), 6).query.targets.mean())
    np.testing.assert_allclose(losses, [drawn(i) for i in range(5)], rtol=1e-5, atol=1e-6)
    assert len(np.unique(losses)) == 5


def test_the_optimiser_remembers_earlier_iterations():
    """The mean output has the slope 1 in the head's bias; momentum 0.9 makes of it 1, 1.9 and 2.71."""
    t = replace(trainer("maml"), loss=lambda outputs, targets: outputs.mean(), optimiser=optax.sgd(0.1, momentum=0.9))
    state, _ = run(t, 2, 1)
    moved = state.parameters.prior.head.bias - t.learner.prior.head.bias
    np.testing.assert_allclose(moved, -0.1 * (1 + 1.9 + 2.71), rtol=1e-5)


def test_microbatches_and_devices_change_only_rounding():
    alone = Mesh(jax.devices()[:1], "tasks")
    expected = parameters(run(trainer(mesh=alone), 3)[0])
    for options in ({"mesh": alone, "task_microbatch": 4}, {}, {"task_microbatch": 1}):
        np.testing.assert_allclose(parameters(run(trainer(**options), 3)[0]), expected, rtol=2e-3, atol=2e-5)
    assert len(jax.devices()) == 2


def test_a_batch_that_does_not_divide_among_devices_weighs_every_task_the_same():
    alone = Mesh(jax.devices()[:1], "tasks")
    losses = [run(trainer(tasks=5, **options), 1)[1]["loss"][0] for options in ({"mesh": alone}, {})]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_reported_loss_is_the_mean_query_loss_after_adaptation_and_a_share_of_that_before(share):
    t = trainer(post_modulation_share=share)
    _, history = run(t, 1)
    tasks = t.source.sample(jr.fold_in(t.key, 0), 6)

    def query_losses(task):
        before, after = t.learner.adapt(task.support, task.mode, mse)
        return [mse(model(task.query.inputs), task.query.targets) for model in (before, after)]

    before, after = map(jnp.mean, jax.vmap(query_losses)(tasks))
    np.testing.assert_allclose(history["loss"][0], share * before + (1 - share) * after, rtol=1e-5)


def test_judged_before_the_gradient_steps_too_a_learner_starts_better():
    def prior_loss(share):
        t = trainer(tasks=16, post_modulation_share=share)
        learner = t.learner_at(run(t, *[8] * 20)[0])
        tasks = t.source.sample(jr.key(0), 200)
        models = jax.vmap(learner.condition)(tasks.support, tasks.mode)
        return jax.vmap(lambda model, query: mse(model(query.inputs), query.targets))(models, tasks.query).mean()

    assert prior_loss(0.5) < 0.8 * prior_loss(0.0)


def test_pretraining_takes_no_gradient_steps_and_what_follows_does():
    steps_later, with_steps = trainer(pretraining=3), trainer()
    without_steps = eqx.tree_at(lambda t: t.learner.inner, with_steps, InnerLoop(0.05, steps=0))
    state, _ = run(steps_later, 3)
    np.testing.assert_allclose(parameters(state), parameters(run(without_steps, 3)[0]), rtol=1e-5, atol=1e-6)
    with_loss, later_loss = (t.run(state, 1, AT_MOST)[1]["loss"][0] for t in (with_steps, steps_later))
    np.testing.assert_allclose(later_loss, with_loss, rtol=1e-5)
    assert abs(later_loss - run(without_steps, 3, 1)[1]["loss"][0]) > 1e-3


def test_tasks_of_a_mixture_in_rounds_of_all_modes_come_to_the_same():
    """Multi-MAML does so; with microbatches, or a source that may have another order, it does not."""

    class Half(PlanesAndWaves):
        first: int = eqx.field(static=True, default=0)

        def sample(self, key, n):
            tasks = super().sample(key, 2 * n)
            return jax.tree.map(lambda leaf: leaf[self.first :: 2], tasks)

    source = Mixture((Half(first=0), Half(first=1)), ("planes", "waves"))
    options = [{"pretraining": 1}, {"pretraining": 1, "task_microbatch": 6}]
    in_rounds, as_they_come = (replace(trainer("multi-maml", **more), source=source) for more in options)
    (state, history), (expected, expected_history) = run(in_rounds, 3), run(as_they_come, 3)
    np.testing.assert_allclose(history["loss"], expected_history["loss"], rtol=1e-5)
    np.testing.assert_allclose(parameters(state), parameters(expected), rtol=2e-3, atol=2e-5)


def test_more_iterations_than_fit_are_refused():
    t = trainer("maml")
    with pytest.raises(ValueError, match="5 meta-iterations do not fit into a dispatch of at most 3"):
        t.run(t.initial_state(), 5, 3)
