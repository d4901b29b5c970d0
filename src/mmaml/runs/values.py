"""A run's evaluation task by task, in `evaluation.npy`, `modes.npy` and `groups.npy`: what runs are compared by."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mmaml.runs.errors import UserError, command
from mmaml.runs.files import write_atomically
from mmaml.runs.folder import RunFolder


class Values(NamedTuple):
    """The metric on each task after 0, 1, … gradient steps, and the number of its mode, which older runs do not have.

    Tasks that are drawn from one and the same thing, as from a file of the user's, are of one of the `groups`.
    """

    stages: Float[np.ndarray, "tasks stages"]
    modes: Int[np.ndarray, " tasks"] | None = None
    groups: Int[np.ndarray, " tasks"] | None = None

    @property
    def final(self) -> Float[np.ndarray, " tasks"]:
        """After the last step: what the learner achieves."""
        return self.stages[:, -1]


def write_values(folder: RunFolder, values: Values) -> None:
    """Write them to the run's folder."""
    _write(folder.values_path, values.stages)
    for path, of_tasks in ((folder.modes_path, values.modes), (folder.groups_path, values.groups)):
        if of_tasks is not None:
            _write(path, of_tasks)


def read_values(folder: RunFolder) -> Values | None:
    """Those of a run, `None` if it has none. Raises `UserError` if a file is broken."""
    if not folder.values_path.is_file():
        return None
    stages = _read(folder.values_path, 2)

    def of_tasks(path: Path) -> Int[np.ndarray, " tasks"] | None:
        numbers = _read(path, 1) if path.is_file() else None
        if numbers is not None and len(numbers) != len(stages):
            raise _broken(path)
        return numbers

    return Values(stages, of_tasks(folder.modes_path), of_tasks(folder.groups_path))


def _write(path: Path, array: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_atomically(path, content.getvalue())


def _read(path: Path, dimensions: int) -> np.ndarray:
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise _broken(path) from error
    if array.ndim != dimensions or array.size == 0 or array.dtype.kind not in "fiu":
        raise _broken(path)
    return array


def _broken(path: Path) -> UserError:
    return UserError(
        f"{path} is broken: it does not hold numbers of each task of an evaluation. Write it again with "
        f"{command('evaluate', path.parent)}."
    )
