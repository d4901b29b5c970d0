"""Convolutional networks against the library's convolution, closed forms and identities."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from mmaml import MAML, MMAML, InnerLoop, Modulator, MultiMAML, Samples
from mmaml.core.adapt import adapt_in_a_loop
from mmaml.core.modulation import OPERATORS, modulate
from mmaml.nn.conv import Conv3x3
from mmaml.nn.convnet import AffineNorm, ConvEncoder, ConvNet, Statistics


CHANNELS = (3, 4)


def loss(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def images(key, n=6, side=5, channels=2):
    return jr.uniform(key, (n, side, side, channels))


SUPPORT = Samples(images(jr.key(1)), jnp.array([0, 1, 2, 0, 1, 2]))
QUERY = images(jr.key(2), 4)


def net(key=0, **options):
    return ConvNet(2, 3, CHANNELS, key=jr.key(key), **options)


def mmaml(inner, **options):
    encoder = ConvEncoder(2, CHANNELS, 5, key=jr.key(3), **options)
    return MMAML(net(), Modulator(encoder, net().widths, key=jr.key(4)), inner)


@eqx.filter_jit
def outputs(learner, support=SUPPORT, query=QUERY, mode=0):
    *_, model = learner.adapt(support, jnp.asarray(mode), loss)
    return model(query)


def library(weight, x):
    """The convolution of feature maps as JAX has it, without a bias."""
    kernel, layout = weight.reshape(3, 3, x.shape[0], -1), ("CHWN", "HWIO", "CHWN")
    return jax.lax.conv_general_dilated(x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=layout)


def convolution(weight, x, precision="float32"):
    layer = Conv3x3(x.shape[0], weight.shape[1], precision=precision, key=jr.key(0))
    return eqx.tree_at(lambda conv: conv.weight, layer, weight)(x)


def maps(key, *shape):
    """Numbers that bfloat16 has."""
    return jr.randint(key, shape, -3, 4).astype(float)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("height", "width", "channels"), [(28, 28, 3), (7, 5, 2), (1, 1, 1), (84, 6, 1)])
def test_convolution_is_the_library_s(height, width, channels, precision):
    layer = Conv3x3(channels, 4, precision=precision, key=jr.key(0))
    layer = eqx.tree_at(
        lambda conv: (conv.weight, conv.bias), layer, (maps(jr.key(2), *layer.weight.shape), jnp.arange(4.0))
    )
    x = maps(jr.key(1), channels, height, width, 2)
    expected = library(layer.weight, x) + layer.bias[:, None, None, None]
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def length(conv, *where):
    return jnp.sum(conv(*where) ** 2)


def slope(conv, *where):
    return jnp.sum(jax.grad(length, 1)(conv, *where) ** 2) + jnp.sum(jax.grad(length, 2)(conv, *where) ** 2)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_derivatives_are_the_library_s(precision, tolerance):
    x, weight = maps(jr.key(0), 2, 7, 7, 5), maps(jr.key(1), 18, 4)
    ours = functools.partial(convolution, precision=precision)
    for derivative in (jax.grad(length, (1, 2)), jax.grad(slope, (1, 2))):
        for got, expected in zip(derivative(ours, weight, x), derivative(library, weight, x), strict=True):
            np.testing.assert_allclose(got, expected, atol=tolerance * np.abs(expected).max())


def test_bfloat16_rounds_the_factors_of_every_product_and_nothing_else():
    x, weight = jr.normal(jr.key(0), (2, 7, 7, 5)), jr.normal(jr.key(1), (18, 4))
    above = jr.normal(jr.key(2), (4, 4, 4, 5))

    def rounded(a):
        return a.astype(jnp.bfloat16).astype(jnp.float32)

    got, pull = jax.vjp(functools.partial(convolution, precision="bfloat16"), weight, x)
    expected, pull_exactly = jax.vjp(library, rounded(weight), rounded(x))
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert np.abs(got - library(weight, x)).max() > 1e-3
    for found, exact in zip(pull(above), pull_exactly(rounded(above)), strict=True):
        np.testing.assert_allclose(found, exact, atol=1e-4)


@pytest.mark.parametrize(("side", "n"), [(3, 1), (9, 4)], ids=["fewer positions than channels", "more"])
def test_bfloat16_is_float32_but_for_rounding(side, n):
    positions = (side + 1) // 2, (side + 1) // 2, n
    x, weight = jr.normal(jr.key(0), (3, side, side, n)), jr.normal(jr.key(1), (27, 16))
    above = jr.normal(jr.key(2), (16, *positions))

    @functools.partial(jax.jit, static_argnums=0)
    def all_of(precision):
        y, pull = jax.vjp(functools.partial(convolution, precision=precision), weight, x)
        return y, *pull(above)

    for rounded, exact in zip(all_of("bfloat16"), all_of("float32"), strict=True):
        np.testing.assert_allclose(rounded, exact, atol=2e-2 * np.abs(exact).max())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_task_may_have_weights_of_its_own(precision):
    x, weights = maps(jr.key(0), 2, 2, 7, 7, 5), maps(jr.key(1), 2, 18, 4)
    of_tasks = jax.vmap(functools.partial(convolution, precision=precision))(weights, x)
    np.testing.assert_allclose(of_tasks, [library(w, m) for w, m in zip(weights, x, strict=True)], atol=1e-4)


def test_normalisation_is_over_images_and_positions():
    x = 3 + 2 * jr.uniform(jr.key(0), (2, 5, 5, 6))
    normalised = Statistics.of(x).normalise(x)
    np.testing.assert_allclose(normalised.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.var((1, 2, 3)), 1, atol=1e-3)
    affine = eqx.tree_at(lambda n: (n.scale, n.shift), AffineNorm(2), (jnp.array([2.0, 3.0]), jnp.array([1.0, -1.0])))
    np.testing.assert_allclose(affine(x)[0], 2 * normalised[0] + 1, atol=1e-5)
    np.testing.assert_allclose(affine(x)[1], 3 * normalised[1] - 1, atol=1e-5)


@pytest.mark.parametrize("operator", [*OPERATORS, "own", None])
def test_a_block_is_convolution_bias_normalisation_modulation_relu(operator):
    """As the paper has it, written out; the network does some of it at once."""
    biases = [jnp.array([0.5, -2.0, 1.0]), jnp.array([3.0, -0.5, 0.0, 1.0])]
    network = eqx.tree_at(lambda n: [block.bias for block in n.blocks], net(), biases)
    if operator is None:
        modulation = None
    elif operator == "own":
        modulation = (jnp.square, None)
    else:
        made = OPERATORS[operator]
        keys = jr.split(jr.key(7), 2)
        modulation = tuple(
            made.from_vector(jr.normal(k, (made.numbers_per_unit * w,)))
            for k, w in zip(keys, network.widths, strict=True)
        )
    h = jnp.moveaxis(QUERY, (3, 0), (0, 3))
    for i, block in enumerate(network.blocks):
        h = library(block.weight, h) + block.bias[:, None, None, None]
        h = (h - h.mean((1, 2, 3), keepdims=True)) / jnp.sqrt(h.var((1, 2, 3), keepdims=True) + 1e-5)
        h = jax.nn.relu(modulate(h, modulation, i))
    expected = jax.vmap(network.head)(h.mean((1, 2)).T)
    np.testing.assert_allclose(network.outputs(QUERY, modulation), expected, atol=1e-5)


def test_weights_are_as_wide_as_glorot_says():
    weight = Conv3x3(32, 64, key=jr.key(0)).weight
    assert float(weight.std()) == pytest.approx((2 / (9 * 32 + 9 * 64)) ** 0.5, rel=0.02)


def test_published_size():
    count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(ConvNet(3, 5, key=jr.key(0)), eqx.is_array)))
    assert count == 389_701
    encoder = ConvEncoder(3, key=jr.key(0))
    modulator = Modulator(encoder, (32, 64, 128, 256), key=jr.key(1))
    assert sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(modulator, eqx.is_array))) == 546_112


def test_support_statistics_make_a_prediction_independent_of_its_company():
    inner = InnerLoop(0.1, steps=1)
    alone = outputs(MAML(net(support_statistics=True), inner), query=QUERY[:1])
    together = outputs(MAML(net(support_statistics=True), inner))
    np.testing.assert_allclose(alone, together[:1], atol=1e-5)
    transductive = outputs(MAML(net(), inner), query=QUERY[:2]), outputs(MAML(net(), inner))[:2]
    assert np.abs(transductive[0] - transductive[1]).max() > 1e-3


def test_support_statistics_are_those_of_the_support_set():
    inner = InnerLoop(0.1, steps=1)
    same = [outputs(MAML(net(support_statistics=s), inner), query=SUPPORT.inputs) for s in (True, False)]
    np.testing.assert_allclose(*same, atol=1e-5)


def test_a_model_settled_on_one_support_set_can_be_adapted_to_another():
    inner = InnerLoop(0.1, steps=2)
    prior = net(support_statistics=True)
    *_, elsewhere = MAML(prior, InnerLoop(0.1, steps=0)).adapt(
        Samples(QUERY, jnp.array([2, 1, 0, 1])), jnp.array(0), loss
    )
    assert elsewhere.network.settled is not None
    np.testing.assert_allclose(outputs(MAML(elsewhere.network, inner)), outputs(MAML(prior, inner)), rtol=1e-6)


@pytest.mark.parametrize("support_statistics", [True, False])
def test_steps_in_a_loop_are_the_same(support_statistics):
    learner = mmaml(InnerLoop(0.1, steps=2))
    learner = eqx.tree_at(lambda m: m.prior, learner, net(support_statistics=support_statistics))
    start = learner.condition(SUPPORT, jnp.array(0))
    looped = eqx.filter_jit(adapt_in_a_loop)(learner.inner, start, SUPPORT, loss, jnp.array(2))
    np.testing.assert_allclose(looped(QUERY), outputs(learner), rtol=1e-4, atol=1e-5)


def test_film_with_zero_heads_is_maml():
    inner = InnerLoop(0.1, steps=2)
    learner = mmaml(inner)
    zeros = jax.tree.map(lambda a: jnp.zeros_like(a) if eqx.is_array(a) else a, learner.modulator.heads)
    learner = eqx.tree_at(lambda m: m.modulator.heads, learner, zeros)
    np.testing.assert_allclose(outputs(learner), outputs(MAML(net(), inner)), atol=1e-5)


def test_encoder_reads_labels_only_if_told_to():
    relabelled = Samples(SUPPORT.inputs, (SUPPORT.targets + 1) % 3)
    blind, reading = (ConvEncoder(2, CHANNELS, 5, classes=c, key=jr.key(0)) for c in (None, 3))
    np.testing.assert_array_equal(blind(SUPPORT), blind(relabelled))
    assert np.abs(reading(SUPPORT) - reading(relabelled)).max() > 1e-4
    backwards = jax.tree.map(lambda leaf: leaf[::-1], SUPPORT)
    np.testing.assert_allclose(reading(SUPPORT), reading(backwards), atol=1e-5)


def test_multi_maml_takes_the_step_sizes_of_the_mode():
    priors = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3) if eqx.is_array(leaf) else leaf, net())
    multi = MultiMAML(priors, InnerLoop(0.7, steps=2), rates=((0.0, 0.0), (0.3, 0.0), (0.1, 0.1)))
    np.testing.assert_allclose(outputs(multi, mode=0), outputs(MAML(net(), InnerLoop(0.1, steps=0))), atol=1e-6)
    np.testing.assert_allclose(outputs(multi, mode=1), outputs(MAML(net(), InnerLoop(0.3, steps=1))), atol=1e-5)
    np.testing.assert_allclose(outputs(multi, mode=2), outputs(MAML(net(), InnerLoop(0.1, steps=2))), atol=1e-5)


def test_meta_gradient_agrees_with_finite_differences():
    with jax.enable_x64(True):
        learner = mmaml(InnerLoop(0.1, steps=2))
        learner = jax.tree.map(lambda a: a.astype("float64") if eqx.is_inexact_array(a) else a, learner)
        support = Samples(SUPPORT.inputs.astype("float64"), SUPPORT.targets)
        parameters, static = eqx.partition(learner, eqx.is_inexact_array)
        leaves, structure = jax.tree.flatten(parameters)
        keys = jr.split(jr.key(5), len(leaves))
        direction = jax.tree.unflatten(
            structure, [jr.normal(k, a.shape, "float64") for k, a in zip(keys, leaves, strict=True)]
        )

        @jax.jit
        def along(t):
            moved = jax.tree.map(lambda p, d: p + t * d, parameters, direction)
            *_, model = eqx.combine(moved, static).adapt(support, jnp.asarray(0), loss)
            return loss(model(QUERY.astype("float64")), jnp.array([0, 1, 2, 0]))

        t = 1e-6
        np.testing.assert_allclose(jax.grad(along)(0.0), (along(t) - along(-t)) / (2 * t), rtol=1e-5)
