"""What options that both domains share come to, and what the outer optimiser does to weights and all else."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

from mmaml.classification.learner import make_learner as make_classifier
from mmaml.classification.presets import PRESETS as IMAGE_PRESETS
from mmaml.classification.tasks import ImageTasks
from mmaml.core.task import Mixture
from mmaml.regression.learner import make_learner
from mmaml.regression.presets import PRESETS
from mmaml.supervised.build import _on_all, make_optimiser, make_trainer
from tests.core.problems import PlanesAndWaves, learner, mse


RATE = 0.01


def untrained(domain, **options):
    """The learner of a domain, without numbers in it."""
    if domain == "regression":
        config = replace(PRESETS["regression-2"], **options)
        return eqx.filter_eval_shape(lambda: make_learner(config, in_size=1, modes=2, key=jr.key(0)))
    config = replace(IMAGE_PRESETS["classification-2"], **options)
    return eqx.filter_eval_shape(lambda: make_classifier(config, channels=1, modes=("a", "b"), key=jr.key(0)))


@pytest.mark.parametrize("domain", ["regression", "classification"])
@pytest.mark.parametrize(
    ("option", "value", "name"),
    [
        ("first_order", True, "first_order"),
        ("inner_clip_norm", 3.0, "clip_norm"),
        ("inner_clip_value", 2.0, "clip_value"),
        ("adapts", "head", "adapts"),
        ("engine", "materialised", "engine"),
        ("inner_lr", 0.3, "rates"),
        ("inner_steps", 4, "steps"),
    ],
)
def test_options_reach_the_inner_loop(domain, option, value, name):
    assert getattr(untrained(domain, **{option: value}).inner, name) == value


@pytest.mark.parametrize(("option", "value"), [("post_modulation_share", 0.25), ("task_microbatch", 2)])
def test_options_reach_the_trainer(option, value):
    config = replace(PRESETS["regression-2"], **{option: value})
    trainer = make_trainer(config, PlanesAndWaves(), learner("maml"), mse, tasks_per_step=4, key=jr.key(0))
    assert getattr(trainer, option) == value


@pytest.mark.parametrize("domain", ["regression", "classification"])
@pytest.mark.parametrize(("modulated", "others"), [("first", False), ("all", True)])
def test_all_blocks_are_modulated_or_the_first_alone(domain, modulated, others):
    first, *rest = untrained(domain, modulated=modulated).modulator.heads
    assert first is not None and [head is not None for head in rest] == [others] * len(rest) != []


@pytest.mark.parametrize("domain", ["regression", "classification"])
def test_the_scale_of_modulation_reaches_the_modulator(domain):
    assert untrained(domain, modulation_scale=0.25).modulator.scale == 0.25


def test_the_outer_rate_falls_over_the_iterations_of_the_run():
    """Where the gradient stays the same Adam's steps are one rate long."""
    config = replace(PRESETS["regression-2"], meta_iterations=4, meta_lr=RATE, meta_clip_norm=None)
    parameters = eqx.filter(learner("maml"), eqx.is_inexact_array)
    gradient, optimiser = jax.tree.map(jnp.ones_like, parameters), make_optimiser(config, learner("maml"))
    state, update, steps = optimiser.init(parameters), jax.jit(optimiser.update), []
    for _ in range(5):
        step, state = update(gradient, state)
        steps.append(-step.prior.head.bias[0])
    np.testing.assert_allclose(steps, RATE * (1 + np.cos(np.pi * np.arange(5) / 4)) / 2, rtol=1e-4, atol=1e-8)


def test_all_devices_read_the_same_images():
    mesh = Mesh(jax.devices(), ("tasks",))
    assert mesh.size > 1
    images = np.zeros((200, 64, 64, 1), np.uint8)
    source = Mixture((ImageTasks(images, np.full(4, 50), way=2, shot=1, queries=1, name="a"),), ("a",))
    shards = _on_all(mesh, source).sources[0].images.addressable_shards
    assert len(shards) == mesh.size and len({shard.data.unsafe_buffer_pointer() for shard in shards}) == 1


def test_outer_gradients_of_network_and_modulator_are_bounded_apart():
    """Adam's first mean is a tenth of the gradient that it gets."""
    config = replace(PRESETS["regression-2"], hidden=(6,), encoder_hidden=4, meta_clip_norm=0.5)
    learner = make_learner(config, in_size=1, modes=2, key=jr.key(0))
    parameters = eqx.filter(learner, eqx.is_inexact_array)
    gradient = jax.tree.map(jnp.zeros_like, parameters)
    gradient = eqx.tree_at(lambda g: g.prior.head.bias, gradient, jnp.full(1, 30.0))
    gradient = eqx.tree_at(lambda g: g.modulator.heads[0].bias, gradient, jnp.full(12, 0.1))
    optimiser = make_optimiser(config, learner)
    _, state = optimiser.update(gradient, optimiser.init(parameters), parameters)
    means = [optax.tree.get(state.inner_states[group], "mu") for group in ("network", "modulator")]
    assert [float(optax.tree.norm(mean)) for mean in means] == pytest.approx([0.05, 0.01 * 12**0.5], rel=1e-5)


@pytest.mark.parametrize("learner", ["mmaml", "multi-maml"])
def test_muon_moves_weights_along_orthogonal_matrices_all_else_as_adam_does_and_step_sizes_faster(learner):
    options = {"meta_optimiser": "muon", "meta_lr": RATE, "meta_clip_norm": None, "step_sizes": "per-parameter"}
    config = replace(PRESETS["regression-2"], learner=learner, hidden=(6, 6), encoder_hidden=4, **options)
    learner = make_learner(config, in_size=1, modes=2, key=jr.key(0))
    parameters = eqx.filter(learner, eqx.is_inexact_array)
    optimiser = make_optimiser(config, learner)

    @jax.jit
    def first_step(gradient):
        return optimiser.update(gradient, optimiser.init(parameters), parameters)[0]

    leaves, structure = jax.tree.flatten(parameters)
    keys = jr.split(jr.key(1), len(leaves))
    gradient = structure.unflatten([jr.normal(k, p.shape) for p, k in zip(leaves, keys, strict=True)])
    weights = 0
    for path, step in jax.tree.leaves_with_path(first_step(gradient)):
        name = jax.tree_util.keystr(path)
        if name.startswith(".inner"):
            # Adam's first step without that momentum.
            np.testing.assert_allclose(jnp.abs(step), 10 * RATE, rtol=1e-3, err_msg=name)
        elif "weight" in name:
            weights += 1
            # Adam's steps are about a fifth of the rate long in each entry; orthogonalisation is approximate.
            strengths = jnp.linalg.svd(step, compute_uv=False) / (0.2 * max(step.shape[-2:]) ** 0.5 * RATE)
            assert (strengths > 0.5).all() and (strengths < 1.3).all(), name
        else:
            # Adam's first step with Nesterov's momentum β: as long in every entry, 1 + β (1 - β) / (1 - β²) rates.
            np.testing.assert_allclose(jnp.abs(step), (1 + 0.9 * 0.1 / (1 - 0.9**2)) * RATE, rtol=1e-3, err_msg=name)
    assert weights == {"mmaml": 3 + 4 + 2, "multi-maml": 3}[config.learner]  # network, encoder, heads
