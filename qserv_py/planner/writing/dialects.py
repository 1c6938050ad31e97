"""The two dialects of SQL, and how names, constants and types are written in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from qserv_py.adql.tree import Expr
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError

MARK = "\0"
"""Stands around the number of a slot in a text that is being written: no ADQL text can hold it."""


class Engine(Enum):
    """The two dialects."""

    POSTGRES = "postgres"
    DUCKDB = "duckdb"

    @property
    def prefix(self) -> str:
        """What stands before the names of our own functions."""
        return "qserv_" if self is Engine.DUCKDB else "qserv."


class Writer(Protocol):
    """Writes expressions in one dialect."""

    @property
    def engine(self) -> Engine:
        """The dialect."""

    def expr(self, expr: Expr) -> str:
        """Return an expression; brackets around everything that an operator could tear apart."""


def quoted(name: str) -> str:
    """Return an identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: bool | int | float | str | Sequence[float] | None, kind: DataType | None, engine: Engine) -> str:
    """Return a constant as SQL, with its type where the text alone would not say it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return _integer(value, kind)
    if isinstance(value, float):
        name = "DOUBLE" if engine is Engine.DUCKDB else "float8"
        return f"{value!r}::{name}" if math.isfinite(value) else f"'{value!r}'::{name}"
    if isinstance(value, str):
        return _string(value)
    if kind is None:
        raise InternalError("a list of numbers without a type")
    numbers = ", ".join(map(repr, value))
    written = f"[{numbers}]" if engine is Engine.DUCKDB else f"'{{{numbers}}}'"
    return f"{written}::{type_name(kind, engine)}"


def _integer(value: int, kind: DataType | None) -> str:
    text = str(value) if value >= 0 else f"({value})"
    if kind is DataType.LONG and -(2**31) <= value < 2**31:
        return f"{text}::bigint"
    return "(-9223372036854775807 - 1)" if value == -(2**63) else text


def _string(value: str) -> str:
    if MARK in value:
        raise InternalError("a text constant holds a NUL character")
    return "'" + value.replace("'", "''") + "'"


def type_name(kind: DataType, engine: Engine) -> str:
    """Return the name of a type in an engine."""
    return kind.names.duckdb if engine is Engine.DUCKDB else kind.names.postgres
