"""A trained learner as one safetensors file: arrays, and JSON for all the rest in its header."""

import json
from pathlib import Path
from typing import Any, NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mmaml.core.learners import AbstractLearner
from mmaml.runs.errors import UserError
from mmaml.runs.files import write_atomically


FORMAT_VERSION = 1


class _Parts(dict[str, Any]):
    """Parts of the model file at `path`: to ask for one that is not there is a `UserError`."""

    def __init__(self, parts: dict[str, Any], path: Path):
        super().__init__(parts)
        self._path = path

    def __missing__(self, name: str) -> NoReturn:
        raise UserError(f"{self._path} lacks {name!r}: the file is damaged. `mmaml export RUN FILE` makes it anew.")


def write_model(
    path: str | Path, domain: str, learner: AbstractLearner, header: dict[str, Any], more: dict[str, np.ndarray]
) -> None:
    """Write the learner's arrays and `more` of them, with `header`, to `path`, whole or not at all."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(learner, eqx.is_array))
    tensors = {"learner" + jax.tree_util.keystr(where): np.asarray(leaf) for where, leaf in leaves}
    # One entry, because the order of several is not fixed and the same model should give the same file.
    text = json.dumps({"format_version": FORMAT_VERSION, "domain": domain, **header})
    write_atomically(Path(path), save(tensors | more, {"mmaml": text}))


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header, with its `domain`, and arrays of a file that `write_model` wrote.

    Raises `UserError` if the file is missing, damaged, of another version or something else, and also when a part is
    asked for that is not in it.
    """
    try:
        with safe_open(path, "np") as file:
            header = json.loads((file.metadata() or {}).get("mmaml", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        made = "as models are; `mmaml export RUN FILE` makes one"
        raise UserError(f"{path} cannot be read as a safetensors file, {made}: {error}.") from error
    if not isinstance(header, dict) or "domain" not in header:
        raise UserError(f"{path} is not a model of mmaml; `mmaml export RUN FILE` makes one.")
    header = _Parts(header, path)
    if header["format_version"] != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {header['format_version']}, this mmaml reads {FORMAT_VERSION}; update it."
        )
    return header, _Parts(tensors, path)


def fill_learner(like: Any, tensors: dict[str, np.ndarray], path: Path) -> Any:
    """A learner of the structure `like` (shapes in the place of arrays) with the arrays read from `path`.

    Raises `UserError` if one is missing or has another shape.
    """

    def leaf(where: Any, expected: Any) -> Any:
        if not isinstance(expected, jax.ShapeDtypeStruct):
            return expected
        name = "learner" + jax.tree_util.keystr(where)
        if name not in tensors or tensors[name].shape != expected.shape:
            raise UserError(f"{path} does not hold {name} with the shape {expected.shape}: the file is damaged.")
        return jnp.asarray(tensors[name])

    return jax.tree_util.tree_map_with_path(leaf, like)
