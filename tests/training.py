"""Meta-training as tests of trainers do it."""

import jax
import numpy as np


AT_MOST = 8
"""Numbers of a dispatch; another one compiles anew."""


def run(trainer, *counts):
    """The state after as many meta-iterations as `counts` add up to, a dispatch each, and the last one's numbers."""
    state = trainer.initial_state()
    for count in counts:
        state, history = trainer.run(state, count, AT_MOST)
    return state, history


def parameters(state):
    """All that is trained, in one row."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.parameters)])
