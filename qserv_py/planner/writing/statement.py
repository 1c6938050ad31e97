"""Statements: blocks as SQL, and what a statement for a chunk leaves open.

A ``ChunkStatement`` runs for many chunks, so a place that differs from chunk to chunk stands in its text as a mark.
What fills it can be known only when the whole text is there (the columns that are read of a table, for one), so
``template`` makes the marks into slots at the end. A ``MergeStatement`` runs once, where the rows of stages stand
under the names of the stages.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

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
from qserv_py.catalog.model import HEALPIX_COLUMN
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError, LimitError
from qserv_py.planner.plan.nodes import InStage, NearSource, SameCell, StageExists, StageSource, StageValue
from qserv_py.planner.plan.query_plan import RowStore
from qserv_py.planner.plan.slots import (
    CellSlot,
    NearBy,
    RelationSlot,
    Slot,
    StageColumn,
    Template,
    ValuesForm,
    ValuesSlot,
)
from qserv_py.planner.writing.dialects import MARK, POSTGRES, quoted
from qserv_py.planner.writing.expressions import ExpressionWriter, Marked, ordered_as

MAX_SENT_COLUMNS = 1664
"""Columns that a PostgreSQL statement can answer."""


@dataclass(slots=True)
class Statement(ExpressionWriter):
    """Writes one statement."""

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
        parts.append(", ".join(f"{self.expr(item.expr)} AS {quoted(item.label)}" for item in select.items))
        if sources:
            parts.append(f"FROM {sources}")
        if select.where:
            parts.append("WHERE " + " AND ".join(self.condition(part) for part in select.where))
        if select.group_by:
            parts.append("GROUP BY " + ", ".join(self._group_key(part) for part in select.group_by))
        if select.having:
            parts.append("HAVING " + " AND ".join(self.condition(part) for part in select.having))
        parts += _tail(select, [self._order_key(item, select) for item in select.order_by])
        return " ".join(parts)

    def _joined(self, tree: Joined | int, texts: Mapping[int, str]) -> str:
        if isinstance(tree, int):
            return texts[tree]
        left, right = self._joined(tree.left, texts), self._joined(tree.right, texts)
        if not tree.on:
            return f"({left} CROSS JOIN {right})"
        condition = " AND ".join(self.condition(part) for part in tree.on)
        return f"({left} {tree.kind.value} JOIN {right} ON {condition})"

    def _group_key(self, expr: Expr) -> str:
        # a bare constant would be read as the number of an output column
        key = self.expr(expr)
        return f"CAST({key} AS text)" if isinstance(expr, Literal) else f"({key})"

    def _order_key(self, item: OrderItem, select: Select) -> str:
        for number, output in enumerate(select.items, start=1):
            if output.expr == item.expr:
                return str(number)
        key = self.expr(item.expr)
        return f"CAST({key} AS text)" if isinstance(item.expr, Literal) else key

    def _source(self, source: Source) -> str:
        alias = self.name(source)
        if isinstance(source, QuerySource):
            return f"({self.query(source.query)}) AS {alias}"
        if isinstance(source, StageSource):
            self.reads.append(source.stage)
        elif isinstance(source, NearSource) and source.received is not None:
            self.reads.append(source.received.stage)
        if isinstance(source, StageSource | TableSource):
            return f"{self.relation(source)} AS {alias}"
        raise InternalError(f"source {source!r} cannot be rendered")

    @abstractmethod
    def relation(self, source: StageSource | TableSource) -> str:
        """Return where the rows of a table or of a stage are read."""

    def name(self, source: Source) -> str:
        """Give a source an alias that no other source of the statement has; return it.

        An expression that is written twice, as in GROUP BY by its name, has the same text each time: so PostgreSQL
        knows it again.
        """
        if source.id in self.aliases:
            return self.aliases[source.id]
        # PostgreSQL keeps 63 bytes of a name: two long ones could become the same.
        base = source.alias.lower().encode()[:40].decode(errors="ignore")
        taken = set(self.aliases.values())
        alias = quoted(base)
        while alias in taken:
            base = f"{base}_{source.id}"
            alias = quoted(base)
        self.aliases[source.id] = alias
        return alias


@dataclass(slots=True)
class ChunkStatement(Statement):
    """Writes a statement that runs for each of some chunks, on the workers."""

    narrowing: frozenset[int] = frozenset()
    """Placed sources without whose rows a chunk has no rows of the answer."""

    def relation(self, source: StageSource | TableSource) -> str:
        """Return a mark: chunks have tables of their own, and rows of stages are brought to them."""
        return self.mark(source)

    def in_stage(self, expr: InStage) -> str:
        """Return the right side of IN over the rows of an earlier stage, a mark."""
        self.reads.append(expr.stage)
        slot = ValuesSlot(
            stage=expr.stage,
            columns=(expr.column,),
            form=ValuesForm.LIST,
            placing=expr.placing,
            narrows=expr.placing is not None,
        )
        return self.mark(slot)

    def stage_exists(self, expr: StageExists) -> str:
        """Return whether an earlier stage has rows, a mark."""
        self.reads.append(expr.stage)
        return self.mark(ValuesSlot(stage=expr.stage, columns=expr.columns, form=ValuesForm.EXISTS))

    def stage_value(self, expr: StageValue) -> str:
        """Return the one value of an earlier stage, a mark."""
        self.reads.append(expr.stage)
        return self.mark(ValuesSlot(stage=expr.stage, columns=(expr.column,), form=ValuesForm.SCALAR))

    def template(self, select: Select) -> Template:
        """Return a block as text and slots in turn."""
        text = self.select(select)
        pieces: list[str | Slot] = []
        for index, part in enumerate(text.split(MARK)):
            pieces.append(part if index % 2 == 0 else self._slot(self.marked[int(part)]))
        return Template(pieces=tuple(piece for piece in pieces if piece != ""))

    def _slot(self, marked: Marked) -> Slot:
        match marked:
            case StageSource():
                return self._values(marked)
            case TableSource():
                return self._table(marked)
            case SameCell():
                [values] = [self._values(other) for other in self.marked if _is_source(other, marked.placed)]
                healpix = f"{self.aliases[marked.healpix.source]}.{quoted(marked.healpix.label)}"
                return CellSlot(healpix=healpix, table=marked.table, alias=self.aliases[marked.placed], values=values)
        return marked

    def _table(self, source: TableSource) -> RelationSlot:
        used = self.used.get(source.id, {})
        near = None
        if isinstance(source, NearSource):
            near = _near_by(source)
            if source.ra:
                used = {**used, source.ra: DataType.DOUBLE, source.dec: DataType.DOUBLE}
        columns = tuple(StageColumn(label=label, type=kind) for label, kind in sorted(used.items()))
        return RelationSlot(schema=source.database.physical, table=source.table, columns=columns, near=near)

    def _values(self, source: StageSource) -> ValuesSlot:
        # Only what the statement reads is sent; a statement that reads no column still counts the rows.
        used = self.used.get(source.id, {})
        return ValuesSlot(
            stage=source.stage,
            columns=tuple(column for column in source.columns if column.label in used) or source.columns[:1],
            form=ValuesForm.RELATION,
            placing=source.placing,
            narrows=source.id in self.narrowing,
        )


def row_store(select: Select, narrowing: frozenset[int]) -> RowStore:
    """Return the access path through PostgreSQL's tables, with the statement that asks a block of them.

    Raises
    ------
    LimitError
        If it would have more columns than PostgreSQL answers.
    """
    if len(select.items) > MAX_SENT_COLUMNS:
        raise LimitError(
            f"the query needs {len(select.items)} columns of a chunk, PostgreSQL answers at most {MAX_SENT_COLUMNS}"
        )
    statement = ChunkStatement(POSTGRES, narrowing=narrowing)
    template = statement.template(select)
    return RowStore(template=template, reads=tuple(statement.reads))


@dataclass(slots=True)
class MergeStatement(Statement):
    """Writes a statement of the merge engine."""

    def relation(self, source: StageSource | TableSource) -> str:
        """Return the name of a stage."""
        if not isinstance(source, StageSource):
            raise InternalError(f"the merge engine has no table {source.alias}")
        return quoted(source.stage)

    def in_stage(self, expr: InStage) -> str:
        """Return the right side of IN over the rows of an earlier stage."""
        self.reads.append(expr.stage)
        return f"IN (SELECT {quoted(expr.column.label)} FROM {quoted(expr.stage)})"

    def stage_exists(self, expr: StageExists) -> str:
        """Return whether an earlier stage has rows."""
        self.reads.append(expr.stage)
        return f"EXISTS (SELECT 1 FROM {quoted(expr.stage)})"

    def stage_value(self, expr: StageValue) -> str:
        """Return the one value of an earlier stage."""
        self.reads.append(expr.stage)
        return f"(SELECT {quoted(expr.column.label)} FROM {quoted(expr.stage)})"


def _is_source(marked: Marked, number: int) -> TypeGuard[StageSource]:
    return isinstance(marked, StageSource) and marked.id == number


def _near_by(source: NearSource) -> NearBy:
    stage = source.received
    received = None
    if stage is not None:
        form = ValuesForm.RELATION
        received = ValuesSlot(stage=stage.stage, columns=stage.columns, form=form, index=HEALPIX_COLUMN)
    return NearBy(
        ra=source.ra,
        dec=source.dec,
        radius=source.radius,
        own=source.own,
        received=received,
        region=source.region,
    )


def _place_among(labels: list[str], item: OrderItem) -> str:
    """Return the number of the output column that a set operation is ordered by."""
    assert isinstance(item.expr, ColumnRef)
    return str(labels.index(item.expr.label) + 1)


def _tail(query: Query, keys: list[str]) -> list[str]:
    """Return the clauses after the rows: in which order, how many, from which on."""
    parts = []
    if keys:
        ordered = (
            f"{key} {ordered_as(descending=item.descending)}" for key, item in zip(keys, query.order_by, strict=True)
        )
        parts.append("ORDER BY " + ", ".join(ordered))
    if query.top is not None:
        parts.append(f"LIMIT {query.top}")
    if query.offset:
        parts.append(f"OFFSET {query.offset}")
    return parts
