"""The select list: its expressions, what ``*`` stands for, and the names of the columns of the result."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.metadata import meaning_of
from qserv_py.adql.blocks.scope import Merged, Scope, shown_columns
from qserv_py.adql.expressions.aggregates import BASIC_NODES
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.places import offset_of
from qserv_py.adql.text.tokens import MARK
from qserv_py.adql.tree import ColumnRef, Expr, Item, Source
from qserv_py.catalog.model import physical_name
from qserv_py.errors import LimitError

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
