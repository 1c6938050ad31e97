"""Aggregates and window functions as SQL: sums have the type and the width that PostgreSQL gives them."""

from __future__ import annotations

from qserv_py.adql.functions import AGGREGATE_FUNCTIONS
from qserv_py.adql.tree import Aggregate, Expr, Window
from qserv_py.catalog.types import DataType
from qserv_py.planner.writing.dialects import Engine, Writer, as_type, type_name


def aggregate(expr: Aggregate, writer: Writer) -> str:
    """Return an aggregate."""
    if expr.operand is None:
        return "COUNT(*)"
    further = AGGREGATE_FUNCTIONS.get(expr.name)
    if further is not None:
        operand = writer.expr(expr.operand)
        parameters = [writer.expr(part) for part in expr.parameters]
        return further.sql(operand, parameters, distinct=expr.distinct, duckdb=writer.engine is Engine.DUCKDB)
    of_doubles = expr.name in {"SUM", "AVG"} and expr.type is DataType.DOUBLE
    operand = as_type(expr.operand, DataType.DOUBLE if of_doubles else None, writer)
    text = f"{expr.name}({'DISTINCT ' if expr.distinct else ''}{operand})"
    if of_doubles and may_overflow(expr.operand) and writer.engine is Engine.DUCKDB:
        return finite(text, f"MAX(ABS({operand}))")
    return f"CAST({text} AS bigint)" if expr.name == "SUM" and expr.type is DataType.LONG else text


def may_overflow(operand: Expr) -> bool:
    """Whether a sum in double precision may: no number of rows of REALs or whole numbers gets there."""
    return operand.type is DataType.DOUBLE


def finite(total: str, largest: str) -> str:
    """Return a sum or a mean of doubles that fails in DuckDB where it does in PostgreSQL.

    ``largest`` is the largest magnitude among them: an infinity or NaN that a row holds is no overflow.
    """
    return f"qserv_finite({total}, {largest})"


def window(expr: Window, writer: Writer) -> str:
    """Return a window function with its window."""
    of_doubles = expr.name in {"SUM", "AVG"} and expr.type is DataType.DOUBLE
    arguments = [as_type(part, DataType.DOUBLE if of_doubles else None, writer) for part in expr.arguments]
    call = "COUNT(*)" if expr.name == "COUNT" and not arguments else f"{expr.name}({', '.join(arguments)})"
    over = f"OVER ({_over(expr, writer)})"
    text = f"{call} {over}"
    if of_doubles and may_overflow(expr.arguments[0]) and writer.engine is Engine.DUCKDB:
        return finite(text, f"MAX(ABS({arguments[0]})) {over}")
    if expr.type is not None and expr.type.is_integer and expr.name in {"SUM", "NTILE"}:
        return f"CAST({text} AS {type_name(expr.type, writer.engine)})"
    return text


def _over(expr: Window, writer: Writer) -> str:
    parts = []
    if expr.partition_by:
        parts.append("PARTITION BY " + ", ".join(writer.expr(part) for part in expr.partition_by))
    if expr.order_by:
        keys = (f"{writer.expr(key)} {'DESC NULLS FIRST' if down else 'ASC NULLS LAST'}" for key, down in expr.order_by)
        parts.append("ORDER BY " + ", ".join(keys))
    if expr.frame:
        parts.append(expr.frame)
    return " ".join(parts)
