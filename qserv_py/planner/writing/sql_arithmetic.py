"""Arithmetic as SQL: DuckDB is made to fail where PostgreSQL fails, and only where it could.

PostgreSQL calls an overflow of doubles an error, DuckDB answers an infinity; their divisions differ, too. What can
neither overflow nor underflow stays an operator: a macro costs time in every row.
"""

from __future__ import annotations

import math

from qserv_py.adql.tree import Arithmetic, Cast, Expr, InUnit, Literal, Negate
from qserv_py.catalog.types import DataType
from qserv_py.planner.writing.dialects import Engine, Writer, type_name

_OF_REALS = {"+": "qserv_plus", "-": "qserv_minus", "*": "qserv_times", "/": "qserv_divide"}
_OF_INTEGERS = {"/": "qserv_divide_whole", "%": "qserv_remainder"}
_SHIFTS = {"<<": "qserv_shift_left", ">>": "qserv_shift_right"}


def arithmetic(expr: Arithmetic, writer: Writer) -> str:
    """Return an operator between two values, in brackets or as a call."""
    left, right = writer.expr(expr.left), writer.expr(expr.right)
    if writer.engine is Engine.POSTGRES or expr.operator == "||" or expr.type is None:
        return f"({left} {expr.operator} {right})"
    name = type_name(expr.type, Engine.DUCKDB)
    if expr.operator in _SHIFTS:
        return f"CAST({_SHIFTS[expr.operator]}({left}, {right}, {8 * expr.type.names.width}) AS {name})"
    left = left if expr.left.type is expr.type else f"CAST({left} AS {name})"
    right = right if expr.right.type is expr.type else f"CAST({right} AS {name})"
    if expr.operator == "#":
        return f"xor({left}, {right})"
    if expr.type.is_integer:
        macro = _OF_INTEGERS.get(expr.operator)
    else:
        macro = None if _stays_finite(expr) else _OF_REALS[expr.operator]
    return f"{macro}({left}, {right})" if macro else f"({left} {expr.operator} {right})"


def in_unit(expr: InUnit, writer: Writer) -> str:
    """Return a value in another unit: times a factor, plus a shift."""
    scaled = expr.operand
    if expr.factor != 1.0:
        factor = Literal(type=DataType.DOUBLE, value=expr.factor)
        scaled = Arithmetic(type=DataType.DOUBLE, operator="*", left=expr.operand, right=factor)
    if expr.shift:
        shift = Literal(type=DataType.DOUBLE, value=expr.shift)
        scaled = Arithmetic(type=DataType.DOUBLE, operator="+", left=scaled, right=shift)
    return writer.expr(scaled)


def _stays_finite(expr: Arithmetic) -> bool:
    """Whether a sum, a difference or a product of doubles can neither overflow nor underflow."""
    return expr.operator in {"+", "-", "*"} and expr.type is DataType.DOUBLE and _digits(expr) < 300


def _digits(expr: Expr) -> float:
    """Return how many digits a finite value that is not zero can have before or after its point."""
    match expr:
        case Literal(value=int() | float() as value):
            return abs(math.log10(abs(value))) + 17 if value and math.isfinite(value) else 0.0
        case Cast(operand=operand, type=DataType.DOUBLE):
            return _digits(operand)
        case Negate(operand=operand):
            return _digits(operand)
        case Arithmetic(operator="*", left=left, right=right):
            return _digits(left) + _digits(right)
        case Arithmetic(operator="+" | "-", left=left, right=right):
            return max(_digits(left), _digits(right)) + 17
    if expr.type is not None and expr.type.is_integer:
        return 19.0
    return 45.0 if expr.type is DataType.FLOAT else math.inf
