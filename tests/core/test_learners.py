"""What every learner must do, whatever its kind."""

import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml import MMAML, InnerLoop, MultiMAML, Samples
from tests.core.problems import LEARNERS, PlanesAndWaves, learner, modulator, mse, network


TASKS = PlanesAndWaves().sample(jr.key(3), 4)
TASK = jax.tree.map(lambda a: a[1], TASKS)


@pytest.mark.parametrize("kind", LEARNERS)
class TestEveryLearner:
    def test_yields_a_model_for_each_number_of_steps(self, kind):
        path = list(learner(kind).adapt(TASK.support, TASK.mode, mse, steps=3))
        assert [model(TASK.query.inputs).shape for model in path] == [(4, 1)] * 4

    def test_adaptation_lowers_the_support_loss(self, kind):
        *_, model = path = list(learner(kind).adapt(TASK.support, TASK.mode, mse, steps=3))
        before, after = (mse(m(TASK.support.inputs), TASK.support.targets) for m in (path[0], model))
        assert after < before

    def test_works_on_one_task_as_on_a_batch(self, kind):
        def prediction(task):
            *_, model = learner(kind).adapt(task.support, task.mode, mse)
            return model(task.query.inputs)

        batch = jax.vmap(prediction)(TASKS)
        np.testing.assert_allclose(batch[1], prediction(TASK), rtol=1e-4, atol=1e-5)

    def test_every_parameter_gets_a_finite_gradient(self, kind):
        def outer(learner):
            *_, model = learner.adapt(TASK.support, TASK.mode, mse)
            return mse(model(TASK.query.inputs), TASK.query.targets)

        gradients = jax.tree.leaves(eqx.filter_grad(outer)(learner(kind)))
        assert all(jnp.isfinite(g).all() for g in gradients)
        assert sum(float(jnp.abs(g).sum()) == 0 for g in gradients) == 0

    def test_does_not_look_at_the_query_set(self, kind):
        other = Samples(TASK.query.inputs, TASK.query.targets + 1)
        task = eqx.tree_at(lambda t: t.query, TASK, other)
        models = [list(learner(kind).adapt(t.support, t.mode, mse))[-1] for t in (TASK, task)]
        np.testing.assert_array_equal(*(m(TASK.query.inputs) for m in models))

    def test_only_multi_maml_looks_at_the_mode(self, kind):
        outputs = [
            list(learner(kind).adapt(TASK.support, jnp.asarray(mode), mse))[-1](TASK.query.inputs) for mode in (0, 1)
        ]
        assert np.allclose(*outputs) == (kind != "multi-maml")

    def test_order_of_support_points_does_not_matter(self, kind):
        shuffled = jax.tree.map(lambda a: a[::-1], TASK.support)
        outputs = [
            list(learner(kind).adapt(s, TASK.mode, mse))[-1](TASK.query.inputs) for s in (TASK.support, shuffled)
        ]
        np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-4)


def test_multi_maml_uses_the_prior_of_the_mode():
    multi = learner("multi-maml")
    for mode in (0, 1):
        model = multi.condition(TASK.support, jnp.asarray(mode))
        np.testing.assert_array_equal(model.network.head.weight, multi.priors.head.weight[mode])


def test_step_sizes_of_other_modes_than_the_priors_are_refused():
    with pytest.raises(ValueError, match="priors for 2 modes and step sizes for 1"):
        MultiMAML(priors=learner("multi-maml").priors, rates=((0.1,),))


def test_softmax_gates_sum_to_one_and_sigmoid_gates_lie_between_zero_and_one():
    _, softmax = learner("softmax").modulator(TASK.support)
    _, sigmoid = learner("sigmoid").modulator(TASK.support)
    assert [float(block.gate.sum()) for block in softmax] == pytest.approx([1.0, 1.0])
    assert all(((block.gate > 0) & (block.gate < 1)).all() for block in sigmoid)


def test_film_with_zero_heads_is_maml():
    mmaml, maml = learner("film", InnerLoop(0.05)), learner("maml", InnerLoop(0.05))
    zeros = jax.tree.map(lambda a: jnp.zeros_like(a) if eqx.is_array(a) else a, mmaml.modulator.heads)
    mmaml = eqx.tree_at(lambda m: m.modulator.heads, mmaml, zeros)
    outputs = [list(m.adapt(TASK.support, TASK.mode, mse))[-1](TASK.query.inputs) for m in (mmaml, maml)]
    np.testing.assert_allclose(*outputs, rtol=1e-5)


def test_the_scale_is_what_the_numbers_of_the_heads_are_multiplied_by():
    (_, whole), (_, fifth) = (modulator(jr.key(1), (8, 8), scale=scale)(TASK.support) for scale in (1.0, 0.2))
    assert all(jnp.abs(block.gamma).max() > 0.1 for block in whole)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 0.2 * b, rtol=1e-6), fifth, whole)


def test_a_modulator_for_other_blocks_is_refused():
    with pytest.raises(ValueError, match=r"made for blocks of \(8, 9\) units, the prior has \(8, 8\)"):
        MMAML(prior=network(jr.key(0)), modulator=modulator(jr.key(1), (8, 9)))


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_learner_can_be_sent_to_another_process(kind):
    one, other = learner(kind), pickle.loads(pickle.dumps(learner(kind)))
    models = [list(each.adapt(TASK.support, TASK.mode, mse))[-1] for each in (one, other)]
    np.testing.assert_array_equal(*(model(TASK.query.inputs) for model in models))


def test_modulator_names_what_is_wrong():
    with pytest.raises(ValueError, match=r"unknown modulation 'shift'; choose one of film"):
        learner("shift")
