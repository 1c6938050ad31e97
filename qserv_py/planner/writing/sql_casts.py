"""Casts as SQL, with PostgreSQL's answers in either engine."""

from __future__ import annotations

from qserv_py.adql.tree import Cast, Expr, Literal
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.planner.writing.dialects import Engine, Writer, type_name


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
