"""Blocks of our tree as SQL text, for PostgreSQL (chunk queries) and for DuckDB (merge queries)."""

from __future__ import annotations

from collections.abc import Mapping

from qserv_py.adql.tree import (
    ColumnRef,
    Expr,
    Joined,
    Literal,
    OrderItem,
    Query,
    QuerySource,
    Select,
    SetQuery,
    Source,
    TableSource,
)
from qserv_py.errors import InternalError
from qserv_py.planner.plan.nodes import NearSource, StageSource
from qserv_py.planner.writing.dialects import Engine, quoted
from qserv_py.planner.writing.sql_expressions import ExpressionWriter
from qserv_py.planner.writing.statement import Statement


class Rendering:
    """Writes one statement; ``statement`` is what is then known of it.

    Parameters
    ----------
    engine
        The dialect.
    narrowing
        Placed sources without whose rows a chunk has no rows of the answer.
    """

    def __init__(self, engine: Engine, *, narrowing: frozenset[int] = frozenset()) -> None:
        self.statement = Statement(engine, narrowing)
        self._writer = ExpressionWriter(self.statement, self.query)

    def query(self, query: Query) -> str:
        """Return anything that answers rows."""
        return self.select(query) if isinstance(query, Select) else self._set_query(query)

    def _set_query(self, query: SetQuery) -> str:
        operator = query.operator.value + (" ALL" if query.keep_all else "")
        both = f"({self.query(query.left)}) {operator} ({self.query(query.right)})"
        labels = [item.label for item in query.items]
        return " ".join([both, *_tail(query, [_place_among(labels, item) for item in query.order_by])])

    def select(self, select: Select) -> str:
        """Return a whole block."""
        if select.joined is None:
            sources = ", ".join(self._source(source) for source in select.sources)
        else:
            texts = {source.id: self._source(source) for source in select.sources}
            sources = self._joined(select.joined, texts)
        parts = ["SELECT DISTINCT" if select.distinct else "SELECT"]
        parts.append(", ".join(f"{self._writer.expr(item.expr)} AS {quoted(item.label)}" for item in select.items))
        if sources:
            parts.append(f"FROM {sources}")
        if select.where:
            parts.append("WHERE " + " AND ".join(self._writer.condition(part) for part in select.where))
        if select.group_by:
            parts.append("GROUP BY " + ", ".join(self._group_key(part) for part in select.group_by))
        if select.having:
            parts.append("HAVING " + " AND ".join(self._writer.condition(part) for part in select.having))
        parts += _tail(select, [self._order_key(item, select) for item in select.order_by])
        return " ".join(parts)

    def _joined(self, tree: Joined | int, texts: Mapping[int, str]) -> str:
        if isinstance(tree, int):
            return texts[tree]
        left, right = self._joined(tree.left, texts), self._joined(tree.right, texts)
        if not tree.on:
            return f"({left} CROSS JOIN {right})"
        condition = " AND ".join(self._writer.condition(part) for part in tree.on)
        return f"({left} {tree.kind.value} JOIN {right} ON {condition})"

    def _group_key(self, expr: Expr) -> str:
        # a bare constant would be read as the number of an output column
        key = self._writer.expr(expr)
        return f"CAST({key} AS text)" if isinstance(expr, Literal) else f"({key})"

    def _order_key(self, item: OrderItem, select: Select) -> str:
        for number, output in enumerate(select.items, start=1):
            if output.expr == item.expr:
                return str(number)
        key = self._writer.expr(item.expr)
        return f"CAST({key} AS text)" if isinstance(item.expr, Literal) else key

    def _source(self, source: Source) -> str:
        alias = self.statement.name(source)
        if isinstance(source, NearSource) and source.received is not None:
            self.statement.reads.append(source.received.stage)
        if isinstance(source, TableSource):
            return f"{self.statement.mark(source)} AS {alias}"
        if isinstance(source, QuerySource):
            return f"({self.query(source.query)}) AS {alias}"
        if isinstance(source, StageSource):
            self.statement.reads.append(source.stage)
            if self.statement.engine is Engine.DUCKDB:
                return f"{quoted(source.stage)} AS {alias}"
            return f"{self.statement.mark(source)} AS {alias}"
        raise InternalError(f"source {source!r} cannot be rendered")


def _place_among(labels: list[str], item: OrderItem) -> str:
    """Return the number of the output column that a set operation is ordered by."""
    assert isinstance(item.expr, ColumnRef)
    return str(labels.index(item.expr.label) + 1)


def _tail(query: Query, keys: list[str]) -> list[str]:
    """Return the clauses after the rows: in which order, how many, from which on."""
    parts = []
    if keys:
        directions = ("DESC NULLS FIRST" if item.descending else "ASC NULLS LAST" for item in query.order_by)
        ordered = (f"{key} {direction}" for key, direction in zip(keys, directions, strict=True))
        parts.append("ORDER BY " + ", ".join(ordered))
    if query.top is not None:
        parts.append(f"LIMIT {query.top}")
    if query.offset:
        parts.append(f"OFFSET {query.offset}")
    return parts
