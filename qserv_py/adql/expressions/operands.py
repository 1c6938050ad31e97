"""Operands of operators and functions: their types checked and made the same, NULLs typed, blanks taken away.

A condition is a value, too: true counts 1 and false 0, as users of other databases are used to. Strict mode knows of it
only ``= 1``, ``= 0`` and the like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.typing_rules import common_type
from qserv_py.adql.functions import FUNCTIONS
from qserv_py.adql.places import Failures
from qserv_py.adql.tree import Call, Cast, Comparison, Expr, Literal, Not, Shape
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


# conditions as values

_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
"""What PostgreSQL reads as a boolean."""

_NUMBERS: dict[float, bool] = {0: False, 1: True}

_TRUE = {("=", 1), ("<>", 0), (">", 0), (">=", 1)}
"""Comparisons of a condition, as a number, that say that it holds."""

_FALSE = {("=", 0), ("<>", 1), ("<", 1), ("<=", 0)}


def negated(operand: Expr) -> Expr:
    """Return NOT of a condition."""
    if isinstance(operand, Not):
        return operand.operand
    return Not(type=DataType.BOOLEAN, operand=operand, offset=operand.offset)


def as_number(expr: Expr, builder: Builder) -> Expr:
    """Return a condition as 1 or 0, and anything else as it is; strict mode leaves all as it is."""
    if expr.type is not DataType.BOOLEAN or builder.strict:
        return expr
    if isinstance(expr, Literal):
        return Literal(type=DataType.INT, value=int(bool(expr.value)), offset=expr.offset)
    return Cast(type=DataType.INT, operand=expr, offset=expr.offset)


def as_condition(expr: Expr) -> Expr | None:
    """Return what a value says as a condition; None where it is none: ``CONTAINS(...)`` alone is ``= 1``."""
    if expr.type in {DataType.BOOLEAN, None}:
        return expr
    if (inside := _counted(expr)) is not None:
        return inside
    if isinstance(expr, Call) and expr.function.answers_truth:
        one = Literal(type=DataType.INT, value=1, offset=expr.offset)
        return Comparison(type=DataType.BOOLEAN, operator="=", left=expr, right=one, offset=expr.offset)
    return None


def _counted(expr: Expr) -> Expr | None:
    """Return the condition that an expression is the 1 or 0 of."""
    if isinstance(expr, Cast) and expr.type is DataType.INT and expr.operand.type is DataType.BOOLEAN:
        return expr.operand
    return None


def truth_test(operator: str, left: Expr, right: Expr, *, strict: bool) -> Expr | None:
    """Turn ``CONTAINS(...) = 1`` and ``boolean column = 0`` into conditions; None when it is neither."""
    inside = left if is_truth(left) else _counted(left)
    if inside is None or isinstance(left, Literal) or (strict and is_truth(left) and operator not in {"=", "<>"}):
        return None
    if not isinstance(right, Literal) or not isinstance(right.value, (int, float)):
        return None
    if (operator, right.value) in _TRUE:
        return inside
    return negated(inside) if (operator, right.value) in _FALSE else None


def is_truth(expr: Expr) -> bool:
    """Whether an expression is true or false; not a bare NULL."""
    return expr.type is DataType.BOOLEAN


def comparable_truth(left: Expr, right: Expr, node: Any, builder: Builder) -> tuple[Expr, Expr]:
    """Return two sides of a comparison, of which one is a condition, in one type; the constant is the right one."""
    if builder.strict:
        return left, right
    if isinstance(right, Literal) and right.value is not None and is_truth(left):
        return left, truth_constant(right, node, builder.failures)
    for one, other in ((left, right), (right, left)):
        if is_truth(one) and other.type is not None and other.type.is_numeric:
            return as_number(left, builder), as_number(right, builder)
    return left, right


def truth_constant(literal: Literal, node: Any, failures: Failures) -> Literal:
    """Return a constant beside a condition as TRUE or FALSE.

    Raises
    ------
    TypeMismatchError
        If it is neither 1, 0 nor a word for one of them: such a comparison tells nothing.
    """
    value = literal.value
    known = _WORDS.get(value.strip().lower()) if isinstance(value, str) else _NUMBERS.get(value or 0)
    if known is None:
        shown = f"'{value}'" if isinstance(value, str) else value
        raise failures.error(
            TypeMismatchError,
            f"what is true or false is never {shown}",
            node if literal.offset is None else literal.offset,
            hint="Compare it with TRUE, FALSE, 1, 0, 'true' or 'false'.",
        )
    return Literal(type=DataType.BOOLEAN, value=known, offset=literal.offset)
