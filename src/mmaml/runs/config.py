"""Configurations are frozen dataclasses; this turns them into JSON and back."""

import dataclasses
from typing import Any, TypeVar

from mmaml.runs.errors import UserError


Config = TypeVar("Config")


def to_dict(config: Any) -> dict[str, Any]:
    """The fields of a configuration, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(cls: type[Config], values: dict[str, Any]) -> Config:
    """A configuration from stored fields. Raises `UserError` if a field is unknown or missing."""
    names = {field.name for field in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    if names != set(values):
        odd = ", ".join(sorted(names ^ set(values)))
        raise UserError(f"the stored configuration does not fit this version of mmaml; fields that differ: {odd}.")
    return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def require(condition: bool, option: str, seen: Any, allowed: str) -> None:
    """Raise `UserError` unless `condition` holds: names the option, the value seen and what is allowed."""
    if not condition:
        raise UserError(f"--{option.replace('_', '-')} is {seen!r}, but must be {allowed}.")
