"""The columns of the result, what ``*`` stands for, and the clauses after them: GROUP BY, ORDER BY, TOP and OFFSET.

GROUP BY and ORDER BY may name columns of the result, by their names or numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.grouping import forbid_aggregates
from qserv_py.adql.blocks.metadata import meaning_of
from qserv_py.adql.blocks.scope import Merged, Scope, item_named, refs, shown_columns
from qserv_py.adql.error_places import ErrorFactory, offset_of, parts_besides
from qserv_py.adql.expressions.aggregates import BASIC_NODES
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.text.tokens import MARK
from qserv_py.adql.tree import ColumnRef, Expr, Item, OrderItem, Source
from qserv_py.catalog.model import physical_name
from qserv_py.errors import AdqlSyntaxError, LimitError, UnknownColumnError

Items = tuple[Item, ...]
"""The columns of the result."""

MAX_COLUMNS = 1600
"""Expressions of a select list, of GROUP BY and of ORDER BY; PostgreSQL's rows have no more columns."""


def select_items(node: Any, builder: Builder) -> tuple[Item, ...]:
    """Return the columns that a block answers."""
    found: list[tuple[str, Expr]] = []
    for position, part in enumerate(node.expressions, start=1):
        if isinstance(part, exp.Star) or (isinstance(part, exp.Column) and isinstance(part.this, exp.Star)):
            found += _star(part, builder.scope)
        elif isinstance(part, exp.Alias):
            found.append((part.alias, builder.value(part.this)))
        else:
            expr = builder.value(part)
            found.append((_item_name(expr, part, position), expr))
        check_count(found, "the select list")
    labels = _labels([name for name, _ in found])
    return tuple(
        Item(expr=expr, name=name, label=label, about=meaning_of(expr))
        for (name, expr), label in zip(found, labels, strict=True)
    )


def check_count(expressions: Sized, what: str) -> None:
    """Refuse more expressions than a row can have columns."""
    if len(expressions) > MAX_COLUMNS:
        raise LimitError(
            f"{what} has more than {MAX_COLUMNS} expressions", hint="Ask for fewer columns, or in several queries."
        )


def _star(node: Any, scope: Scope) -> Iterator[tuple[str, Expr]]:
    place = offset_of(node)
    sources: list[Source] = scope.sources
    if isinstance(node, exp.Column):
        table = node.args["table"]
        sources = [scope.source(table.name, exact=bool(table.args.get("quoted")), node=node)]
        merged: dict[str, Merged] = {}
    else:
        merged = scope.merged
    for one in merged.values():
        yield one.name, one.expr
    for source in sources:
        for name, expr in shown_columns(source, place):
            if name.lower() not in merged:
                yield name, expr


def _item_name(expr: Expr, node: Any, position: int) -> str:
    """Return the name of an unnamed column: the column's own, the function's, else ``col`` and its place."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(expr, ColumnRef) and isinstance(node, exp.Column):
        return expr.name
    if isinstance(node, exp.Anonymous):
        return str(node.this).removeprefix(MARK).lower()
    if isinstance(node, tuple(BASIC_NODES)):
        return BASIC_NODES[type(node)].lower()
    return f"col{position}"


def _labels(names: list[str]) -> list[str]:
    """Return names for generated SQL: lower case, short, different from each other."""
    taken: set[str] = set()
    labels = []
    for name in names:
        base = physical_name(name) or "col"
        label, number = base, 2
        while label in taken:
            label, number = f"{base}_{number}", number + 1
        taken.add(label)
        labels.append(label)
    return labels


def group_keys(node: Any, items: Items, builder: Builder) -> tuple[Expr, ...]:
    """Return the expressions of GROUP BY."""
    group = node.args.get("group")
    if group is None:
        return ()
    if group.args.get("all") is not None:
        raise builder.failures.unsupported(
            "ALL in GROUP BY is not answered", group, hint="Write the columns and expressions of the groups."
        )
    if parts_besides(group, {"expressions"}):
        raise builder.failures.unsupported(
            "ROLLUP, CUBE and GROUPING SETS are not ADQL",
            group,
            hint="Write a query for each grouping, with UNION ALL between them.",
        )
    check_count(group.expressions, "GROUP BY")
    return tuple(_group_key(part, items, builder) for part in group.expressions)


def _group_key(part: Any, items: Items, builder: Builder) -> Expr:
    position = _ordinal(part)
    if position is not None:
        expr = _item_at(position, items, part, "GROUP BY", builder.failures).expr
    elif (item := _item_named(part, items, builder.scope, builder.failures)) is not None:
        expr = item.expr
    else:
        expr = builder.value(part)
    forbid_aggregates(expr, "GROUP BY", builder.failures)
    return expr


def order_items(node: Any, items: Items, builder: Builder) -> tuple[OrderItem, ...]:
    """Return the keys of a block's ORDER BY."""
    parts = _order_parts(node)
    check_count(parts, "ORDER BY")
    return tuple(_order_item(part, items, builder) for part in parts)


def _order_item(part: Any, items: Items, builder: Builder) -> OrderItem:
    descending = _descends(part, builder.failures)
    item = _ordering_item(part, items, builder.failures)
    return OrderItem(expr=builder.value(part.this) if item is None else item.expr, descending=descending)


def set_order_items(node: Any, items: Items, failures: ErrorFactory) -> tuple[OrderItem, ...]:
    """Return the keys of the ORDER BY of a set operation, which takes columns of its result only."""
    keys = []
    for part in _order_parts(node):
        descending = _descends(part, failures)
        item = _ordering_item(part, items, failures)
        if item is None:
            raise failures.error(
                UnknownColumnError,
                "ORDER BY of a set operation takes columns of its result",
                part,
                hint="Name the column in the first query with AS, or put the whole in FROM (...).",
            )
        keys.append(OrderItem(expr=item.expr, descending=descending))
    return tuple(keys)


def _order_parts(node: Any) -> list[Any]:
    order = node.args.get("order")
    return list(order.expressions) if order is not None else []


def _ordering_item(part: Any, items: Items, failures: ErrorFactory) -> Item | None:
    """Return the column of the result that an ORDER BY key names or numbers; None when it is an expression."""
    position = _ordinal(part.this)
    if position is not None:
        return _item_at(position, items, part, "ORDER BY", failures)
    return _item_named(part.this, items, None, failures)


def _descends(part: Any, failures: ErrorFactory) -> bool:
    """Return whether an ORDER BY key descends."""
    # sqlglot fills nulls_first by itself with PostgreSQL's rule; only a written one that differs matters
    descending = bool(part.args.get("desc"))
    if parts_besides(part, {"this", "desc", "nulls_first"}) or bool(part.args.get("nulls_first")) != descending:
        raise failures.unsupported(
            "NULLS FIRST and NULLS LAST are not ADQL",
            part,
            hint="NULL counts as the largest value; order by CASE WHEN x IS NULL THEN 0 ELSE 1 END first.",
        )
    return descending


def _ordinal(node: Any) -> int | None:
    if isinstance(node, exp.Literal) and not node.is_string and _is_short_number(str(node.this)):
        return int(str(node.this))
    return None


def _item_at(position: int, items: Items, node: Any, clause: str, failures: ErrorFactory) -> Item:
    if not 1 <= position <= len(items):
        raise failures.error(
            UnknownColumnError,
            f"{clause} {position} is not a column of the result, it has {len(items)}",
            node,
            hint="Numbers count the columns of the select list from 1.",
        )
    return items[position - 1]


def _item_named(part: Any, items: Items, scope: Scope | None, failures: ErrorFactory) -> Item | None:
    """Return the output column that a bare name means; a column of the sources wins when a scope is given."""
    if not isinstance(part, exp.Column) or part.args.get("table") is not None:
        return None
    name, exact = part.this.name, bool(part.this.args.get("quoted"))
    if scope is not None and any(refs(source, name, exact=exact, offset=None) for source in scope.sources):
        return None
    return item_named(items, name, exact=exact, node=part, failures=failures)


def top(node: Any, failures: ErrorFactory) -> int | None:
    """Return how many rows a query answers at the most; None when it does not say."""
    return _count(node.args.get("limit"), "TOP", failures)


def offset(node: Any, failures: ErrorFactory) -> int:
    """Return how many rows a query leaves out."""
    return _count(node.args.get("offset"), "OFFSET", failures) or 0


def _count(node: Any, clause: str, failures: ErrorFactory) -> int | None:
    if node is None:
        return None
    value = node.args.get("expression")
    text = str(value.this) if isinstance(value, exp.Literal) and not value.is_string else ""
    if not _is_short_number(text) or int(text) >= 2**63:
        raise failures.error(
            AdqlSyntaxError, f"{clause} needs a whole number, 0 or more", node, hint="Write the number itself."
        )
    return int(text)


def _is_short_number(text: str) -> bool:
    """Whether a text is a whole number that is worth reading: Python refuses more than 4300 digits."""
    return text.isascii() and text.isdecimal() and len(text) < 20
