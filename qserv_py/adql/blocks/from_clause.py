"""FROM: tables and sub-queries become the sources of a scope, joins become a tree over them or plain conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.grouping import forbid_aggregates
from qserv_py.adql.blocks.resolving import Resolving
from qserv_py.adql.blocks.scope import Merged, Scope, find_table, shown_columns
from qserv_py.adql.error_places import offset_of, parts_besides
from qserv_py.adql.expressions.conditions import conjuncts
from qserv_py.adql.expressions.operands import comparable
from qserv_py.adql.tree import Coalesce, ColumnRef, Comparison, Expr, Joined, JoinKind, QuerySource, TableSource
from qserv_py.adql.walks import free_refs, join_conditions, leaves
from qserv_py.catalog.types import DataType
from qserv_py.errors import AdqlSyntaxError, TypeMismatchError

_SIDES = {"": JoinKind.INNER, "LEFT": JoinKind.LEFT, "RIGHT": JoinKind.RIGHT, "FULL": JoinKind.FULL}


def read_from(node: Any, scope: Scope, resolving: Resolving) -> tuple[Joined | None, list[Expr]]:
    """Add the sources to the scope; return how they are joined, or the conditions when all are inner joins."""
    tree = _source(node.args["from_"].this, scope, resolving)
    for join in node.args.get("joins") or ():
        tree = _join(join, tree, scope, resolving)
    if isinstance(tree, Joined) and _has_outer(tree):
        return tree, []
    return None, list(join_conditions(tree))


def _has_outer(tree: Joined | int) -> bool:
    if isinstance(tree, int):
        return False
    return tree.kind is not JoinKind.INNER or _has_outer(tree.left) or _has_outer(tree.right)


# sources


def _source(node: Any, scope: Scope, resolving: Resolving) -> Joined | int:
    tree: Joined | int
    if isinstance(node, exp.Table):
        tree = _table(node, scope, resolving)
    elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
        if node.alias:
            raise resolving.failures.unsupported(
                "an alias for a join in parentheses is not answered",
                node,
                hint="Leave it out: the tables keep their own names.",
            )
        tree = _source(node.this, scope, resolving)
    else:
        tree = _derived(node, scope, resolving)
    for join in node.args.get("joins") or ():
        tree = _join(join, tree, scope, resolving)
    return tree


def _table(node: Any, scope: Scope, resolving: Resolving) -> int:
    """Add a table of the catalogue, or the query that WITH gave the name."""
    if parts_besides(node, {"this", "db", "alias", "joins"}) or not isinstance(node.this, exp.Identifier):
        raise resolving.failures.unsupported(
            "a table's name has at most two parts", node, hint="Write table or database.table."
        )
    resolving.count_table()
    db = node.args.get("db")
    common = scope.tables.get(node.this.name.lower()) if db is None else None
    _check_alias(node, resolving)
    if common is not None:
        inner = resolving.query(common.node, None, common.tables)
        named = QuerySource(id=next(resolving.ids), alias=node.alias or node.this.name, query=inner)
        scope.add(named, node)
        return named.id
    database, table = find_table(
        resolving.catalog,
        resolving.failures,
        database=(db.name, bool(db.args.get("quoted"))) if db is not None else None,
        name=(node.this.name, bool(node.this.args.get("quoted"))),
        node=node,
    )
    source = TableSource(id=next(resolving.ids), alias=node.alias or table.name, database=database, table=table)
    scope.add(source, node)
    return source.id


def _derived(node: Any, scope: Scope, resolving: Resolving) -> int:
    """Add a sub-query."""
    if not node.alias:
        raise resolving.failures.error(
            AdqlSyntaxError, "a sub-query in FROM needs a name", node, hint="Write (SELECT ...) AS t."
        )
    _check_alias(node, resolving)
    number = next(resolving.ids)
    query = resolving.query(node.this, scope.outer, scope.tables)
    for ref in free_refs(query):
        raise resolving.failures.unsupported(
            f'a sub-query in FROM cannot look at the queries around it, "{ref.name}" is a column of one',
            ref.offset,
            hint=f'Put the condition into the WHERE of the query that has "{node.alias}" in its FROM.',
        )
    source = QuerySource(id=number, alias=node.alias, query=query)
    scope.add(source, node)
    return source.id


def _check_alias(node: Any, resolving: Resolving) -> None:
    alias = node.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        raise resolving.failures.unsupported(
            "names for columns in a table's alias are not ADQL", node, hint="Rename the columns with AS in a sub-query."
        )


# joins


def _join(join: Any, left: Joined | int, scope: Scope, resolving: Resolving) -> Joined:
    side, method = (str(join.args.get(part) or "") for part in ("side", "method"))
    if method and (join.args.get("on") is not None or join.args.get("using")):
        raise resolving.failures.error(
            AdqlSyntaxError, "NATURAL JOIN has neither ON nor USING", join, hint="Leave one of them out."
        )
    kind = _SIDES[side]
    right = _source(join.this, scope, resolving)
    on: list[Expr] = []
    if join.args.get("on") is not None:
        condition = resolving.expressions(scope).condition(join.args["on"], "ON")
        forbid_aggregates(condition, "ON", resolving.failures)
        on = conjuncts(condition)
    shared = [_Shared(part.name, bool(part.args.get("quoted")), part) for part in join.args.get("using") or ()]
    if method == "NATURAL":
        shared = [_Shared(name, True, join) for name in _names_of_both(scope, left, right)]
    on += [_equality(one, kind, scope, (left, right)) for one in shared]
    if kind is not JoinKind.INNER and not on:
        raise resolving.failures.error(
            AdqlSyntaxError,
            f"{kind} JOIN needs ON, USING or NATURAL",
            join,
            hint="Write ON and the condition by which rows meet.",
        )
    return Joined(kind=kind, left=left, right=right, on=tuple(on))


@dataclass(frozen=True, slots=True)
class _Shared:
    """A name that means a column on each side of a join."""

    name: str
    exact: bool
    """Whether it is spelled as the schema spells it."""

    node: Any


def _names_of_both(scope: Scope, left: Joined | int, right: Joined | int) -> list[str]:
    """Return the columns that NATURAL JOIN compares: those whose name both sides have, hidden ones left out."""
    sides: list[dict[str, str]] = []
    for ids in (leaves(left), leaves(right)):
        merged = {one.name.lower(): one.name for one in scope.merged.values() if one.sources <= ids}
        own = [name for source in scope.sources if source.id in ids for name, _ in shown_columns(source, None)]
        sides.append(merged | {name.lower(): name for name in own})
    return [sides[0][folded] for folded in sides[0] if folded in sides[1]]


def _equality(shared: _Shared, kind: JoinKind, scope: Scope, trees: Sequence[Joined | int]) -> Expr:
    """Make one column of the two that a name means on both sides; return their equality."""
    name, ids = shared.name, [leaves(tree) for tree in trees]
    left, right = (_column_among(one, shared, scope) for one in ids)
    if not comparable(left.type, right.type):
        raise scope.failures.error(
            TypeMismatchError,
            f'USING("{name}") compares different types',
            shared.node,
            hint="Write ON with a CAST of one of them.",
        )
    one = {JoinKind.RIGHT: right, JoinKind.FULL: Coalesce(type=left.type, operands=(left, right))}.get(kind, left)
    shown = next((side.name for side in (left, right) if isinstance(side, ColumnRef)), name)
    scope.merged[name.lower()] = Merged(one, shown, frozenset(ids[0] | ids[1]))
    return Comparison(type=DataType.BOOLEAN, operator="=", left=left, right=right, offset=left.offset)


def _column_among(ids: set[int], shared: _Shared, scope: Scope) -> Expr:
    """Return the column that a name means on one side of a join."""
    sources = [source for source in scope.sources if source.id in ids]
    merged = {folded: known for folded, known in scope.merged.items() if known.sources <= ids}
    side = Scope(scope.failures, None, sources, merged)
    return side.column(shared.name, exact=shared.exact, qualifier=None, node=shared.node, offset=offset_of(shared.node))
