"""The second hop of a query: every name and type known, everything else refused.

``resolve`` turns sqlglot's tree into ours, block by block. What sqlglot can parse and this module does not name is
refused, so that nothing reaches a server that was not understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.from_clause import read_from
from qserv_py.adql.blocks.grouping import check_distinct_order, forbid_aggregates, forbid_windows, with_freed
from qserv_py.adql.blocks.metadata import output_columns
from qserv_py.adql.blocks.resolving import CommonTables, Resolving
from qserv_py.adql.blocks.result_clauses import group_keys, offset, order_items, select_items, top
from qserv_py.adql.blocks.scope import CommonTable, Scope
from qserv_py.adql.blocks.set_queries import SET_OPERATORS, resolve_set
from qserv_py.adql.error_places import ErrorFactory, parts_besides
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.conditions import conjuncts, plain_equalities
from qserv_py.adql.parse import Mode, ParsedQuery, parse
from qserv_py.adql.tree import Expr, Joined, Query, ResolvedQuery, Select
from qserv_py.adql.walks import conditions_that_hold, nullable
from qserv_py.adql.wording import describe
from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import LimitError

_SELECT_PARTS = {
    "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct", "kind",
    "with_",
}  # fmt: skip


def resolve(parsed: ParsedQuery, catalog: Catalog) -> ResolvedQuery:
    """Bind every name of a query against the catalogue and give every expression its type.

    Raises
    ------
    UnknownTableError, UnknownColumnError, UnknownFunctionError
        With the place and the closest known names.
    TypeMismatchError
        If an operator or a function does not fit its arguments.
    QueryNotSupportedError
        If the text asks for something that is not answered; the message names it.
    LimitError
        If it has too many tables, columns or sub-queries, or nests too deeply.
    """
    if parsed.show is not None:
        meant = parsed.show.query(catalog, ErrorFactory(parsed.text))
        return replace(resolve(parse(meant), catalog), text=parsed.text)
    resolving = _Resolver(ErrorFactory(parsed.text), catalog, strict=parsed.mode is Mode.STRICT)
    try:
        query = resolving.query(parsed.tree, None, {})
    except RecursionError:
        raise LimitError("the query is nested too deeply") from None
    return ResolvedQuery(text=parsed.text, query=query, columns=output_columns(query.items))


class _Resolver(Resolving):
    """Resolves blocks and set operations."""

    def query(self, node: Any, outer: Scope | None, tables: CommonTables) -> Query:
        """Resolve anything that answers rows, inside the scope of the query around it."""
        while isinstance(node, (exp.Subquery, exp.Paren)) and not parts_besides(node, {"this", "alias"}):
            node = node.this
        self.count_block(node)
        if node.args.get("with_") is not None:
            tables = _common_tables(node.args["with_"], tables, self.failures)
        if isinstance(node, tuple(SET_OPERATORS)):
            return resolve_set(node, outer, tables, self)
        if not isinstance(node, exp.Select):
            raise self.failures.unsupported(
                f"{describe(node)} in place of a query is not answered", node, hint="Write SELECT ... FROM ..."
            )
        return _resolve_block(node, Scope(self.failures, outer, tables=tables), self)


def _common_tables(node: Any, tables: CommonTables, failures: ErrorFactory) -> CommonTables:
    """Return the tables known after a WITH."""
    if node.args.get("recursive"):
        raise failures.unsupported("WITH RECURSIVE is not ADQL", node, hint="Write each step as a query of its own.")
    known = dict(tables)
    for part in node.expressions:
        alias = part.args["alias"]
        if alias.args.get("columns"):
            raise failures.unsupported(
                "names for columns after a name in WITH are not ADQL", part, hint="Name them with AS in the query."
            )
        if parts_besides(part, {"this", "alias"}):
            raise failures.unsupported("MATERIALIZED is not ADQL", part, hint="Leave it out.")
        known[alias.name.lower()] = CommonTable(part.this, dict(known))
    return known


def _resolve_block(node: Any, scope: Scope, resolving: Resolving) -> Select:
    failures = resolving.failures
    _check_clauses(node, failures)
    joined, conditions = read_from(node, scope, resolving)
    _note_joins(node, joined, conditions, scope)
    builder = resolving.expressions(scope)
    scope.aliases = frozenset(part.alias.lower() for part in node.expressions if isinstance(part, exp.Alias))
    conditions += _where(node, builder)
    joined, where = plain_equalities(joined, conditions, [source.id for source in scope.sources])
    items = select_items(node, builder)
    scope.items = () if resolving.strict else items
    group_by = group_keys(node, items, builder)
    having = node.args.get("having")
    select = Select(
        items=items,
        sources=tuple(scope.sources),
        joined=joined,
        where=where,
        group_by=group_by,
        having=tuple(conjuncts(builder.condition(having.this, "HAVING"))) if having is not None else (),
        order_by=order_items(node, items, builder),
        distinct=node.args.get("distinct") is not None,
        top=top(node, failures),
        offset=offset(node, failures),
    )
    for condition in select.having:
        forbid_windows(condition, "HAVING", failures)
    check_distinct_order(select, failures)
    return with_freed(select, failures, strict=resolving.strict)


def _note_joins(node: Any, joined: Joined | None, conditions: Sequence[Expr], scope: Scope) -> None:
    """Tell the scope what FROM and WHERE say of all rows."""
    scope.optional = nullable(joined)
    scope.inner = (*conditions, *conditions_that_hold(joined))
    scope.where = None if node.args.get("where") is None else node.args["where"].this


def _where(node: Any, builder: Builder) -> list[Expr]:
    if node.args.get("where") is None:
        return []
    where = builder.condition(node.args["where"].this, "WHERE")
    forbid_aggregates(where, "WHERE", builder.failures)
    return conjuncts(where)


def _check_clauses(node: Any, failures: ErrorFactory) -> None:
    extras = parts_besides(node, _SELECT_PARTS)
    if extras:
        raise failures.unsupported(f"{extras[0].strip('_').upper()} is not answered", node, hint="Leave it out.")
    distinct = node.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        raise failures.unsupported(
            "DISTINCT ON is not ADQL", node, hint="Write GROUP BY with MIN or MAX, or ROW_NUMBER() in a sub-query."
        )
