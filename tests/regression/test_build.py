"""The learners of regression are those of the paper."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.learners import MAML, MultiMAML
from mmaml.core.task import Samples
from mmaml.regression.learner import make_learner
from mmaml.regression.loss import mean_squared_error
from mmaml.regression.presets import PRESETS


@pytest.mark.parametrize("fixed", [False, True])
def test_multi_maml_is_a_maml_for_each_mode(fixed):
    config = replace(PRESETS["regression-2"], learner="multi-maml", hidden=(8,), inner_steps=2, fixed_context=fixed)
    multi = make_learner(config, in_size=1, modes=2, key=jr.key(0))
    assert isinstance(multi, MultiMAML)
    x = jnp.linspace(-5, 5, 5)[:, None]
    support = Samples(x, 3 * x + 1)
    for mode in (0, 1):
        prior = jax.tree.map(lambda leaf, mode=mode: leaf[mode], multi.priors)
        alone = MAML(prior=prior, inner=multi.inner)

        @eqx.filter_jit
        def adapted(learner, mode=mode):
            *_, model = learner.adapt(support, jnp.asarray(mode), mean_squared_error)
            return model.network

        ours, expected = adapted(multi), adapted(alone)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        moved = jax.tree.map(lambda new, old: bool((new != old).any()), ours.context, prior.context)
        assert jax.tree.leaves(moved) == [not fixed]


@pytest.mark.parametrize(("initialisation", "deviation"), [("he", (2 / 200) ** 0.5), ("small", 0.01)])
def test_weights_are_drawn_as_asked_for(initialisation, deviation):
    config = replace(PRESETS["regression-2"], learner="maml", hidden=(200, 200), initialisation=initialisation)
    learner = make_learner(config, in_size=1, modes=2, key=jr.key(0))
    assert learner.prior.hidden[1].weight.std() == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize("sort", [True, False])
def test_the_encoder_sorts_support_points_if_asked_for(sort):
    config = replace(PRESETS["regression-2"], sort_support=sort)
    learner = eqx.filter_eval_shape(lambda: make_learner(config, in_size=1, modes=2, key=jr.key(0)))
    assert learner.modulator.encoder.sort == sort
