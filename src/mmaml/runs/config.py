"""Configurations are frozen dataclasses; this turns them into JSON and back."""

import dataclasses
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mmaml.runs.errors import UserError, shortened


Config = TypeVar("Config")


def to_dict(config: Any) -> dict[str, Any]:
    """The fields of a configuration, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(cls: type[Config], values: Any) -> Config:
    """A configuration from stored fields; options younger than what was stored have their defaults.

    So a new option begins with the default that is as runs were before it.

    Raises `UserError` if a field is unknown, one without a default is missing, or a value is of another type.
    """
    if not isinstance(values, dict):
        raise UserError(f"the stored configuration is {values!r}, but must be an object with a value for each option.")
    fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
    needed = {f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING}
    if odd := set(values) - {f.name for f in fields} | needed - set(values):
        names = ", ".join(sorted(odd))
        raise UserError(
            f"the stored configuration does not fit this version of mmaml; fields that differ: {names}. Use the "
            "version in its config.json, or train another run."
        )
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    hints = get_type_hints(cls)
    for name, value in given.items():
        hint = hints[name]
        require(_fits(value, hint), name, value, _in_words(hint))
    return cls(**given)


def _fits(value: Any, hint: Any) -> bool:
    """Whether `value` has the type `hint`, as far as options have such types."""
    kind, inside = get_origin(hint), get_args(hint)
    if kind is Literal:
        return value in inside
    if kind in (Union, types.UnionType):
        return any(_fits(value, one) for one in inside)
    if kind is tuple:
        return isinstance(value, tuple) and all(_fits(entry, inside[0]) for entry in value)
    # In Python a bool is an int, too.
    return isinstance(value, (int, float) if hint is float else hint) and isinstance(value, bool) <= (hint is bool)


def _in_words(hint: Any) -> str:
    kind, inside = get_origin(hint), get_args(hint)
    if kind is Literal:
        return f"one of {', '.join(map(repr, inside))}"
    if kind in (Union, types.UnionType):
        return " or ".join(map(_in_words, inside))
    if kind is tuple:
        return f"a list of which each is {_in_words(inside[0])}"
    return {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}.get(hint, "None")


def require(condition: bool, option: str, seen: Any, allowed: str) -> None:
    """Raise `UserError` unless `condition` holds: names the option, the value seen and what is allowed."""
    if not condition:
        shown = shortened(repr(seen), 200)  # what Python is given may be whole arrays
        raise UserError(f"--{option.replace('_', '-')} is {shown}, but must be {allowed}.")


def require_sizes(config: Any, *options: str) -> None:
    """Raise `UserError` unless each of the `options` is a number of at least 1, or one or more of them."""
    for option in options:
        value = getattr(config, option)
        several = isinstance(value, tuple)
        sizes, allowed = (value, "one or more sizes of at least 1") if several else ((value,), "at least 1")
        require(bool(sizes) and min(sizes) > 0, option, value, allowed)
