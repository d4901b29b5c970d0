"""A person's own tasks: one CSV file a task, sub-folders as modes if there are any."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmaml.core.task import AbstractTaskSource, Mixture, Samples, Task
from mmaml.runs.errors import UserError


HELD_OUT_SHARE = 0.2
"""Share of each mode's tasks that are kept for validation and evaluation."""


@dataclass(frozen=True)
class Table:
    """One task's points: `x` of the shape `(points, in)`, `y` of the shape `(points,)`."""

    path: Path
    x: Float[np.ndarray, "points in"]
    y: Float[np.ndarray, " points"]


class Scaler(eqx.Module):
    """Brings inputs and targets to zero mean and unit deviation over the training tasks' points."""

    x_mean: Float[np.ndarray, " in"]
    x_std: Float[np.ndarray, " in"]
    y_mean: float
    y_std: float

    @classmethod
    def identity(cls, in_size: int) -> "Scaler":
        """Leaves everything as it is."""
        return cls(np.zeros(in_size, np.float32), np.ones(in_size, np.float32), 0.0, 1.0)

    @classmethod
    def fit(cls, tables: Sequence[Table]) -> "Scaler":
        """Mean and deviation of all points; a constant column keeps its scale."""
        x = np.concatenate([table.x for table in tables])
        y = np.concatenate([table.y for table in tables])
        x_std, y_std = x.std(0), float(y.std())
        return cls(
            x.mean(0).astype(np.float32),
            np.where(x_std > 0, x_std, 1).astype(np.float32),
            float(y.mean()),
            y_std if y_std > 0 else 1.0,
        )

    def scale_x(self, x: Float[np.ndarray, "points in"]) -> Float[np.ndarray, "points in"]:
        """Inputs as the learner sees them."""
        return ((x - self.x_mean) / self.x_std).astype(np.float32)

    def scale_y(self, y: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points 1"]:
        """Targets as the learner sees them."""
        return ((y - self.y_mean) / self.y_std).astype(np.float32)[:, None]

    def unscale_y(self, y: Float[np.ndarray, "points 1"]) -> Float[np.ndarray, " points"]:
        """Predictions in the user's units."""
        return y[:, 0].astype(np.float64) * self.y_std + self.y_mean


class TableTasks(AbstractTaskSource):
    """Tasks of one mode: a file is drawn at random, then its support and query points, all different."""

    x: Float[Array, "files points in"]
    y: Float[Array, "files points 1"]
    counts: Int[Array, " files"]
    shots: int = eqx.field(static=True)
    queries: int = eqx.field(static=True)
    name: str = eqx.field(static=True)

    @classmethod
    def of(cls, tables: Sequence[Table], scaler: Scaler, shots: int, queries: int, name: str) -> "TableTasks":
        """Tasks from scaled tables; shorter ones are padded, and the padding never drawn."""
        longest = max(len(table.y) for table in tables)

        def padded(values: np.ndarray) -> np.ndarray:
            return np.pad(values, ((0, longest - len(values)), (0, 0)))

        return cls(
            jnp.asarray(np.stack([padded(scaler.scale_x(table.x)) for table in tables])),
            jnp.asarray(np.stack([padded(scaler.scale_y(table.y)) for table in tables])),
            jnp.asarray([len(table.y) for table in tables]),
            shots,
            queries,
            name,
        )

    @property
    def modes(self) -> tuple[str, ...]:
        """The sub-folder's name."""
        return (self.name,)

    def sample(self, key: PRNGKeyArray, n: int) -> Task:
        """`n` tasks; inputs have the shape `(n, points, in)`, targets `(n, points, 1)`."""

        def draw(key: PRNGKeyArray) -> Task:
            file_key, point_key = jr.split(key)
            file = jr.randint(file_key, (), 0, self.counts.shape[0])
            order = jr.uniform(point_key, self.y.shape[1:2])
            order = jnp.argsort(jnp.where(jnp.arange(order.shape[0]) < self.counts[file], order, jnp.inf))
            support, query = order[: self.shots], order[self.shots : self.shots + self.queries]
            x, y = self.x[file], self.y[file]
            return Task(Samples(x[support], y[support]), Samples(x[query], y[query]), jnp.zeros((), int))

        return jax.vmap(draw)(jr.split(key, n))


def load_tasks(folder: Path, shots: int, queries: int) -> tuple[Mixture, Mixture, Scaler]:
    """Read a folder of CSV files: tasks to learn from, tasks held out, and the scaler fitted to the former.

    Every fifth task of each mode, in a fixed random order, is held out.

    Raises `UserError` that names file, row and column for anything that cannot be used.
    """
    by_mode = _read_folder(folder)
    train, held_out = {}, {}
    for mode, tables in by_mode.items():
        for table in tables:
            if len(table.y) < shots + queries:
                raise UserError(
                    f"{table.path} has {len(table.y)} points, but a task needs {shots} support and {queries} query "
                    "points. Remove the file, or lower --shots or --queries."
                )
        if len(tables) < 2:
            raise UserError(f"mode {mode!r} has only {tables[0].path}; it takes two tasks, to hold one out.")
        order = np.random.default_rng(0).permutation(len(tables))
        kept = max(1, round(HELD_OUT_SHARE * len(tables)))
        held_out[mode] = [tables[i] for i in order[:kept]]
        train[mode] = [tables[i] for i in order[kept:]]
    scaler = Scaler.fit([table for tables in train.values() for table in tables])

    def source(by_mode: dict[str, list[Table]]) -> Mixture:
        parts = tuple(TableTasks.of(tables, scaler, shots, queries, mode) for mode, tables in by_mode.items())
        return Mixture(parts, tuple(by_mode))

    return source(train), source(held_out), scaler


def read_table(path: Path, *, with_targets: bool = True) -> Table:
    """Read one CSV file with a header: `x` or `x1`, `x2`, …, and `y`; other columns are ignored.

    Without `with_targets`, `y` need not be there and is zero. Raises `UserError` naming file, row and column.
    """
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
            header = list(rows[0]) if rows else []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as CSV: {error}.") from error
    if not rows:
        raise UserError(f"{path} has no rows: it needs a header with the columns x (or x1, x2, …) and y, then points.")
    inputs = ["x"] if "x" in header else [f"x{i}" for i in range(1, len(header) + 1) if f"x{i}" in header]
    if not inputs or (inputs != ["x"] and inputs != [f"x{i}" for i in range(1, len(inputs) + 1)]):
        raise UserError(f"{path} has the columns {', '.join(map(str, header))}; the inputs must be x, or x1, x2, ….")
    if with_targets and "y" not in header:
        raise UserError(f"{path} has the columns {', '.join(map(str, header))}; the targets' column y is missing.")

    def number(row: int, column: str) -> float:
        text = rows[row][column]
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"{path}, row {row + 2}, column {column}: {text!r} is not a finite number.")
        return value

    x = np.array([[number(row, column) for column in inputs] for row in range(len(rows))])
    y = np.array([number(row, "y") if with_targets else 0.0 for row in range(len(rows))])
    return Table(path, x, y)


def _read_folder(folder: Path) -> dict[str, list[Table]]:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. --data takes a folder with one CSV file for each task.")
    modes = [path for path in sorted(folder.iterdir()) if path.is_dir() and any(path.glob("*.csv"))]
    loose = sorted(folder.glob("*.csv"))
    if modes and loose:
        raise UserError(f"{folder} has both sub-folders and {loose[0].name}; put every CSV file into a sub-folder.")
    groups = {path.name: sorted(path.glob("*.csv")) for path in modes} or {"tasks": loose}
    if not any(groups.values()):
        raise UserError(f"{folder} has no CSV files, neither in itself nor in its sub-folders.")
    by_mode = {mode: [read_table(path) for path in paths] for mode, paths in groups.items()}
    tables = [table for tables in by_mode.values() for table in tables]
    for table in tables:
        if table.x.shape[1] != tables[0].x.shape[1]:
            raise UserError(
                f"{table.path} has {table.x.shape[1]} input columns, {tables[0].path} has {tables[0].x.shape[1]}; "
                "all tasks must have the same."
            )
    return by_mode
