"""Walks over the resolved tree: what stands in an expression or a query, and trees with parts replaced.

What is found is a list: a walk ends before the caller looks at what it brought.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

from qserv_py.adql.tree import (
    Aggregate,
    Call,
    ColumnRef,
    ExistsQuery,
    Expr,
    InQuery,
    Joined,
    JoinKind,
    Query,
    QuerySource,
    ScalarQuery,
    Select,
    SetQuery,
    Window,
)


def children(expr: Expr) -> list[Expr]:
    """Return the direct sub-expressions; sub-queries are not entered."""
    found: list[Expr] = []
    for name in _members(type(expr)):
        value = getattr(expr, name)
        if isinstance(value, Expr):
            found.append(value)
        elif isinstance(value, tuple):
            for element in value:
                if isinstance(element, Expr):
                    found.append(element)
                elif isinstance(element, tuple):
                    found += [inner for inner in element if isinstance(inner, Expr)]
    return found


_MEMBERS: dict[type[Expr], tuple[str, ...]] = {}
"""Names of the members of each kind of expression, once it was met."""


def _members(kind: type[Expr]) -> tuple[str, ...]:
    if kind not in _MEMBERS:
        _MEMBERS[kind] = tuple(spec.name for spec in fields(kind))
    return _MEMBERS[kind]


def walk(expr: Expr) -> list[Expr]:
    """Return the expression and everything below it."""
    found = [expr]
    for child in children(expr):
        found += walk(child)
    return found


def rewrite(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """Return the expression with parts replaced, from the top: what ``change`` answers is not entered again."""
    changed = change(expr)
    if changed is not None:
        return changed
    updates: dict[str, object] = {}
    for name in _members(type(expr)):
        value = getattr(expr, name)
        new = _rewrite_value(value, change)
        if new is not value:
            updates[name] = new
    return replace(expr, **updates) if updates else expr  # type: ignore[arg-type]


def _rewrite_value(value: object, change: Callable[[Expr], Expr | None]) -> object:
    if isinstance(value, Expr):
        return rewrite(value, change)
    if isinstance(value, tuple) and value and isinstance(value[0], (Expr, tuple)):
        new = tuple(_rewrite_value(element, change) for element in value)
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new
    return value


def contains_aggregate(expr: Expr) -> bool:
    """Whether an aggregate stands in the expression."""
    return any(isinstance(part, Aggregate) for part in walk(expr))


def contains_window(expr: Expr) -> bool:
    """Whether a window function stands in the expression."""
    return any(isinstance(part, Window) for part in walk(expr))


def is_stable(expr: Expr) -> bool:
    """Whether an expression is the same whenever it is computed for a row."""
    return not any(isinstance(part, Call) and part.function.volatile for part in walk(expr))


def is_aggregated(select: Select) -> bool:
    """Whether a block has groups: it aggregates, or says GROUP BY or HAVING."""
    if select.group_by or select.having:
        return True
    shown = [item.expr for item in select.items] + [item.expr for item in select.order_by]
    return any(contains_aggregate(expr) for expr in shown)


def column_refs(expr: Expr) -> list[ColumnRef]:
    """Return the references to columns; those inside sub-queries are not included."""
    return [part for part in walk(expr) if isinstance(part, ColumnRef)]


def subqueries(expr: Expr) -> list[Query]:
    """Return the sub-queries that stand directly in an expression."""
    return [part.query for part in walk(expr) if isinstance(part, (InQuery, ExistsQuery, ScalarQuery))]


def expressions(query: Query) -> list[Expr]:
    """Return the expressions of a query's own clauses; of a set operation, those of its order."""
    ordered = [item.expr for item in query.order_by]
    if isinstance(query, SetQuery):
        return ordered
    shown = [item.expr for item in query.items]
    joins = join_conditions(query.joined) if query.joined is not None else []
    return [*shown, *joins, *query.where, *query.group_by, *query.having, *ordered]


def parts(query: Query) -> list[Expr]:
    """Return the expressions of a query's own clauses, and everything below them."""
    return [part for expr in expressions(query) for part in walk(expr)]


def inner_queries(query: Query) -> list[Query]:
    """Return the sub-queries that stand directly in a query's own expressions."""
    return [inner for expr in expressions(query) for inner in subqueries(expr)]


def leaves(tree: Joined | int) -> set[int]:
    """Return the ids of the sources of a join."""
    return {tree} if isinstance(tree, int) else leaves(tree.left) | leaves(tree.right)


def nullable(tree: Joined | int | None) -> frozenset[int]:
    """Return the sources whose rows an outer join may replace by NULLs."""
    if not isinstance(tree, Joined):
        return frozenset()
    found = nullable(tree.left) | nullable(tree.right)
    if tree.kind in {JoinKind.LEFT, JoinKind.FULL}:
        found |= leaves(tree.right)
    if tree.kind in {JoinKind.RIGHT, JoinKind.FULL}:
        found |= leaves(tree.left)
    return found


def conditions_that_hold(tree: Joined | int | None) -> tuple[Expr, ...]:
    """Return the conditions of joins that hold for every row of a tree."""
    if not isinstance(tree, Joined):
        return ()
    own = tree.on if tree.kind is JoinKind.INNER else ()
    left = conditions_that_hold(tree.left) if tree.kind in {JoinKind.INNER, JoinKind.LEFT} else ()
    right = conditions_that_hold(tree.right) if tree.kind in {JoinKind.INNER, JoinKind.RIGHT} else ()
    return (*own, *left, *right)


def join_conditions(tree: Joined | int) -> list[Expr]:
    """Return the conditions of a tree of joins."""
    if isinstance(tree, int):
        return []
    return [*join_conditions(tree.left), *join_conditions(tree.right), *tree.on]


def all_conditions(select: Select) -> list[Expr]:
    """Return the conditions that a block's rows fulfil: those of WHERE and those of its joins."""
    return [*select.where, *(join_conditions(select.joined) if select.joined is not None else ())]


def blocks(query: Query) -> list[Query]:
    """Return a query and every query inside it."""
    if isinstance(query, SetQuery):
        inside: list[Query] = [query.left, query.right]
    else:
        inside = [source.query for source in query.sources if isinstance(source, QuerySource)]
    return [query, *(block for inner in (*inside, *inner_queries(query)) for block in blocks(inner))]


def all_refs(query: Query) -> list[ColumnRef]:
    """Return the references to columns of a query and of every query inside it."""
    return [part for block in blocks(query) for part in parts(block) if isinstance(part, ColumnRef)]


def free_refs(query: Query) -> list[ColumnRef]:
    """Return the references of a query to columns of queries around it."""
    own: set[int] = set()
    found: list[ColumnRef] = []
    for block in blocks(query):
        own |= {block.id} if isinstance(block, SetQuery) else {source.id for source in block.sources}
        found += [part for part in parts(block) if isinstance(part, ColumnRef)]
    return [ref for ref in found if ref.source not in own]
