"""Types of the columns that a query gives, where another query or a value needs them to be others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qserv_py.adql.tree import Cast, Expr, Query, SetQuery
from qserv_py.catalog.types import DataType


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
