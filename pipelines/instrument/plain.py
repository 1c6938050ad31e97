"""Frozen descriptions as plain dictionaries, lists, numbers and texts, and back, for JSON and YAML.

Reading is strict: what is missing, not known or of another type is refused with its place, so that a description that
was edited by hand means what its writer meant.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from qserv_py.errors import ConfigError

Kind = TypeVar("Kind")


def to_plain(value: Any) -> Any:
    """Return a dataclass as a dictionary, a tuple as a list, anything else as it is."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[Kind], value: Any, *, place: str) -> Kind:
    """Return what ``to_plain`` made a dictionary of.

    Parameters
    ----------
    kind
        A dataclass of numbers, texts, truth values, tuples and other such dataclasses.
    value
        As a file holds it.
    place
        What messages call it, such as the name of the file.

    Raises
    ------
    ConfigError
        If a key is missing or not known, or a value of another type; with its place.
    """
    return _read(kind, value, place)  # type: ignore[no-any-return]


def _read(kind: Any, value: Any, place: str) -> Any:
    if is_dataclass(kind):
        return _record(kind, value, place)
    if get_origin(kind) is tuple:
        return _items(get_args(kind), value, place)
    if get_origin(kind) is UnionType:
        if value is None and NoneType in get_args(kind):
            return None
        return _read(next(one for one in get_args(kind) if one is not NoneType), value, place)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise ConfigError(f"{place}: {value!r} is no {_WORDS[kind]}")
    return value


_WORDS = {int: "whole number", float: "number", str: "text", bool: "truth value"}


def _record(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: {type(value).__name__} where names with values belong")
    known = {field.name: field for field in fields(kind)}
    for name in value:
        if name not in known:
            raise ConfigError(f"{place}: {name!r} is not known", hint=f"There are {', '.join(known)}.")
    for name, field in known.items():
        if name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{place}: {name!r} is missing")
    hints = get_type_hints(kind)
    return kind(**{name: _read(hints[name], item, f"{place}: {name}") for name, item in value.items()})


def _items(kinds: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{place}: {value!r} is no list")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise ConfigError(f"{place}: {len(value)} values where {len(kinds)} belong")
    return tuple(
        _read(kind, item, f"{place}[{number}]") for number, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )
