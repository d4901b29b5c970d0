"""A person's own tasks: points drawn from their tables, some of which are held out."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmaml.core.sampling import distinct
from mmaml.core.task import AbstractTaskSource, Mixture, Samples, Task
from mmaml.regression.own.folder import read_tasks
from mmaml.regression.own.points import Points
from mmaml.regression.scaler import Scaler
from mmaml.runs.errors import Note, UserError


HELD_OUT_SHARE, LEAST_HELD_OUT = 0.2, 2
"""Share of each mode's tasks that are kept for validation and evaluation, and the least number: one has no interval."""
SMALLEST = 1e-70
"""Deviations of targets below this have no squares of squares in double precision."""
SMALL_SHARE = 0.01
"""A mode whose targets deviate by less than this share of all modes' is spoken of."""


class OwnTasks(AbstractTaskSource):
    """Tasks of one mode: every file as often as the others, in random order; then its points, all different."""

    x: Float[Array, "points in"]
    """Ordered by file, as are the targets."""
    y: Float[Array, "points 1"]
    first: Int[Array, " files"]
    """Where each file begins."""
    counts: Int[Array, " files"]
    """How many points each file has."""
    shots: int = eqx.field(static=True)
    queries: int = eqx.field(static=True)
    name: str = eqx.field(static=True)

    @classmethod
    def of(cls, tables: Sequence[Points], scaler: Scaler, shots: int, queries: int, name: str) -> "OwnTasks":
        """Tasks from tables, which are scaled. Raises `UserError` if numbers of one are too far from all others."""
        scaled = [_scaled(table, scaler) for table in tables]
        counts = np.array([len(table.y) for table in tables])
        return cls(
            jnp.asarray(np.concatenate([x for x, _ in scaled])),
            jnp.asarray(np.concatenate([y for _, y in scaled])),
            jnp.asarray(np.cumsum(counts) - counts, jnp.int32),
            jnp.asarray(counts, jnp.int32),
            shots,
            queries,
            name,
        )

    @property
    def modes(self) -> tuple[str, ...]:
        """The sub-folder's name."""
        return (self.name,)

    def sample(self, key: PRNGKeyArray, n: int) -> Task:
        """`n` tasks; inputs have the shape `(n, points, in)`, targets `(n, points, 1)`. Their origins are the files."""

        def draw(key: PRNGKeyArray, file: Int[Array, ""]) -> Task:
            points = self.first[file] + distinct(key, self.counts[file], self.shots + self.queries)
            support, query = (
                Samples(self.x[part], self.y[part]) for part in (points[: self.shots], points[self.shots :])
            )
            return Task(support, query, jnp.zeros((), int), file)

        file_key, point_key = jr.split(key)
        files = jnp.resize(jr.permutation(file_key, self.counts.shape[0]), (n,))
        return jax.vmap(draw)(jr.split(point_key, n), files)


def _scaled(table: Points, scaler: Scaler) -> tuple[Float[np.ndarray, "points in"], Float[np.ndarray, "points 1"]]:
    try:
        return scaler.scale_x(table.x), scaler.scale_y(table.y)
    except ValueError as error:
        raise UserError(f"{table.place}: {error}") from error


def load_tasks(
    path: Path, shots: int, queries: int, known: Sequence[str] = ()
) -> tuple[Mixture, Mixture, Scaler, tuple[str, ...]]:
    """Tasks to learn from, tasks to be judged on, their scale, and the name and digest of each, from a folder of CSV
    files or one CSV file of many tasks.

    Held out are those in its sub-folder `test` if it has two, `train` and `test`; else every fifth task of each mode,
    in a fixed random order, but two at least.

    Raises `UserError` that names file, row and column for anything that cannot be used, and if the tasks are not
    those of the list `known`, unless that is empty.
    """
    parts = read_tasks(path)
    named = {name: table for by_mode in parts for tables in by_mode.values() for name, table in tables.items()}
    digests = {name: table.digest for name, table in named.items()}
    if known:
        _refuse_changes(path, dict(line.rsplit(" ", 1) for line in known), digests)
    for table in named.values():
        if len(table.y) < shots + queries:
            raise UserError(
                f"{table.place} has {len(table.y)} points, but a task needs {shots} support and {queries} query "
                "points. Remove it, or lower --shots or --queries."
            )
    train, held_out = ({mode: [*tables.values()] for mode, tables in by_mode.items()} for by_mode in parts)
    if not held_out:
        train, held_out = _drawn_split(train)
    for mode, tables in held_out.items():
        if len(tables) < LEAST_HELD_OUT:
            raise UserError(
                f"mode {mode!r} has only {tables[0].place} in test; it takes at least {LEAST_HELD_OUT} tasks to be "
                "judged on."
            )
    y_of = {mode: np.concatenate([table.y for table in tables]) for mode, tables in train.items()}
    x = np.concatenate([table.x for tables in train.values() for table in tables])
    scaler = Scaler.fit(x, np.concatenate([*y_of.values()]))
    if scaler.y_std < SMALLEST:
        raise UserError(
            f"{path}: the targets y have a standard deviation of {scaler.y_std:.1e}, and squares of numbers below "
            f"{SMALLEST:g} are none. Use smaller units."
        )
    _speak_of_small(y_of, scaler)

    def source(by_mode: dict[str, list[Points]]) -> Mixture:
        parts = tuple(OwnTasks.of(tables, scaler, shots, queries, mode) for mode, tables in by_mode.items())
        return Mixture(parts, tuple(by_mode))

    _speak_of_copies(digests)
    listing = tuple(f"{name} {digest}" for name, digest in digests.items())
    return source(train), source(held_out), scaler, listing


def _drawn_split(by_mode: dict[str, list[Points]]) -> tuple[dict[str, list[Points]], dict[str, list[Points]]]:
    """The tables to learn from, and those to be judged on."""
    train, held_out = {}, {}
    for mode, tables in by_mode.items():
        if len(tables) <= LEAST_HELD_OUT:
            raise UserError(
                f"mode {mode!r} has only {'; '.join(table.place for table in tables)}; it takes at least "
                f"{LEAST_HELD_OUT + 1} tasks, one to learn from and {LEAST_HELD_OUT} to be judged on."
            )
        order = np.random.default_rng(0).permutation(len(tables))
        kept = max(LEAST_HELD_OUT, round(HELD_OUT_SHARE * len(tables)))
        held_out[mode] = [tables[i] for i in order[:kept]]
        train[mode] = [tables[i] for i in order[kept:]]
    return train, held_out


def _speak_of_small(y_of: dict[str, Float[np.ndarray, " points"]], scaler: Scaler) -> None:
    """Say so (`Note`) of modes whose targets all modes' common scale makes almost constant."""
    small = {mode: std for mode, y in y_of.items() if 0 < (std := y.std()) < SMALL_SHARE * scaler.y_std}
    if small:
        mode, std = next(iter(small.items()))
        warnings.warn(
            f"the targets of {mode} have a standard deviation of {std:.3g}, and those of all kinds together one of "
            f"{scaler.y_std:.3g}, by which they are scaled: what is that small is hardly learnt. Give the kinds units "
            "in which their numbers are of like size, or train them apart.",
            Note,
            stacklevel=3,
        )


def _speak_of_copies(digests: dict[str, str]) -> None:
    first: dict[str, str] = {}
    copies = [(name, first[digest]) for name, digest in digests.items() if first.setdefault(digest, name) != name]
    if copies:
        more = f", and {len(copies) - 1} more are copies" if len(copies) > 1 else ""
        message = f"{copies[0][0]} holds the same numbers as {copies[0][1]}{more}"
        warnings.warn(
            f"{message}. Learnt from one and judged on the other, a run seems better than it is.", Note, stacklevel=3
        )


def _refuse_changes(path: Path, before: dict[str, str], now: dict[str, str]) -> None:
    changes = {
        "added": now.keys() - before.keys(),
        "removed": before.keys() - now.keys(),
        "edited": {name for name in now.keys() & before.keys() if now[name] != before[name]},
    }
    if any(changes.values()):
        seen = "; ".join(
            f"{len(names)} {what} ({', '.join(sorted(names)[:3])}{', …' * (len(names) > 3)})"
            for what, names in changes.items()
            if names
        )
        raise UserError(
            f"{path} no longer holds what this run was begun with: {seen}. A run must keep to its tasks, or it would "
            "be judged on some that it has learnt from. Put them back, or start a new run with --out or --overwrite."
        )
