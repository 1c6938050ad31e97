"""A resolved query to its plan.

A block is *local* when the union of its answers over the chunks is its answer: rows of one table, joins by the
director's key, groups that hold the key. Local blocks nest in one another inside the chunk query. Every other block is
*gathered*: chunks send rows or partial aggregates, a merge statement makes the answer, and the block around it reads
that answer: in the merge engine, or written into its own chunk queries.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from qserv_py.adql.tree import (
    ColumnRef,
    Expr,
    InQuery,
    Item,
    OrderItem,
    QuerySource,
    ResolvedQuery,
    Select,
    Source,
    TableSource,
    column_refs,
    rewrite,
)
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError, LimitError, QueryNotSupportedError
from qserv_py.planner import aggregate
from qserv_py.planner.chunks import ChunkSet, Pruning
from qserv_py.planner.keys import Director, Keys, are_joined, director_of, expressions, keys_of_table
from qserv_py.planner.plan import KeyCells, MergeStage, QueryPlan, ShardStage, StageColumn
from qserv_py.planner.sql_text import Engine, InStage, Rendering, SqlTemplate, StageSource

MAX_SENT_COLUMNS = 1664
"""Columns that a PostgreSQL statement can answer."""


@dataclass(frozen=True, slots=True)
class Local:
    """A block that chunk queries can hold whole."""

    select: Select
    chunks: ChunkSet
    keys: Mapping[str, Director]
    """Labels of the items that are keys."""

    whole: bool = False
    """Whether the answer is whole only because one statement makes it: chunks of another block must not repeat it."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A block whose rows are the result of a stage."""

    stage: str
    columns: tuple[StageColumn, ...]


@dataclass(slots=True)
class _Sources:
    """The sources of a block, sorted by what answers them."""

    all: list[Source] = field(default_factory=list)
    partitioned: list[Source] = field(default_factory=list)
    gathered: list[StageSource] = field(default_factory=list)
    chunks: dict[int, ChunkSet] = field(default_factory=dict)
    keys: dict[int, Keys] = field(default_factory=dict)


def plan_query(resolved: ResolvedQuery, catalog: Catalog, key_cells: KeyCells | None = None) -> QueryPlan:
    """Return the plan of a query.

    Parameters
    ----------
    resolved
        The query.
    catalog
        The catalogue that it was resolved against.
    key_cells
        What the director index answered for ``keys.wanted_keys(resolved)``; without it ids do not prune.

    Raises
    ------
    QueryNotSupportedError
        If the shards cannot answer the query; says why and what would help.
    LimitError
        If a chunk query would have more columns than PostgreSQL answers.
    """
    planner = _Planner(resolved.text, catalog, key_cells or {})
    try:
        planner.answer(resolved.select)
    except QueryNotSupportedError as error:
        error.text = resolved.text
        raise
    except RecursionError:
        raise LimitError("the query is nested too deeply") from None
    return QueryPlan(text=resolved.text, stages=tuple(planner.stages), columns=resolved.columns, catalog=catalog)


class _Planner:
    def __init__(self, text: str, catalog: Catalog, key_cells: KeyCells) -> None:
        self.text = text
        self.catalog = catalog
        self.pruning = Pruning(catalog, key_cells)
        self.stages: list[ShardStage | MergeStage] = []
        self._ids = itertools.count(1_000_000)

    def answer(self, select: Select) -> None:
        """Add the stages of the outermost block."""
        planned = self._block(select)
        if isinstance(planned, Local):
            self._shard_stage(planned.select, planned.chunks, limit=planned.select.top)

    def _block(self, select: Select) -> Local | Gathered:
        sources = self._sources(select)
        select = replace(select, sources=tuple(sources.all))
        if sources.gathered and not sources.partitioned:
            return self._in_merge_engine(select, sources)
        chunks = self._chunks(select, sources)
        select = self._plan_in_queries(select, sources.keys if sources.partitioned else None)
        select, chunks = self.pruning.prune(select, chunks, sources.keys)
        keys = _item_keys(select, sources.keys)
        if chunks.runs_once:
            return Local(select, chunks, keys, whole=_depends_on_all_rows(select))
        if select.is_aggregated:
            return self._aggregated(select, chunks, sources)
        if (select.distinct and not keys) or select.order_by or select.top is not None or select.offset:
            return self._gathered_rows(select, chunks)
        return Local(select, chunks, keys)

    # sources

    def _sources(self, select: Select) -> _Sources:
        found = _Sources()
        for source in select.sources:
            if isinstance(source, TableSource):
                self._table_source(source, found)
            elif isinstance(source, QuerySource):
                self._query_source(source, found, alone=len(select.sources) == 1)
            else:
                raise InternalError(f"source {source!r} is not planned")
        return found

    def _table_source(self, source: TableSource, found: _Sources) -> None:
        found.all.append(source)
        if source.table.is_partitioned:
            found.partitioned.append(source)
            found.keys[source.id] = keys_of_table(source)
            found.chunks[source.id] = self.pruning.chunks_of_table(source)

    def _query_source(self, source: QuerySource, found: _Sources, *, alone: bool) -> None:
        planned = self._block(source.query)
        if isinstance(planned, Local) and (alone or not planned.whole):
            inner = replace(source, query=planned.select)
            found.all.append(inner)
            if planned.chunks.is_partitioned:
                found.partitioned.append(inner)
                found.keys[source.id] = planned.keys
                found.chunks[source.id] = planned.chunks
            return
        if isinstance(planned, Local):
            planned = self._materialise(planned)
        stage = StageSource(id=source.id, alias=source.alias, stage=planned.stage, columns=planned.columns)
        found.all.append(stage)
        found.gathered.append(stage)

    def _materialise(self, planned: Local) -> Gathered:
        stage = self._shard_stage(planned.select, planned.chunks, limit=None)
        return Gathered(stage.name, stage.columns)

    def _chunks(self, select: Select, sources: _Sources) -> ChunkSet:
        """Return the chunks in which all partitioned sources have rows, after checking that chunks can join them."""
        if not sources.partitioned:
            return ChunkSet.anywhere()
        if not are_joined(sources.partitioned, sources.keys, select.where):
            raise self._not_joined(sources)
        sets = [sources.chunks[source.id] for source in sources.partitioned]
        joined = sets[0]
        for other in sets[1:]:
            joined = joined & other
        return joined

    def _not_joined(self, sources: _Sources) -> QueryNotSupportedError:
        names = ", ".join(f'"{source.alias}"' for source in sources.partitioned)
        keys: dict[Director, list[str]] = {}
        for source in sources.partitioned:
            for label, director in sources.keys.get(source.id, {}).items():
                keys.setdefault(director, []).append(f"{source.alias}.{label}")
        pair = next((shared[:2] for shared in keys.values() if len(shared) > 1), None)
        hint = f"Join them by the director's key: {' = '.join(pair)}." if pair else ""
        return QueryNotSupportedError(
            f"{names} are not joined by the key of one director, so no chunk alone can answer", hint=hint
        )

    # IN (SELECT ...)

    def _plan_in_queries(self, select: Select, keys: Mapping[int, Keys] | None) -> Select:
        """Plan the sub-queries of IN; with ``keys`` None the block runs where no chunk is."""

        def change(expr: Expr) -> Expr | None:
            if not isinstance(expr, InQuery):
                return None
            operand = rewrite(expr.operand, change)
            planned = self._block(expr.query)
            if isinstance(planned, Local):
                aligned = keys is not None and _is_aligned(operand, planned, keys)
                if keys is not None and not planned.whole and (aligned or not planned.chunks.is_partitioned):
                    return replace(expr, operand=operand, query=planned.select)
                # IN asks whether a value is there, not how often.
                once = _set_of(planned)
                planned = self._materialise(replace(planned, select=once))
            return InStage(
                type=DataType.BOOLEAN,
                operand=operand,
                stage=planned.stage,
                column=planned.columns[0],
                offset=expr.offset,
            )

        return map_expressions(select, lambda expr: rewrite(expr, change))

    # blocks that need a merge

    def _in_merge_engine(self, select: Select, sources: _Sources) -> Gathered:
        """Plan a block over gathered rows (and ref tables): all of it runs in the merge engine."""
        select = self._plan_in_queries(select, None)
        placed: list[Source] = []
        for source in select.sources:
            if isinstance(source, StageSource):
                placed.append(source)
            else:
                placed.append(self._fetch(source, select))
        return self._merge_stage(replace(select, sources=tuple(placed)))

    def _fetch(self, source: Source, select: Select) -> StageSource:
        """Bring the columns that a block reads of a ref table to the merge engine."""
        refs = {ref.label: ref for expr in expressions(select) for ref in column_refs(expr) if ref.source == source.id}
        items = tuple(Item(expr=ref, name=label, label=label) for label, ref in sorted(refs.items()))
        if not items:
            items = (Item(expr=SqlTemplate(type=DataType.INT, text="1"), name="one", label="one"),)
        stage = self._shard_stage(Select(items=items, sources=(source,)), ChunkSet.anywhere(), limit=None)
        return StageSource(id=source.id, alias=source.alias, stage=stage.name, columns=stage.columns)

    def _aggregated(self, select: Select, chunks: ChunkSet, sources: _Sources) -> Local | Gathered:
        grouped = {expr: d for expr in select.group_by if (d := director_of(expr, sources.keys)) is not None}
        if grouped:
            # A group never leaves its chunk.
            if select.order_by or select.top is not None or select.offset:
                return self._gathered_rows(select, chunks)
            keys = {item.label: grouped[item.expr] for item in select.items if item.expr in grouped}
            if not select.distinct or keys:
                return Local(select, chunks, keys)
            return self._gathered_rows(select, chunks)
        merge_id = next(self._ids)
        parts = aggregate.split(select, source=merge_id)
        shard = Select(
            items=parts.items,
            sources=select.sources,
            where=select.where,
            group_by=parts.group_by,
            distinct=parts.distinct,
        )
        stage = self._shard_stage(shard, chunks, limit=None)
        outer = map_expressions(replace(select, group_by=(), where=()), parts.to_merge)
        source = StageSource(id=merge_id, alias=stage.name, stage=stage.name, columns=stage.columns)
        return self._merge_stage(replace(outer, sources=(source,), group_by=parts.merge_groups))

    def _gathered_rows(self, select: Select, chunks: ChunkSet) -> Gathered:
        """Plan DISTINCT, ORDER BY, TOP and OFFSET: chunks send their own best rows, the merge takes the best of all."""
        merge_id = next(self._ids)
        items = list(select.items)
        for number, order in enumerate(select.order_by, start=1):
            if all(item.expr != order.expr for item in items):
                items.append(Item(expr=order.expr, name="", label=_order_label(number, items)))
        enough = None if select.top is None else select.top + select.offset
        shard = replace(select, items=tuple(items), top=enough, offset=0)
        if enough is None:
            shard = replace(shard, order_by=())
        limit = enough if not select.order_by and not select.distinct else None
        stage = self._shard_stage(shard, chunks, limit=limit)
        merged = {item.expr: ColumnRef(type=item.expr.type, source=merge_id, label=item.label) for item in items[::-1]}
        outer = Select(
            items=tuple(
                replace(item, expr=ColumnRef(type=item.expr.type, source=merge_id, label=item.label))
                for item in select.items
            ),
            sources=(StageSource(id=merge_id, alias=stage.name, stage=stage.name, columns=stage.columns),),
            order_by=tuple(OrderItem(expr=merged[o.expr], descending=o.descending) for o in select.order_by),
            distinct=select.distinct,
            top=select.top,
            offset=select.offset,
        )
        return self._merge_stage(outer)

    # stages

    def _shard_stage(self, select: Select, chunks: ChunkSet, *, limit: int | None) -> ShardStage:
        if len(select.items) > MAX_SENT_COLUMNS:
            raise LimitError(
                f"the query needs {len(select.items)} columns of a chunk, PostgreSQL answers at most {MAX_SENT_COLUMNS}"
            )
        rendering = Rendering(Engine.POSTGRES)
        stage = ShardStage(
            name=f"s{len(self.stages) + 1}",
            template=rendering.template(rendering.select(select)),
            family=chunks.family,
            chunks=chunks.kept,
            chunks_known=chunks.known,
            columns=_columns(select.items),
            row_limit=limit,
            reads=rendering.reads,
            notes=chunks.notes,
        )
        self.stages.append(stage)
        return stage

    def _merge_stage(self, select: Select) -> Gathered:
        rendering = Rendering(Engine.DUCKDB)
        text = rendering.select(select)
        stage = MergeStage(
            name=f"m{len(self.stages) + 1}", sql=text, columns=_columns(select.items), reads=rendering.reads
        )
        self.stages.append(stage)
        return Gathered(stage.name, stage.columns)


def _columns(items: Sequence[Item]) -> tuple[StageColumn, ...]:
    return tuple(StageColumn(label=item.label, type=item.expr.type or DataType.TEXT) for item in items)


def _order_label(number: int, items: Sequence[Item]) -> str:
    """Return a name for a column that only carries an order; a user may have taken the first choice."""
    taken = {item.label for item in items}
    label = f"_order_{number}"
    while label in taken:
        label = f"_{label}"
    return label


def _item_keys(select: Select, keys: Mapping[int, Keys]) -> dict[str, Director]:
    found = {item.label: director_of(item.expr, keys) for item in select.items}
    return {label: director for label, director in found.items() if director is not None}


def _is_aligned(operand: Expr, planned: Local, keys: Mapping[int, Keys]) -> bool:
    """Whether ``operand IN (planned)`` compares keys of one director, so that a chunk has all it needs."""
    director = director_of(operand, keys)
    return director is not None and planned.keys.get(planned.select.items[0].label) == director


def _set_of(planned: Local) -> Select:
    """Return a block with each of its values once; an order that cuts nothing off is dropped, DISTINCT forbids it."""
    if planned.whole:
        return planned.select
    return replace(planned.select, distinct=True, order_by=())


def _depends_on_all_rows(select: Select) -> bool:
    """Whether a part of the rows would give a wrong answer, not a part of the answer."""
    return select.is_aggregated or select.distinct or select.top is not None or select.offset > 0


def map_expressions(select: Select, change: Callable[[Expr], Expr]) -> Select:
    """Return a block with every expression of its own clauses changed."""
    return replace(
        select,
        items=tuple(replace(item, expr=change(item.expr)) for item in select.items),
        where=tuple(change(expr) for expr in select.where),
        group_by=tuple(change(expr) for expr in select.group_by),
        having=tuple(change(expr) for expr in select.having),
        order_by=tuple(replace(item, expr=change(item.expr)) for item in select.order_by),
    )
