"""Tasks as the modulator sees them, and what kinds of task lie near a new one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


NEIGHBOURS = 15
"""How many tasks are asked what kind a task is of."""


class EmbeddedTasks(NamedTuple):
    """Embeddings υ of some tasks, and the number of each task's mode.

    Tasks drawn from one and the same thing, as from a file, are of one of the `groups`.
    """

    points: Float[np.ndarray, "tasks embedding"]
    modes: Int[np.ndarray, " tasks"]
    groups: Int[np.ndarray, " tasks"] | None = None

    def origins(self) -> Int[np.ndarray, " tasks"]:
        """The groups; if there are none, every task is one of its own."""
        return np.arange(len(self.modes)) if self.groups is None else self.groups

    def near(self, embedding: Float[np.ndarray, " embedding"], names: Sequence[str]) -> dict[str, float]:
        """Share of each mode, by name, among the tasks nearest to `embedding`; the commonest first, none of zero."""
        nearest = np.argsort(((self.points - embedding) ** 2).sum(1), kind="stable")[:NEIGHBOURS]
        shares = np.bincount(self.modes[nearest], minlength=len(names)) / len(nearest)
        order = [int(mode) for mode in np.argsort(-shares, kind="stable") if shares[mode] > 0]
        return {names[mode]: float(shares[mode]) for mode in order}
