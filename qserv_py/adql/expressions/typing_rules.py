"""What type an expression has, by PostgreSQL's rules for numbers; what compares; columns made of another type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qserv_py.adql.tree import Cast, Expr, Query, SetQuery
from qserv_py.catalog.types import DataType

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
