"""The inner loop against closed forms, finite differences, and its two engines against each other."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaml.core.adapt import adapt, adapt_in_a_loop
from mmaml.core.inner import LONGEST, InnerLoop
from mmaml.core.materialised import formed
from mmaml.core.modulation import FiLM
from mmaml.core.network import AbstractNetwork, TaskModel
from mmaml.core.rates import LearnedRates
from mmaml.core.task import Samples
from tests.core.problems import CONTEXTS, film, mse, network, samples


def final(inner, model, support):
    *_, last = adapt(inner, model, support, mse)
    return last


def outer_loss(model, inner, support, query):
    return mse(final(inner, model, support)(query.inputs), query.targets)


def relative_difference(a, b):
    a, b = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]) for tree in (a, b))
    return np.linalg.norm(a - b) / (np.linalg.norm(b) + 1e-12)


def test_one_step_on_a_linear_model_is_the_textbook_update():
    net = network(jr.key(0), (2, 4, 1))
    net = eqx.tree_at(lambda n: n.hidden, net, ())
    net = eqx.tree_at(lambda n: n.head, net, eqx.nn.Linear(2, 1, key=jr.key(1)))
    support = samples(jr.key(2), 5)
    w, b = np.array(net.head.weight), np.array(net.head.bias)
    x, y = np.array(support.inputs), np.array(support.targets)
    residual = x @ w.T + b - y
    new_w = w - 0.1 * 2 * residual.T @ x / len(x)
    new_b = b - 0.1 * 2 * residual.mean(0)
    for engine in ("dual", "materialised"):
        adapted = final(InnerLoop(0.1, steps=1, clip_norm=None, engine=engine), TaskModel(net), support)
        query = np.ones((3, 2), np.float32)
        np.testing.assert_allclose(adapted(query), query @ new_w.T + new_b, rtol=1e-5)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    points=st.integers(1, 4),
    steps=st.integers(0, 2),
    hidden=st.lists(st.sampled_from([5, 24]), min_size=1, max_size=3),
    context=st.sampled_from(sorted(CONTEXTS)),
    clip=st.sampled_from([None, 0.5]),
    first_order=st.booleans(),
    adapts=st.sampled_from(["all", "head"]),
    learned=st.booleans(),
    modulated=st.booleans(),
)
def test_engines_agree(seed, points, steps, hidden, context, clip, first_order, adapts, learned, modulated):
    net_key, mod_key, s_key, q_key = jr.split(jr.key(seed), 4)
    net = network(net_key, (2, *hidden, 2), CONTEXTS[context])
    model = TaskModel(net, film(mod_key, net.widths) if modulated else None)
    support, query = samples(s_key, points, (2, 2)), samples(q_key, 3, (2, 2))
    rates = LearnedRates(net, 0.1, steps, per_parameter=False, adapts=adapts) if learned else 0.1
    if learned:  # rates that differ from layer to layer and step to step
        leaves, structure = jax.tree.flatten(rates)
        rates = jax.tree.unflatten(
            structure, [leaf + 0.3 * i if eqx.is_array(leaf) else leaf for i, leaf in enumerate(leaves)]
        )

    def value_and_gradient(engine):
        inner = InnerLoop(rates, steps, first_order=first_order, clip_norm=clip, adapts=adapts, engine=engine)
        return eqx.filter_jit(eqx.filter_value_and_grad(lambda mi: outer_loss(*mi, support, query)))((model, inner))

    with jax.default_matmul_precision("highest"):
        (dual, dual_gradient), (plain, plain_gradient) = value_and_gradient("dual"), value_and_gradient("materialised")
    np.testing.assert_allclose(dual, plain, rtol=1e-5)
    assert relative_difference(dual_gradient, plain_gradient) < 1e-5


@pytest.mark.parametrize("engine", ["dual", "materialised"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_second_order_gradient_equals_finite_differences(engine, clip):
    with jax.enable_x64(True):
        net = network(jr.key(0), (2, 16, 16, 1), jnp.full(2, 0.3))
        net = jax.tree.map(lambda a: a.astype(jnp.float64), net)
        tau = jax.tree.map(lambda a: a.astype(jnp.float64), film(jr.key(1), net.widths))
        support, query = samples(jr.key(2), 2), samples(jr.key(3), 3)
        inner = InnerLoop(0.1, steps=2, clip_norm=clip, engine=engine)

        def value(model):
            return outer_loss(model, inner, support, query)

        model = TaskModel(net, tau)
        gradient = jax.grad(value)(model)
        direction = jax.tree.map(lambda a: jr.normal(jr.key(a.size), a.shape, jnp.float64), model)
        eps = 1e-6
        shifted = [jax.tree.map(lambda a, d, s=s: a + s * eps * d, model, direction) for s in (1, -1)]
        numeric = (value(shifted[0]) - value(shifted[1])) / (2 * eps)
        analytic = sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
        np.testing.assert_allclose(analytic, numeric, rtol=1e-6)


@pytest.mark.parametrize("engine", ["dual", "materialised"])
def test_first_order_is_the_plain_gradient_at_the_adapted_parameters(engine):
    net = network(jr.key(0), (2, 16, 16, 1))
    support, query = samples(jr.key(2), 3), samples(jr.key(3), 3)
    inner = InnerLoop(0.1, steps=3, first_order=True, engine=engine)
    fomaml = jax.grad(lambda n: outer_loss(TaskModel(n), inner, support, query))(net)
    plain = InnerLoop(0.1, steps=3, engine="materialised")
    adapted = final(plain, TaskModel(net), support).network
    at_adapted = jax.grad(lambda n: mse(TaskModel(n)(query.inputs), query.targets))(adapted)
    assert relative_difference(fomaml, at_adapted) < 1e-5


def test_identity_modulation_changes_nothing():
    net = network(jr.key(0), (2, 16, 16, 1))
    support, query = samples(jr.key(2), 3), samples(jr.key(3), 3)
    identity = tuple(FiLM(jnp.zeros(w), jnp.zeros(w)) for w in net.widths)
    plain, modulated = (final(InnerLoop(0.1), TaskModel(net, tau), support) for tau in (None, identity))
    np.testing.assert_allclose(modulated(query.inputs), plain(query.inputs), rtol=1e-6)


@pytest.mark.parametrize("engine", ["dual", "materialised"])
def test_clipped_step_has_the_norm_it_was_clipped_to(engine):
    net = network(jr.key(0), (2, 16, 16, 1))
    support = samples(jr.key(2), 3)
    support = Samples(support.inputs, 100 * support.targets)
    adapted = final(InnerLoop(1.0, steps=1, clip_norm=0.25, engine=engine), TaskModel(net), support)
    # The outputs at unit inputs and zero say what the weights of the materialised network are.
    plain = final(InnerLoop(1.0, steps=1, clip_norm=0.25, engine="materialised"), TaskModel(net), support).network
    moved = jax.tree.map(lambda a, b: a - b, plain, net)
    assert np.sqrt(sum(float(jnp.sum(a * a)) for a in jax.tree.leaves(moved))) == pytest.approx(0.25, rel=1e-5)
    np.testing.assert_allclose(adapted(support.inputs), TaskModel(plain)(support.inputs), rtol=1e-4)


def test_clip_value_bounds_every_entry():
    net = network(jr.key(0))
    adapted = final(InnerLoop(1.0, steps=1, clip_norm=None, clip_value=1e-3), TaskModel(net), samples(jr.key(2), 3))
    moved = jax.tree.leaves(jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), adapted.network, net))
    assert max(moved) == pytest.approx(1e-3, rel=1e-3)


def test_entries_are_bounded_first_and_the_whole_after_that():
    net, support = network(jr.key(0)), samples(jr.key(2), 3)

    def step(**bounds):
        inner = InnerLoop(1.0, steps=1, **bounds)
        adapted = eqx.filter_jit(final)(inner, TaskModel(net), support).network
        pairs = zip(*map(jax.tree.leaves, (adapted, net)), strict=True)
        return np.concatenate([np.ravel(np.asarray(new) - old) for new, old in pairs])

    clipped = np.clip(step(clip_norm=None, engine="materialised"), -0.05, 0.05)
    length = np.linalg.norm(clipped)
    assert np.mean(np.abs(clipped) == 0.05) > 0.1
    found = step(clip_norm=float(length / 2), clip_value=0.05)
    np.testing.assert_allclose(found, clipped / 2, atol=1e-6)


def test_head_only_leaves_the_body_alone():
    net = network(jr.key(0))
    adapted = final(InnerLoop(0.1, adapts="head", engine="materialised"), TaskModel(net), samples(jr.key(2), 3)).network
    assert relative_difference(adapted.hidden, net.hidden) == 0
    assert relative_difference(adapted.head, net.head) > 0


def test_meta_only_parameters_do_not_adapt_but_are_meta_learnt():
    net = network(jr.key(0), context=CONTEXTS["meta-only"])
    support, query = samples(jr.key(2), 3), samples(jr.key(3), 3)
    adapted = final(InnerLoop(0.1), TaskModel(net), support).network
    assert relative_difference(adapted.context, net.context) == 0
    gradient = jax.grad(lambda n: outer_loss(TaskModel(n), InnerLoop(0.1), support, query))(net)
    assert float(jnp.abs(gradient.context.value).max()) > 0


def test_per_parameter_rates_start_as_the_fixed_rate_and_are_learnt():
    net = network(jr.key(0))
    support, query = samples(jr.key(2), 3), samples(jr.key(3), 3)
    meta_sgd = InnerLoop(LearnedRates(net, 0.1, 2, per_parameter=True), steps=2)
    fixed = InnerLoop(0.1, steps=2)
    np.testing.assert_allclose(*(outer_loss(TaskModel(net), i, support, query) for i in (meta_sgd, fixed)), rtol=1e-6)
    gradient = eqx.filter_grad(lambda i: outer_loss(TaskModel(net), i, support, query))(meta_sgd)
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(gradient))


def test_more_steps_than_in_training_reuse_the_last_rate():
    net = network(jr.key(0))
    learned = LearnedRates(net, 0.1, 2, per_parameter=False)
    apart = jax.tree.map(lambda r: r + jnp.array([0.0, 0.7]) if eqx.is_array(r) else r, learned)
    support = samples(jr.key(2), 3)
    last = 0.1 * float(jnp.exp(0.7))
    expected = final(InnerLoop((0.1, last, last, last), steps=4), TaskModel(net), support)
    for rates in (apart, (0.1, last)):
        *path, longer = adapt(InnerLoop(rates, steps=2), TaskModel(net), support, mse, steps=4)
        assert len(path) == 4
        np.testing.assert_allclose(longer(support.inputs), expected(support.inputs), rtol=1e-5)


RATES = {
    "one": lambda net: 0.1,
    "by step": lambda net: (0.1, 0.2),
    "by layer and step": lambda net: jax.tree.map(
        lambda r: r + jnp.array([0.0, 0.7]) if eqx.is_array(r) else r, LearnedRates(net, 0.1, 2, per_parameter=False)
    ),
    "by parameter": lambda net: LearnedRates(net, 0.1, 2, per_parameter=True),
}


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("context", CONTEXTS)
def test_a_loop_takes_the_same_steps(rates, context):
    net = network(jr.key(0), context=CONTEXTS[context])
    model = TaskModel(net, film(jr.key(1), net.widths))
    support, query = samples(jr.key(2), 4), samples(jr.key(3), 5)
    inner = InnerLoop(RATES[rates](net), steps=2, clip_norm=0.5)
    looped = jax.jit(lambda steps: adapt_in_a_loop(inner, model, support, mse, steps)(query.inputs))
    for steps, expected in enumerate(adapt(inner, model, support, mse, steps=4)):
        np.testing.assert_allclose(looped(steps), expected(query.inputs), rtol=1e-5, atol=1e-6)
    assert looped._cache_size() == 1


def test_the_widest_bound_bounds_nothing():
    net, support = network(jr.key(0)), samples(jr.key(2), 3)
    none, widest = (final(InnerLoop(0.1, 2, clip_norm=bound), TaskModel(net), support) for bound in (None, LONGEST))
    np.testing.assert_allclose(widest(support.inputs), none(support.inputs), rtol=1e-6)


def test_dual_engine_says_why_it_cannot_be_used():
    inner = InnerLoop(0.1, clip_value=1.0, engine="dual")
    with pytest.raises(ValueError, match="clip_value"):
        final(inner, TaskModel(network(jr.key(0))), samples(jr.key(2), 3))


def test_an_adapted_model_can_be_adapted_further_by_either_engine():
    net = network(jr.key(0), (2, 32, 32, 1))
    support = samples(jr.key(2), 2)
    four = final(InnerLoop(0.05, steps=4, engine="materialised"), TaskModel(net), support)
    for engine in ("dual", "materialised"):
        half = final(InnerLoop(0.05, steps=2), TaskModel(net), support)
        assert not isinstance(half.network.hidden[1], eqx.nn.Linear)
        assert half.network.widths == net.widths
        again = final(InnerLoop(0.05, steps=2, engine=engine), half, support)
        np.testing.assert_allclose(again(support.inputs), four(support.inputs), rtol=1e-5)


def test_a_model_s_weights_can_be_formed():
    net = network(jr.key(0), (2, 32, 32, 1))
    support = samples(jr.key(2), 2)
    dual = formed(final(InnerLoop(0.05, steps=2), TaskModel(net), support))
    plain = final(InnerLoop(0.05, steps=2, engine="materialised"), TaskModel(net), support)
    assert jax.tree.structure(dual) == jax.tree.structure(plain)
    assert relative_difference(dual, plain) < 1e-6


@pytest.mark.parametrize("engine", ["dual", "materialised"])
@pytest.mark.parametrize(("kind", "wide"), [(jnp.bfloat16, False), (jnp.float32, True)])
def test_numbers_keep_their_precision(engine, kind, wide):
    def cast(tree):
        return jax.tree.map(lambda leaf: leaf.astype(kind), tree)

    with jax.enable_x64(wide):
        net, support = cast(network(jr.key(0), (2, 32, 32, 1))), cast(samples(jr.key(2), 2))
        adapted = final(InnerLoop(0.05, steps=2, engine=engine), TaskModel(net), support)
        assert adapted(support.inputs).dtype == kind


def test_a_layer_of_one_number_keeps_its_shape():
    class Scalar(AbstractNetwork):
        body: eqx.nn.Sequential
        head: eqx.nn.Linear
        linear_once = True
        widths = ()

        def __call__(self, x, modulation):
            return self.head(self.body(x))

    body = eqx.nn.Sequential([eqx.nn.Linear(2, 32, key=jr.key(0)), eqx.nn.Lambda(jnp.tanh)])
    net = Scalar(body, eqx.nn.Linear(32, "scalar", key=jr.key(1)))
    support = Samples(jnp.ones((1, 2)), jnp.ones(1))
    both = [final(InnerLoop(0.05, steps=1, engine=e), TaskModel(net), support) for e in ("dual", "materialised")]
    query = jr.normal(jr.key(2), (7, 2))
    assert both[0](query).shape == (7,)
    np.testing.assert_allclose(both[0](query), both[1](query), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "-1 gradient steps; it must be 0 or more"),
        ({"steps": 2.0}, "2.0 gradient steps; it must be 0 or more, a whole number"),
        ({"clip_norm": -1.0}, "`clip_norm` is -1.0; it must be greater than 0"),
        ({"clip_norm": float("inf")}, "`clip_norm` is inf; it must be greater than 0 and at most 1e+18, or None"),
        ({"clip_value": 0.0}, "`clip_value` is 0.0; it must be greater than 0"),
        ({"rates": -0.1}, "`rates` is -0.1; it must be 0 or more"),
        ({"rates": (jnp.array(-0.1),)}, "it must be 0 or more"),
        ({"rates": ()}, "a tuple of at least one"),
        ({"rates": float("inf")}, "`rates` is inf; it must be 0 or more and finite"),
        ({"rates": jnp.ones((2, 2))}, "it must be 0 or more and finite, or a tuple"),
    ],
)
def test_values_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        InnerLoop(**options)


@pytest.mark.parametrize(("name", "value"), [("adapts", "heads"), ("engine", "materialized")])
def test_unknown_names_are_refused_where_types_are_not_checked(name, value):
    inner = InnerLoop()
    object.__setattr__(inner, name, value)
    with pytest.raises(ValueError, match=f"`{name}` is '{value}'; it must be one of "):
        inner.__check_init__()


def test_numbers_of_numpy_and_jax_are_numbers():
    for rates in (np.float32(0.5), jnp.float32(0.5), np.array(0.5)):
        assert InnerLoop(rates, steps=np.int64(3)) == InnerLoop(0.5, steps=3)
    for rates in (jnp.array([0.5, 0.25]), (jnp.array(0.5), np.array(0.25)), [0.5, 0.25]):
        inner = InnerLoop(rates)
        assert inner.rates == (0.5, 0.25) and not jax.tree.leaves(eqx.filter(inner, eqx.is_inexact_array))
