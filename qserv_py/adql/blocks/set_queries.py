"""UNION, EXCEPT and INTERSECT: two queries brought to columns of the same types."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.resolving import CommonTables, Resolving
from qserv_py.adql.blocks.result_clauses import offset, set_order_items, top
from qserv_py.adql.blocks.scope import Scope
from qserv_py.adql.error_places import parts_besides
from qserv_py.adql.expressions.operands import common_type, number_type, with_types
from qserv_py.adql.tree import ColumnRef, Item, SetOperator, SetQuery
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError

SET_OPERATORS = {
    exp.Union: SetOperator.UNION,
    exp.Except: SetOperator.EXCEPT,
    exp.Intersect: SetOperator.INTERSECT,
}


def resolve_set(node: Any, outer: Scope | None, tables: CommonTables, resolving: Resolving) -> SetQuery:
    """Resolve a set operation."""
    operator, failures = SET_OPERATORS[type(node)], resolving.failures
    extras = parts_besides(node, {"this", "expression", "distinct", "order", "limit", "offset", "with_"})
    if extras:
        raise failures.unsupported(
            f"{operator} with {extras[0]} is not answered", node, hint="Leave it out; columns meet by their places."
        )
    left, right = resolving.query(node.this, outer, tables), resolving.query(node.expression, outer, tables)
    if len(left.items) != len(right.items):
        columns = f"{len(left.items)} and {len(right.items)} columns"
        raise failures.error(
            TypeMismatchError,
            f"{operator} joins queries of {columns}",
            node.expression,
            hint="Select as many columns on both sides; NULL fills a place.",
        )
    pairs = list(zip(left.items, right.items, strict=True))
    kinds = [_common_type(one, other, operator, resolving) for one, other in pairs]
    left, right = with_types(left, kinds), with_types(right, kinds)
    number = next(resolving.ids)
    items = tuple(
        _set_item(number, kind, one, other) for kind, one, other in zip(kinds, left.items, right.items, strict=True)
    )
    return SetQuery(
        operator=operator,
        keep_all=not node.args.get("distinct"),
        left=left,
        right=right,
        items=items,
        id=number,
        order_by=set_order_items(node, items, failures),
        top=top(node, failures),
        offset=offset(node, failures),
    )


def _common_type(left: Item, right: Item, operator: SetOperator, resolving: Resolving) -> DataType | None:
    kind = common_type(left.expr.type, right.expr.type)
    if kind is None and not resolving.strict:
        kind = common_type(number_type(left.expr.type), number_type(right.expr.type))
    if kind is None and not (left.expr.type is None and right.expr.type is None):
        message = f'{operator} joins column "{left.name}" with one of another type'
        hint = "CAST one side to the type of the other."
        raise resolving.failures.error(TypeMismatchError, message, right.expr.offset, hint=hint)
    return kind


def _set_item(source: int, kind: DataType | None, left: Item, right: Item) -> Item:
    """Return a column of a set operation: all that is said of it is the left side's, as ADQL has it."""
    lengths = [item.about.length for item in (left, right)]
    longest = None if None in lengths else max(length for length in lengths if length is not None)
    about = replace(left.about, length=longest)
    return replace(
        left, expr=ColumnRef(type=kind, source=source, label=left.label, name=left.name, about=about), about=about
    )
