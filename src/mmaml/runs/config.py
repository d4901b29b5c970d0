"""Configurations are frozen dataclasses; this turns them into JSON and back."""

import dataclasses
from typing import Any, TypeVar

from mmaml.runs.errors import UserError


Config = TypeVar("Config")


def to_dict(config: Any) -> dict[str, Any]:
    """The fields of a configuration, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(cls: type[Config], values: dict[str, Any]) -> Config:
    """A configuration from stored fields; options younger than what was stored have their defaults.

    Raises `UserError` if a field is unknown, or one without a default is missing.
    """
    fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
    needed = {f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING}
    if odd := set(values) - {f.name for f in fields} | needed - set(values):
        names = ", ".join(sorted(odd))
        raise UserError(f"the stored configuration does not fit this version of mmaml; fields that differ: {names}.")
    return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def require(condition: bool, option: str, seen: Any, allowed: str) -> None:
    """Raise `UserError` unless `condition` holds: names the option, the value seen and what is allowed."""
    if not condition:
        raise UserError(f"--{option.replace('_', '-')} is {seen!r}, but must be {allowed}.")
