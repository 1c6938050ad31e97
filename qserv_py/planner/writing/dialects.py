"""The two dialects of SQL, and how names, constants, types and casts are written in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from qserv_py.adql.tree import Cast, Expr, Literal
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


def as_type(expr: Expr, kind: DataType | None, writer: Writer) -> str:
    """Return an expression, cast where it has another type."""
    text = writer.expr(expr)
    return text if kind is None or expr.type is kind else f"CAST({text} AS {type_name(kind, writer.engine)})"


def cast(expr: Cast, writer: Writer) -> str:
    """Return a cast that the query asks for; text to numbers and times is read as ADQL's documents say."""
    if expr.type is None:
        raise InternalError("a cast without a type")
    operand, given = writer.expr(expr.operand), expr.operand.type
    if given is not None and given.is_text:
        if expr.type is DataType.TIMESTAMP and not isinstance(expr.operand, Literal):
            return f"{writer.engine.prefix}to_time({operand})"
        if expr.type.is_numeric:
            reader = "whole_number" if expr.type.is_integer else "number"
            operand = f"{writer.engine.prefix}{reader}({operand})"
    text = f"CAST({operand} AS {type_name(expr.type, writer.engine)})"
    if writer.engine is Engine.DUCKDB:
        text = _as_postgres_casts(operand, given, expr.type)
    if expr.length is None:
        return text
    return f"rpad({text}, {expr.length}, ' ')" if expr.type is DataType.CHAR else f"left({text}, {expr.length})"


def _as_postgres_casts(operand: str, given: DataType | None, wanted: DataType) -> str:
    """Return a cast in DuckDB whose answer is PostgreSQL's."""
    real = given in {DataType.FLOAT, DataType.DOUBLE}
    text = f"CAST({operand} AS {wanted.names.duckdb})"
    if wanted.is_integer and real:
        return f"CAST(round_even({operand}, 0) AS {wanted.names.duckdb})"
    if wanted.is_text and real:
        return f"qserv_{'real' if given is DataType.FLOAT else 'double'}_text({operand})"
    if wanted is DataType.FLOAT and given is DataType.DOUBLE:
        return f"qserv_real({operand})"
    if wanted in {DataType.FLOAT, DataType.DOUBLE} and given is not None and given.is_text:
        return f"qserv_bounded({operand}, {text})"
    return text
