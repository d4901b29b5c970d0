"""The classifier of the nearest mean picture against scikit-learn's."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from mmaml import Samples, Task
from mmaml.classification.nearest import nearest_mean


@pytest.mark.parametrize("shot", [2, 3])
def test_accuracy_is_that_of_scikit_learn(shot):
    way, queries, tasks = 4, 6, 3

    def part(key, count):
        labels = jnp.broadcast_to(jnp.repeat(jnp.arange(way), count), (tasks, way * count))
        pictures = labels[..., None, None, None] / way + jr.uniform(key, (tasks, way * count, 5, 4, 3))
        return Samples(pictures, labels)

    support, query = part(jr.key(0), shot), part(jr.key(1), queries)
    found = nearest_mean(Task(support, query, jnp.zeros(tasks, int)), way)
    for i in range(tasks):
        flat = [np.asarray(samples.inputs[i]).reshape(len(samples.targets[i]), -1) for samples in (support, query)]
        theirs = NearestCentroid().fit(flat[0], support.targets[i])
        assert found[i] == pytest.approx(theirs.score(flat[1], query.targets[i]))
    assert 0.3 < found.mean() < 1
