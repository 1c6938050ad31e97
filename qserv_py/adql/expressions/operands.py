"""Types and operands: what type an expression has, by PostgreSQL's rules for numbers, and what compares.

The operands of operators and functions are checked and made the same, NULLs typed, blanks taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.functions import FUNCTIONS
from qserv_py.adql.tree import Call, Cast, Expr, Literal, Query, SetQuery, Shape
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError

_RANK = {DataType.BYTE: 0, DataType.SHORT: 1, DataType.INT: 2, DataType.LONG: 3}


def arithmetic_type(left: DataType | None, right: DataType | None) -> DataType | None:
    """Return the type of a sum; None when an operand is no number. A bare NULL takes the other's type."""
    if left is None or right is None:
        known = left or right
        return DataType.INT if known is None else (known if known.is_numeric else None)
    if not (left.is_numeric and right.is_numeric):
        return None
    if left.is_integer and right.is_integer:
        wider = left if _RANK[left] >= _RANK[right] else right
        return DataType.SHORT if wider is DataType.BYTE else wider
    if left is DataType.FLOAT and right is DataType.FLOAT:
        return DataType.FLOAT
    return DataType.DOUBLE


def common_type(left: DataType | None, right: DataType | None) -> DataType | None:
    """Return the type that holds both, as the branches of CASE need; None when there is none."""
    if left is None or right is None:
        return left or right
    if left is right:
        return left
    if left.is_text and right.is_text:
        return DataType.TEXT
    if DataType.FLOAT in {left, right} and (left.is_integer or right.is_integer):
        return DataType.FLOAT  # unlike in a sum, where PostgreSQL takes double precision
    return arithmetic_type(left, right)


def comparable(left: DataType | None, right: DataType | None) -> bool:
    """Whether two values can be compared; lists, which histograms and shapes are, cannot."""
    if any(kind is not None and kind.is_list for kind in (left, right)):
        return False
    return left is None or right is None or common_type(left, right) is not None


def literal_type(value: int) -> DataType:
    """Return the type of a whole number: the narrowest that PostgreSQL would take."""
    if -(2**31) <= value < 2**31:
        return DataType.INT
    return DataType.LONG if -(2**63) <= value < 2**63 else DataType.DOUBLE


def sum_type(operand: DataType) -> DataType:
    """Return the type of SUM: BIGINT of whole numbers, else DOUBLE PRECISION (also of REAL, summed in double)."""
    return DataType.LONG if operand.is_integer else DataType.DOUBLE


def number_type(kind: DataType | None) -> DataType | None:
    """Return the type of a condition as 1 or 0, and any other type as it is."""
    return DataType.INT if kind is DataType.BOOLEAN else kind


def with_types(query: Query, kinds: Sequence[DataType | None]) -> Query:
    """Return a query whose columns have these types."""
    if [item.expr.type for item in query.items] == list(kinds):
        return query
    if isinstance(query, SetQuery):
        left, right = with_types(query.left, kinds), with_types(query.right, kinds)
        items = tuple(
            replace(item, expr=replace(item.expr, type=kind)) for item, kind in zip(query.items, kinds, strict=True)
        )
        return replace(query, left=left, right=right, items=items)
    items = tuple(
        item if item.expr.type is kind or kind is None else replace(item, expr=_converted(item.expr, kind))
        for item, kind in zip(query.items, kinds, strict=True)
    )
    # an ORDER BY of the block goes on naming the expression as it was
    return replace(query, items=items)


def _converted(expr: Expr, kind: DataType) -> Expr:
    """Return a value as one of another type; of a condition only PostgreSQL's INTEGER can be made."""
    if expr.type is DataType.BOOLEAN and kind is not DataType.INT:
        expr = Cast(type=DataType.INT, operand=expr)
    return Cast(type=kind, operand=expr)


# operands


def mismatch(message: str, culprit: Expr, node: Any, failures: ErrorFactory, *, hint: str = "") -> Exception:
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


def check_number(operand: Expr, what: str, node: Any, failures: ErrorFactory) -> None:
    """Refuse an operand that is no number."""
    if operand.type is not None and not operand.type.is_numeric:
        raise mismatch(f"{what} needs a number", operand, node, failures)


def check_text(operands: Sequence[Expr], what: str, node: Any, failures: ErrorFactory) -> None:
    """Refuse operands that are no text."""
    for operand in operands:
        if operand.type is not None and not operand.type.is_text:
            raise mismatch(f"{what} needs text", operand, node, failures)


def common_operand_type(values: Sequence[Expr], what: str, node: Any, failures: ErrorFactory) -> DataType | None:
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
