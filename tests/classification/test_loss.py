"""Loss and accuracy against values known by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from mmaml.classification.loss import accuracy, cross_entropy


@pytest.mark.parametrize("way", [2, 5])
@pytest.mark.parametrize("images", [1, 6])
def test_without_a_preference_the_loss_is_the_logarithm_of_the_number_of_classes(images, way):
    labels = jnp.arange(images) % way
    assert float(cross_entropy(jnp.full((images, way), 3.0), labels)) == pytest.approx(np.log(way), rel=1e-5)


def test_loss_and_accuracy_of_known_probabilities():
    probabilities = jnp.array([[0.7, 0.2, 0.1], [0.5, 0.1, 0.4], [0.1, 0.3, 0.6], [0.2, 0.6, 0.2]])
    logits, labels = jnp.log(probabilities) + 1, jnp.array([0, 2, 2, 1])
    assert float(cross_entropy(logits, labels)) == pytest.approx(-np.log(0.7 * 0.4 * 0.6 * 0.6) / 4, rel=1e-5)
    assert float(accuracy(logits, labels)) == 0.75
