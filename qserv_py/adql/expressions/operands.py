"""Operands of operators and functions: their types checked and made the same, NULLs typed, blanks taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qserv_py.adql.expressions.typing_rules import common_type
from qserv_py.adql.functions import FUNCTIONS
from qserv_py.adql.places import Failures
from qserv_py.adql.tree import Call, Cast, Expr, Literal, Shape
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError


def mismatch(message: str, culprit: Expr, node: Any, failures: Failures, *, hint: str = "") -> Exception:
    """Return the error that an operand has the wrong type; ``node`` is its place where it has none of its own."""
    place = culprit.offset if culprit.offset is not None else node
    hint = hint or _conversion(culprit.type)
    return failures.error(TypeMismatchError, f"{message}, found {type_of(culprit)}", place, hint=hint)


def _conversion(kind: DataType | None) -> str:
    """Return how a value of a type becomes one of another, for hints."""
    if kind is None:
        return ""
    if kind.is_list:
        return "COORD1(point) and COORD2(point) are numbers." if kind.is_shape else "A list can only be selected."
    if kind.is_text:
        return "CAST(x AS DOUBLE PRECISION) makes a number of a text, CAST(x AS TIMESTAMP) a time."
    if kind.is_integer:
        return "CAST(x AS VARCHAR) makes a text of a number."
    return _CONVERSIONS.get(kind, "CAST(x AS INTEGER) makes a whole number of it, CAST(x AS VARCHAR) a text.")


_CONVERSIONS = {
    DataType.BOOLEAN: "CAST(x AS INTEGER) makes 1 and 0 of what is true or false.",
    DataType.TIMESTAMP: "ivo_to_mjd(x) makes a number of a time, CAST(x AS VARCHAR) a text.",
    DataType.BINARY: "Bytes can be selected, counted and tested with IS NULL.",
}


def type_of(expr: Expr) -> str:
    """Return the type of an expression as ADQL names it."""
    if isinstance(expr, Shape):
        return expr.kind.value
    return "NULL" if expr.type is None else expr.type.names.adql


def check_number(operand: Expr, what: str, node: Any, failures: Failures) -> None:
    """Refuse an operand that is no number."""
    if operand.type is not None and not operand.type.is_numeric:
        raise mismatch(f"{what} needs a number", operand, node, failures)


def check_text(operands: Sequence[Expr], what: str, node: Any, failures: Failures) -> None:
    """Refuse operands that are no text."""
    for operand in operands:
        if operand.type is not None and not operand.type.is_text:
            raise mismatch(f"{what} needs text", operand, node, failures)


def common_operand_type(values: Sequence[Expr], what: str, node: Any, failures: Failures) -> DataType | None:
    """Return the type that all values can have; None when all of them are NULL."""
    kind: DataType | None = None
    for value in values:
        joined = common_type(kind, value.type)
        if joined is None and not (kind is None and value.type is None):
            raise mismatch(
                f"{what} mixes {kind} and {value.type}", value, node, failures, hint="CAST all of them to one type."
            )
        kind = joined
    return kind


def typed(expr: Expr, kind: DataType) -> Expr:
    """Give a bare NULL a type: PostgreSQL could not choose an operator for it."""
    return Cast(type=kind, operand=expr, offset=expr.offset) if expr.type is None else expr


def as_double(expr: Expr) -> Expr:
    """Return a number as DOUBLE PRECISION; a constant stays one."""
    if expr.type is DataType.DOUBLE:
        return expr
    if isinstance(expr, Literal) and isinstance(expr.value, int) and not isinstance(expr.value, bool):
        return Literal(type=DataType.DOUBLE, value=float(expr.value), offset=expr.offset)
    return Cast(type=DataType.DOUBLE, operand=expr, offset=expr.offset)


def unfilled(expr: Expr) -> Expr:
    """Take away the blanks that CHAR(n) fills a value with: only the result shows them."""
    if isinstance(expr, Cast) and expr.length is not None and expr.type is DataType.CHAR:
        return Call(type=DataType.TEXT, function=FUNCTIONS["RTRIM"], arguments=(expr,), offset=expr.offset)
    return expr
