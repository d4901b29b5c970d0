"""A person's own tasks: one CSV file a task, sub-folders as modes if there are any."""

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
from mmaml.regression.scaler import Scaler
from mmaml.regression.tables import Table, read_table
from mmaml.regression.tasks import Sources
from mmaml.runs.errors import Note, UserError


HELD_OUT_SHARE, LEAST_HELD_OUT = 0.2, 2
"""Share of each mode's tasks that are kept for validation and evaluation, and the least number: one has no interval."""


class TableTask(Task):
    """A task whose points are drawn from the file with the number `file` of its mode."""

    file: Int[Array, "*batch"]


class TableTasks(AbstractTaskSource):
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
    def of(cls, tables: Sequence[Table], scaler: Scaler, shots: int, queries: int, name: str) -> "TableTasks":
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

    def sample(self, key: PRNGKeyArray, n: int) -> TableTask:
        """`n` tasks; inputs have the shape `(n, points, in)`, targets `(n, points, 1)`."""

        def draw(key: PRNGKeyArray, file: Int[Array, ""]) -> TableTask:
            points = self.first[file] + distinct(key, self.counts[file], self.shots + self.queries)
            support, query = (
                Samples(self.x[part], self.y[part]) for part in (points[: self.shots], points[self.shots :])
            )
            return TableTask(support, query, jnp.zeros((), int), file)

        file_key, point_key = jr.split(key)
        files = jnp.resize(jr.permutation(file_key, self.counts.shape[0]), (n,))
        return jax.vmap(draw)(jr.split(point_key, n), files)


def _scaled(table: Table, scaler: Scaler) -> tuple[Float[np.ndarray, "points in"], Float[np.ndarray, "points 1"]]:
    try:
        return scaler.scale_x(table.x), scaler.scale_y(table.y)
    except ValueError as error:
        raise UserError(f"{table.path}: {error}") from error


def load_tasks(folder: Path, shots: int, queries: int, known: Sequence[str] = ()) -> Sources:
    """Read a folder of CSV files.

    Every fifth task of each mode, in a fixed random order, is held out, but two at least.

    Raises `UserError` that names file, row and column for anything that cannot be used, and if the files are not
    those of the list `known`, unless that is empty.
    """
    by_mode = _read_folder(folder)
    files = {t.path.relative_to(folder).as_posix(): t.digest for tables in by_mode.values() for t in tables}
    if known:
        _refuse_changes(folder, dict(line.rsplit(" ", 1) for line in known), files)
    train, held_out = {}, {}
    for mode, tables in by_mode.items():
        for table in tables:
            if len(table.y) < shots + queries:
                raise UserError(
                    f"{table.path} has {len(table.y)} points, but a task needs {shots} support and {queries} query "
                    "points. Remove the file, or lower --shots or --queries."
                )
        if len(tables) <= LEAST_HELD_OUT:
            raise UserError(
                f"mode {mode!r} has only {', '.join(str(table.path) for table in tables)}; it takes at least "
                f"{LEAST_HELD_OUT + 1} tasks, one to learn from and {LEAST_HELD_OUT} to be judged on."
            )
        order = np.random.default_rng(0).permutation(len(tables))
        kept = max(LEAST_HELD_OUT, round(HELD_OUT_SHARE * len(tables)))
        held_out[mode] = [tables[i] for i in order[:kept]]
        train[mode] = [tables[i] for i in order[kept:]]
    scaler = Scaler.fit([table for tables in train.values() for table in tables])

    def source(by_mode: dict[str, list[Table]]) -> Mixture:
        parts = tuple(TableTasks.of(tables, scaler, shots, queries, mode) for mode, tables in by_mode.items())
        return Mixture(parts, tuple(by_mode))

    _speak_of_copies(files)
    listing = tuple(f"{name} {digest}" for name, digest in files.items())
    return Sources(source(train), source(held_out), scaler, listing)


def _speak_of_copies(files: dict[str, str]) -> None:
    first: dict[str, str] = {}
    copies = [(name, first[digest]) for name, digest in files.items() if first.setdefault(digest, name) != name]
    if copies:
        message = (
            f"{len(copies)} files hold the same numbers as another, {copies[0][0]} those of {copies[0][1]} for one"
        )
        warnings.warn(
            f"{message}. Learnt from one and judged on the other, a run seems better than it is.", Note, stacklevel=3
        )


def _refuse_changes(folder: Path, before: dict[str, str], now: dict[str, str]) -> None:
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
            f"{folder} no longer holds what this run was begun with: {seen}. A run must keep to its files, or it would "
            "be judged on some that it has learnt from. Put them back, or start a new run with --out or --overwrite."
        )


def _read_folder(folder: Path) -> dict[str, list[Table]]:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. --data takes a folder with one CSV file for each task.")
    loose, inner, deeper = (_csv_files(folder, below) for below in ("", "*/", "*/*/**/"))
    if deeper:
        raise UserError(
            f"{deeper[0]} lies too deep: CSV files must lie in {folder} itself, or in its sub-folders, each a mode."
        )
    if inner and loose:
        raise UserError(f"{folder} has both sub-folders and {loose[0].name}; put every CSV file into a sub-folder.")
    if not inner and not loose:
        raise UserError(f"{folder} has no CSV files, neither in itself nor in its sub-folders.")
    tables = [read_table(path) for path in inner or loose]
    by_mode: dict[str, list[Table]] = {}
    for table in tables:
        if table.x.shape[1] != tables[0].x.shape[1]:
            raise UserError(
                f"{table.path} has {table.x.shape[1]} input columns, {tables[0].path} has {tables[0].x.shape[1]}; "
                "all tasks must have the same."
            )
        by_mode.setdefault(table.path.parent.name if inner else "tasks", []).append(table)
    return by_mode


def _csv_files(folder: Path, below: str) -> list[Path]:
    """CSV files that lie as the pattern `below` says under `folder`; hidden ones do not count."""
    found = folder.glob(below + "*.[cC][sS][vV]")
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
