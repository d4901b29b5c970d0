"""Tasks, where they come from, and mixtures of several kinds of them."""

import abc
from collections.abc import Sequence
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Int, PRNGKeyArray, PyTree


Inputs = TypeVar("Inputs", bound=PyTree)
Targets = TypeVar("Targets", bound=PyTree)


class Samples(eqx.Module, Generic[Inputs, Targets]):
    """Examples of one task: `inputs` and `targets` share their leading axis, one entry an example."""

    inputs: Inputs
    targets: Targets


class Task(eqx.Module):
    """One task: a few `support` examples to learn from, `query` examples to be judged on, and its `mode`.

    `mode` is the index of the kind of task. Only evaluation and Multi-MAML read it; MMAML never does.
    Where several tasks are drawn from one and the same thing, as from a file, `origin` is its number within the mode.
    A batch of tasks is the same structure with one more leading axis on every leaf.
    """

    support: Samples
    query: Samples
    mode: Int[Array, "*batch"]
    origin: Int[Array, "*batch"] | None = None


def groups_of(
    mode: Int[ArrayLike, " tasks"], origin: Int[ArrayLike, " tasks"] | None
) -> Int[np.ndarray, " tasks"] | None:
    """A number for what each of some tasks was drawn from; `None` if they are independent."""
    if origin is None:
        return None
    _, number = np.unique(np.stack([np.asarray(mode), np.asarray(origin)]), axis=1, return_inverse=True)
    return number.reshape(-1)


def mode_index(mode: str | None, modes: Sequence[str], *, needed: bool = False) -> int | None:
    """The index of the kind of task named `mode` among `modes`; `None` if none is named.

    Raises `ValueError` if there is no such kind, or none is named where Multi-MAML `needed` one.
    """
    if mode is None and not needed:
        return None
    if mode not in modes:
        told = "Multi-MAML must be told the task's mode," if mode is None else "the task's mode must be"
        raise ValueError(f"{told} one of {', '.join(modes)}; got {mode!r}.")
    return modes.index(mode)


class AbstractTaskSource(eqx.Module):
    """A distribution over tasks."""

    @property
    @abc.abstractmethod
    def modes(self) -> tuple[str, ...]:
        """Names of the kinds of task, in the order of `Task.mode`."""

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray, n: int) -> Task:
        """Draw a batch of `n` tasks: a pure function of `key` that can be jitted (`n` is static)."""


class Mixture(AbstractTaskSource):
    """Fixed shares of several sources, by default equal ones, interleaved.

    Of every `sum(shares)` tasks in a row `shares[m]` are of mode `m`. With which mode a batch begins is drawn anew each
    time, so that none gains when `n` is not a multiple of that sum.
    The sources must yield tasks of one common shape. Every source's own modes are counted as one.
    Raises `ValueError` unless there are as many names as sources, at least one, and for each a share, a whole number of
    at least 1; and if they draw unlike tasks.
    """

    sources: tuple[AbstractTaskSource, ...]
    names: tuple[str, ...] = eqx.field(static=True)
    shares: tuple[int, ...] | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if len(self.names) != len(self.sources) or not self.sources:
            raise ValueError(
                f"a mixture of {len(self.sources)} sources has the names {self.names}; give at least one source, and "
                "each a name."
            )
        shares = self._shares
        if len(shares) != len(self.names) or not all(isinstance(share, int) and share > 0 for share in shares):
            raise ValueError(
                f"the shares of a mixture of {len(self.names)} sources are {self.shares}; give a whole number of at "
                "least 1 for each, or None for equal shares."
            )

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the sources."""
        return self.names

    @property
    def _shares(self) -> tuple[int, ...]:
        return (1,) * len(self.sources) if self.shares is None else self.shares

    def sample(self, key: PRNGKeyArray, n: int) -> Task:
        """Draw `n` tasks; of `M` equal shares `⌊n/M⌋` or `⌈n/M⌉` each."""
        offset_key, *keys = jr.split(key, len(self.sources) + 1)
        shares = np.array(self._shares)
        turns = np.repeat(np.arange(len(shares)), shares)
        counts = shares * -(-n // len(turns))
        drawn = [source.sample(k, int(count)) for source, k, count in zip(self.sources, keys, counts, strict=True)]
        if any(task.origin is not None for task in drawn):
            # Of a source without origins each task has one of its own.
            drawn = [
                Task(t.support, t.query, t.mode, jnp.arange(count)) if t.origin is None else t
                for t, count in zip(drawn, counts, strict=True)
            ]
        shapes = [jax.tree.map(lambda leaf: leaf.shape[1:], (task.support, task.query)) for task in drawn]
        for name, shape in zip(self.names, shapes, strict=True):
            if shape != shapes[0]:
                raise ValueError(
                    f"{name} draws tasks of the shapes {shape}, {self.names[0]} of {shapes[0]}; all sources of a "
                    "mixture must draw tasks of the same."
                )
        mode = jnp.asarray(turns)[(jnp.arange(n) + jr.randint(offset_key, (), 0, len(turns))) % len(turns)]
        # How many of a mode there have been, with the task itself.
        nth = jnp.cumsum(mode[:, None] == jnp.arange(len(shares)), axis=0)[jnp.arange(n), mode]
        place = jnp.asarray(np.cumsum(counts) - counts)[mode] + nth - 1
        tasks = jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[place], *drawn)
        return eqx.tree_at(lambda t: t.mode, tasks, mode)
