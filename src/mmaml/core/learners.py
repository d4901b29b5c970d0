"""Learners: what a task's model is before any gradient step. The inner loop goes on from there.

| learner | prior | modulation |
| --- | --- | --- |
| `MAML` | one for all tasks | none |
| `MultiMAML` | one for each mode, chosen by the true mode | none |
| `MMAML` | one for all tasks | inferred from the support set |

With `InnerLoop(steps=0)` an `MMAML` learns by modulation alone: the paper's "LSTM learner".
"""

import abc
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from mmaml.core.adapt import adapt
from mmaml.core.inner import InnerLoop, Loss
from mmaml.core.modulation import Modulator
from mmaml.core.network import AbstractNetwork, TaskModel
from mmaml.core.task import Samples


class AbstractLearner(eqx.Module):
    """Everything that meta-training learns, as one PyTree; works on one task."""

    inner: eqx.AbstractVar[InnerLoop]

    @abc.abstractmethod
    def unmodulated(self, mode: Int[Array, ""]) -> TaskModel:
        """The task's model before anything of the task was seen."""

    def condition(self, support: Samples, mode: Int[Array, ""]) -> TaskModel:
        """The task's model before any gradient step; unmodulated, unless a learner says otherwise."""
        del support
        return self.unmodulated(mode)

    def adapt(
        self, support: Samples, mode: Int[Array, ""], loss: Loss, *, steps: int | None = None
    ) -> Iterator[TaskModel]:
        """The task's model after 0, 1, …, `steps` gradient steps; see `mmaml.core.adapt.adapt`."""
        return adapt(self.inner_for(mode), self.condition(support, mode), support, loss, steps=steps)

    def inner_for(self, mode: Int[Array, ""]) -> InnerLoop:
        """The inner loop of a task: the same for all, unless a learner says otherwise."""
        del mode
        return self.inner


class MAML(AbstractLearner):
    """One prior for all tasks (Finn et al. 2017)."""

    prior: AbstractNetwork
    inner: InnerLoop = eqx.field(default_factory=InnerLoop)

    def unmodulated(self, mode: Int[Array, ""]) -> TaskModel:
        """The shared prior."""
        return TaskModel(self.prior)


class MultiMAML(AbstractLearner):
    """One prior for each mode, told the true mode of every task: the paper's oracle baseline.

    `priors` is a network whose every array has a leading axis over modes; `eqx.filter_vmap` makes one. `rates` are
    step sizes of each mode, one a step, in the place of the inner loop's own.

    Raises `ValueError` for step sizes of another number of modes.
    """

    priors: AbstractNetwork
    inner: InnerLoop = eqx.field(default_factory=InnerLoop)
    rates: tuple[tuple[float, ...], ...] | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if self.rates and len(self.rates) != self.modes:
            raise ValueError(f"there are priors for {self.modes} modes and step sizes for {len(self.rates)}.")

    @property
    def modes(self) -> int:
        """How many modes there are priors for."""
        return len(jax.tree.leaves(eqx.filter(self.priors, eqx.is_array))[0])

    def unmodulated(self, mode: Int[Array, ""]) -> TaskModel:
        """The prior of the task's mode."""
        pick: PyTree = jax.tree.map(lambda leaf: leaf[mode] if eqx.is_array(leaf) else leaf, self.priors)
        return TaskModel(pick)

    def inner_for(self, mode: Int[Array, ""]) -> InnerLoop:
        """The inner loop with the step sizes of the task's mode."""
        if not self.rates:
            return self.inner
        return eqx.tree_at(lambda inner: inner.rates, self.inner, tuple(jnp.asarray(self.rates)[mode]))


class MMAML(AbstractLearner):
    """A shared prior, modulated for each task by what its support set looks like (paper, Algorithm 1).

    Raises `ValueError` for a modulator that was made for other blocks than the prior's.
    """

    prior: AbstractNetwork
    modulator: Modulator
    inner: InnerLoop = eqx.field(default_factory=InnerLoop)

    def __check_init__(self) -> None:
        if (made_for := self.modulator.widths) != (widths := tuple(self.prior.widths)):
            raise ValueError(
                f"the modulator was made for blocks of {made_for} units, the prior has {widths}; make it with "
                "`prior.widths`."
            )

    def unmodulated(self, mode: Int[Array, ""]) -> TaskModel:
        """The shared prior."""
        return TaskModel(self.prior)

    def condition(self, support: Samples, mode: Int[Array, ""]) -> TaskModel:
        """The modulated prior; `mode` is not looked at."""
        embedding, modulation = self.modulator(support)
        return TaskModel(self.prior, modulation, embedding)
