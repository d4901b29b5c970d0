"""From what a user writes, `module:function` or `file.py:function`, to the function. This runs the user's code."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mmaml.runs.errors import UserError


def find_factory(name: str) -> Callable[..., Any]:
    """What `name` names, a function or a class; its module or file is imported, both relative to the working folder.

    Raises `UserError` if there is no such thing. What the user's code itself raises goes through.
    """
    place, _, attribute = name.rpartition(":")
    if not attribute or not place or (place.startswith(".") and not place.endswith(".py")):
        raise UserError(
            f"{name!r} names no environment: write module:function or file.py:function for one of your own."
        )
    module = _from_file(Path(place)) if place.endswith(".py") else _from_path(place)
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise UserError(f"{place} has no function or class named {attribute!r}, which --environment {name} asks for.")
    return factory


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"{path} is not a file; --environment looks for it from {Path.cwd()}.")
    path = path.resolve()
    # Not its bare name: a file may be called like an installed package.
    name = f"mmaml_own_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file has a loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    _make_visible(path.parent)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _from_path(name: str) -> ModuleType:
    _make_visible(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that the user's own code misses is another matter.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UserError(f"there is no module named {error.name!r}, in {Path.cwd()} or installed.") from None
        raise


def _make_visible(folder: Path) -> None:
    """As `python file.py` does for the file's folder, so that it can import its neighbours."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
