"""Mixtures of task sources."""

import jax.random as jr
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmaml.regression.tasks import FAMILIES, mixture


@settings(max_examples=15, deadline=None)
@given(modes=st.integers(1, 5), n=st.integers(1, 23), seed=st.integers(0, 100))
def test_shares_differ_by_one_at_most(modes, n, seed):
    tasks = mixture(list(FAMILIES)[:modes]).sample(jr.key(seed), n)
    counts = np.bincount(tasks.mode, minlength=modes)
    assert counts.sum() == n and counts.max() - counts.min() <= 1
    assert tasks.support.inputs.shape == (n, 5, 1)


def test_every_mode_takes_its_turn_at_the_remainder():
    source = mixture(list(FAMILIES)[:3])
    firsts = {int(source.sample(jr.key(seed), 1).mode[0]) for seed in range(30)}
    assert firsts == {0, 1, 2}
