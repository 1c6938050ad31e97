"""A resolved query to its plan.

A block is *local* when the union of its answers over the chunks is its answer: rows of one table, joins by the
director's key, groups that hold the key. Local blocks nest in one another inside the chunk query. Every other block is
*gathered*: chunks send rows or partial aggregates, a merge statement makes the answer, and the block around it reads
that answer: in the merge engine, or written into its own chunk queries.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from qserv_py.adql import tree
from qserv_py.adql.tree import (
    ColumnRef,
    ExistsQuery,
    Expr,
    InQuery,
    Item,
    OrderItem,
    Query,
    QuerySource,
    ResolvedQuery,
    ScalarQuery,
    Select,
    SetQuery,
    Source,
    TableSource,
    column_refs,
    rewrite,
)
from qserv_py.catalog.model import CzarTable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError, LimitError, QueryNotSupportedError
from qserv_py.planner import aggregate, count_star, joins
from qserv_py.planner.block_sources import (
    BlockSources,
    correlated_queries,
    holds_windows,
    item_keys,
    own_conditions,
    reading_near,
    tied_groups,
    with_tables_of,
)
from qserv_py.planner.blocks import (
    Carried,
    is_about_any,
    is_stable,
    looks_around,
    looks_inside,
    map_expressions,
    refs_by_source,
)
from qserv_py.planner.chunks import ChunkSet, Pruning
from qserv_py.planner.exchange import Exchange
from qserv_py.planner.keys import Director, Keys, are_joined, director_of, keys_of_table
from qserv_py.planner.near_sources import Near, plan_correlated, plan_near
from qserv_py.planner.neighbour_values import join_neighbour_values
from qserv_py.planner.neighbours import near_pairs
from qserv_py.planner.placing import KeyRows, NearRows, Tie, column_of, narrowing, tie_of, with_placed_lists
from qserv_py.planner.plan import (
    CzarStage,
    Exchanged,
    KeyCells,
    MergeStage,
    QueryPlan,
    ShardStage,
    Stage,
    StageColumn,
)
from qserv_py.planner.sql_text import (
    Engine,
    InStage,
    NearSource,
    Rendering,
    SqlTemplate,
    StageExists,
    StageSource,
    StageValue,
)
from qserv_py.planner.whole_sides import find_whole_side

SEMI_JOIN_ROWS = 100_000
"""Rows of a table, at the most, whose values are sent to the chunks of another before its rows are moved."""

BROADCAST_CHUNKS = 4
"""Rows that are brought to every chunk of another table at the most, as a multiple of that table's rows in a chunk."""

MAX_PAIRS = 200_000_000
"""Pairs of rows that the merge engine compares one by one at the most."""

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


@dataclass(frozen=True, slots=True)
class _InChunks:
    """A block that chunks can answer."""

    select: Select
    sources: BlockSources
    near: Mapping[int, Near]
    chunks: ChunkSet


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
        planner.answer(resolved.query)
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
        self.stages: list[Stage] = []
        self._planned: dict[int, Local | Gathered] = {}
        """Sub-queries in FROM by the id of their source: a block may be planned again in parts."""
        self._ids = itertools.count(1_000_000)

    def answer(self, query: Query) -> None:
        """Add the stages of the outermost query."""
        planned = self._query(query)
        if isinstance(planned, Local):
            self._shard_stage(planned.select, planned.chunks, limit=planned.select.top)

    def _query(self, query: Query) -> Local | Gathered:
        return self._block(query) if isinstance(query, Select) else self._set_query(query)

    def _block(self, select: Select) -> Local | Gathered:
        counted = count_star.from_registry(select, self.catalog)
        if counted is not None:
            return self._merge_stage(counted)
        select = join_neighbour_values(select, self._ids)
        found = self._sources(select)
        moved = replace(select, sources=tuple(found.all))
        placed = self._in_chunks(moved, found)
        if placed is None:
            return self._broadcast(moved, found) or self._in_parts(moved, found)
        sources, chunks = placed.sources, placed.chunks
        if not holds_windows(placed.select, chunks, sources):
            return self._rows_first(moved) if not looks_around(moved) else self._in_merge_engine(moved, found)
        select = replace(placed.select, sources=self._with_received(placed.select, sources, placed.near))
        select = self._with_placed(select, sources)
        select = self._plan_subqueries(select, sources)
        nullable = joins.nullable(select.joined)
        select, chunks = self.pruning.prune(select, chunks, sources.keys, nullable=nullable)
        # The key of a source that an outer join may replace by NULLs does not tell the chunk.
        known_keys = {source: keys for source, keys in sources.keys.items() if source not in nullable}
        keys = item_keys(select, known_keys)
        if chunks.runs_once:
            by_key = any(director_of(expr, known_keys) is not None for expr in select.group_by)
            partial = by_key and not (select.distinct or select.top is not None or select.offset)
            return Local(select, chunks, keys, whole=_depends_on_all_rows(select) and not partial)
        if select.is_aggregated:
            return self._aggregated(select, chunks, known_keys)
        if (select.distinct and not keys) or select.order_by or select.top is not None or select.offset:
            return self._gathered_rows(select, chunks)
        return Local(select, chunks, keys)

    def _in_chunks(self, select: Select, found: BlockSources) -> _InChunks | None:
        """Return how chunks answer a block with their own rows and those of chunks around them; None if they cannot."""
        select, near = plan_near(select, found.partitioned, found.keys, self.pruning)
        sources = reading_near(found, near)
        chunks = self._chunks(select, sources)
        if chunks is None or not self._holds_correlated(select, sources):
            return None
        return _InChunks(select, sources, near, chunks)

    def _set_query(self, query: SetQuery) -> Gathered:
        """Plan a set operation: both sides are gathered, the merge engine puts them together."""
        sides = [self._stage_of(self._query(side)) for side in (query.left, query.right)]
        left, right = (self._all_of(side, query.items) for side in sides)
        return self._merge_stage(replace(query, left=left, right=right))

    def _stage_of(self, planned: Local | Gathered) -> Gathered:
        return self._materialise(planned) if isinstance(planned, Local) else planned

    def _all_of(self, stage: Gathered, items: Sequence[Item]) -> Select:
        """Return the block that answers a stage's rows under the labels of some items."""
        number = next(self._ids)
        source = StageSource(id=number, alias=stage.stage, stage=stage.stage, columns=stage.columns)
        return Select(
            items=tuple(
                replace(item, expr=ColumnRef(type=column.type, source=number, label=column.label))
                for item, column in zip(items, stage.columns, strict=True)
            ),
            sources=(source,),
        )

    def _in_parts(self, select: Select, sources: BlockSources) -> Local | Gathered:
        """Plan a block that no chunk can answer: an outer join of it before the rest, or all in the merge engine."""
        side = find_whole_side(select, sources.chunks, sources.keys)
        if side is None:
            return self._in_merge_engine(select, sources)
        rows = side.rows()
        if not all(isinstance(source, StageSource) for source in rows.sources) or looks_inside(rows):
            rows = self._all_of(self._stage_of(self._block(rows)), rows.items)
        numbered = self._source_of(self._merge_stage(side.numbered(rows)))
        pairs = self._source_of(self._block(side.pairs(numbered)))
        return self._block(side.outer(numbered, pairs))

    def _rows_first(self, select: Select) -> Local | Gathered:
        """Plan a block whose windows look across chunks: chunks join the rows, the merge engine does the rest."""
        block = replace(select, sources=(), joined=None, where=())
        carried = Carried.of(ref for expr in tree.expressions(block) for ref in column_refs(expr))
        joined = Select(items=carried.items, sources=select.sources, joined=select.joined, where=select.where)
        rows = self._source_of(self._block(joined))
        return self._block(map_expressions(replace(block, sources=(rows,)), carried.read_from(rows.id)))

    def _source_of(self, planned: Local | Gathered) -> StageSource:
        stage = self._stage_of(planned)
        return StageSource(id=next(self._ids), alias=stage.stage, stage=stage.stage, columns=stage.columns)

    # sources

    def _sources(self, select: Select) -> BlockSources:
        found = BlockSources()
        for source in select.sources:
            if isinstance(source, TableSource) and isinstance(source.table, CzarTable):
                self._stage_source(self._czar_source(source), found)
            elif isinstance(source, TableSource):
                self._table_source(source, found)
            elif isinstance(source, StageSource):
                self._stage_source(source, found)
            elif isinstance(source, QuerySource):
                self._query_source(source, found, alone=len(select.sources) == 1)
            else:
                raise InternalError(f"source {source!r} is not planned")
        return found

    def _table_source(self, source: TableSource, found: BlockSources) -> None:
        found.all.append(source)
        if source.table.is_partitioned:
            found.partitioned.append(source)
            found.keys[source.id] = keys_of_table(source)
            found.chunks[source.id] = self.pruning.chunks_of_table(source)

    def _query_source(self, source: QuerySource, found: BlockSources, *, alone: bool) -> None:
        planned = self._planned.get(source.id)
        if planned is None:
            planned = self._query(source.query)
        if isinstance(planned, Local) and (alone or not planned.whole):
            self._planned[source.id] = planned
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
        self._stage_source(stage, found)

    def _stage_source(self, source: StageSource, found: BlockSources) -> None:
        found.all.append(source)
        found.gathered.append(source)

    def _czar_source(self, source: TableSource) -> StageSource:
        """Return a table of the czar as the result of a stage, which is there before the others."""
        stage = next((s for s in self.stages if isinstance(s, CzarStage) and s.table is source.table), None)
        if stage is None:
            columns = tuple(StageColumn(label=c.physical, type=c.datatype) for c in source.table.columns)
            rows = self.pruning.rows_of_ref(source)
            stage = CzarStage(name=f"c{len(self.stages) + 1}", table=source.table, columns=columns, rows=rows)
            self.stages.append(stage)
        return StageSource(id=source.id, alias=source.alias, stage=stage.name, columns=stage.columns)

    def _materialise(self, planned: Local) -> Gathered:
        stage = self._shard_stage(planned.select, planned.chunks, limit=None)
        return Gathered(stage.name, stage.columns)

    def _chunks(self, select: Select, sources: BlockSources) -> ChunkSet | None:
        """Return the chunks in which a block has rows; None when no chunk alone can join its sources."""
        if sources.gathered and not sources.partitioned:
            return None
        if select.joined is not None:
            placed = joins.place(select.joined, sources.chunks, sources.keys)
            return None if placed is None else placed.chunks
        if not sources.partitioned:
            return ChunkSet.anywhere()
        anchors = [source for source in sources.partitioned if not isinstance(source, NearSource)]
        if not are_joined(anchors, sources.keys, select.where):
            return None
        return reduce(lambda a, b: a & b, (sources.chunks[source.id] for source in anchors))

    def _with_received(self, select: Select, sources: BlockSources, near: Mapping[int, Near]) -> tuple[Source, ...]:
        """Plan the exchanges of a block; return its sources with the stages that bring rows of other chunks."""
        refs = refs_by_source(select)
        received = {}
        for one in near.values():
            if one.exchange is not None:
                received[one.link.near.id] = self._exchange(one, one.exchange, refs.get(one.link.near.id, {}))
        return tuple(
            near[source.id].source(received.get(source.id)) if source.id in near else source for source in sources.all
        )

    def _exchange(self, near: Near, exchange: Exchange, refs: Mapping[str, ColumnRef]) -> StageSource:
        source = near.link.near
        block = exchange.block(refs, near.conditions_of_its_own())
        chunks = exchange.chunks
        block, chunks = self.pruning.prune(block, chunks, {source.id: keys_of_table(source)})
        sent = Exchanged(radius=near.link.radius, rows=exchange.rows)
        stage = self._shard_stage(block, chunks, limit=None, moves=source.table.qualified, exchange=sent)
        return StageSource(id=source.id, alias=stage.name, stage=stage.name, columns=stage.columns)

    def _with_placed(self, select: Select, sources: BlockSources, *, narrows: bool = True) -> Select:
        """Let each chunk read only those rows of whole sources that can meet its own."""
        for source in select.sources:
            is_ref = isinstance(source, TableSource) and not source.table.is_partitioned
            if not isinstance(source, StageSource) and not is_ref:
                continue
            tie = tie_of(source.id, select, sources.partitioned, sources.keys)
            if tie is not None and not (is_ref and isinstance(tie.rows, KeyRows)):
                select = self._placed(select, source, replace(tie, narrows=narrows and tie.narrows))
        return select

    def _placed(self, select: Select, source: Source, tie: Tie) -> Select:
        """Return a block with one whole source placed: a ref table is brought to the czar before."""
        refs = refs_by_source(select).get(source.id, {})
        stage = source if isinstance(source, StageSource) else self._fetch(source, refs, (), None)
        own = [condition for condition in own_conditions(select, source.id) if is_stable(condition)]
        stage, labels = self._with_columns(stage, refs, tie.rows.expressions, own)
        placed = replace(stage, placing=tie.rows.placing(labels), narrows=tie.narrows)
        select = replace(select, sources=tuple(placed if one.id == source.id else one for one in select.sources))
        if isinstance(tie.rows, NearRows):
            return tie.added_to(select, tie.rows.same_cell(source.id))
        return select

    def _with_columns(
        self,
        source: StageSource,
        refs: Mapping[str, ColumnRef],
        wanted: Mapping[str, Expr],
        conditions: Sequence[Expr],
    ) -> tuple[StageSource, dict[str, str]]:
        """Return a stage that has expressions over its columns as columns, and the label of each.

        They are computed for the rows that fulfil the block's own conditions on the source: 1 / x where x > 0.
        """
        labels = {name: label for name, expr in wanted.items() if (label := column_of(expr)) is not None}
        computed = {name: expr for name, expr in wanted.items() if name not in labels}
        if not computed:
            return source, labels
        items = [Item(expr=ref, name=label, label=label) for label, ref in refs.items()]
        items += [Item(expr=expr, name=name, label=name) for name, expr in computed.items()]
        stage = self._merge_stage(Select(items=tuple(items), sources=(source,), where=tuple(conditions)))
        made = replace(source, stage=stage.stage, columns=stage.columns)
        return made, {**labels, **{name: name for name in computed}}

    # sub-queries in expressions

    def _holds_correlated(self, select: Select, sources: BlockSources) -> bool:
        """Whether a chunk holds all that the block's correlated sub-queries ask for."""
        anchors = [source for source in sources.partitioned if not isinstance(source, NearSource)]
        return all(self._is_at_home(query, select, anchors, sources.keys) for query in correlated_queries(select))

    def _is_at_home(self, query: Query, around: Select, anchors: Sequence[Source], keys: Mapping[int, Keys]) -> bool:
        """Whether the rows that a correlated sub-query looks at stand in the chunk of the row around it, or near it."""
        if isinstance(query, SetQuery) or query.joined is not None:
            return False
        if not all(isinstance(source, TableSource) for source in query.sources):
            return False
        near = plan_correlated(query, around, anchors, keys, self.pruning)
        if near is None:
            return False
        inner_anchors, inner_keys = with_tables_of(query, anchors, keys, near)
        return all(self._is_at_home(inner, query, inner_anchors, inner_keys) for inner in correlated_queries(query))

    def _plan_subqueries(self, select: Select, sources: BlockSources | None) -> Select:
        """Plan the sub-queries in a block's expressions; with ``sources`` None the block runs where no chunk is."""
        keys = sources.keys if sources is not None and sources.partitioned else None
        if keys is not None:
            # NULL NOT IN () is true, NULL NOT IN (7) is not: a chunk cannot tell for a row without a key of its own.
            without = joins.nullable(select.joined) | (sources.nullable if sources is not None else frozenset())
            keys = {source: known for source, known in keys.items() if source not in without}

        def change(expr: Expr) -> Expr | None:
            if not isinstance(expr, (InQuery, ExistsQuery, ScalarQuery)):
                return None
            if isinstance(expr, InQuery):
                expr = replace(expr, operand=rewrite(expr.operand, change))
            if tree.free_refs(expr.query):
                return self._correlated(expr, select, sources)
            return self._plan_subquery(expr, keys, inline=sources is not None)

        return map_expressions(select, lambda expr: rewrite(expr, change))

    def _correlated(
        self, expr: InQuery | ExistsQuery | ScalarQuery, around: Select, sources: BlockSources | None
    ) -> Expr:
        """Plan what stands inside a correlated sub-query; it stays where it is."""
        query = expr.query
        if sources is None:
            return replace(expr, query=self._moved(query))
        if not isinstance(query, Select):
            raise InternalError("a correlated set operation in a chunk query")
        anchors = [source for source in sources.partitioned if not isinstance(source, NearSource)]
        near = plan_correlated(query, around, anchors, sources.keys, self.pruning)
        if near is None:
            raise InternalError("a correlated sub-query whose rows stand in other chunks")
        placed = tuple(
            self._czar_source(source)
            if isinstance(source, TableSource) and isinstance(source.table, CzarTable)
            else source
            for source in query.sources
        )
        inner = BlockSources(all=list(placed), nullable=sources.nullable | joins.nullable(around.joined))
        inner.partitioned, inner.keys = with_tables_of(query, anchors, sources.keys, near)
        query = replace(query, sources=self._with_received(query, inner, near))
        query = self.pruning.prune_near(query, around)
        buckets = tuple(bucket for one in near.values() for bucket in one.link.bucket)
        query = replace(query, where=(*query.where, *buckets))
        query = self._with_placed(query, inner, narrows=False)
        return replace(expr, query=self._plan_subqueries(query, inner))

    def _plan_subquery(
        self, expr: InQuery | ExistsQuery | ScalarQuery, keys: Mapping[int, Keys] | None, *, inline: bool
    ) -> Expr:
        """Plan a sub-query that does not look around itself: inside the chunk query, or before it."""
        query = expr.query
        if isinstance(expr, ExistsQuery) and isinstance(query, Select) and not _depends_on_all_rows(query):
            query = replace(query, top=1, order_by=())
        planned = self._query(query)
        if isinstance(planned, Local) and inline and not planned.whole:
            operand = expr.operand if isinstance(expr, InQuery) else None
            aligned = operand is not None and keys is not None and _is_aligned(operand, planned, keys)
            if aligned or not planned.chunks.is_partitioned:
                return replace(expr, query=planned.select)
        if isinstance(planned, Local):
            if isinstance(expr, InQuery):
                # IN asks whether a value is there, not how often.
                planned = replace(planned, select=_set_of(planned))
            planned = self._materialise(planned)
        if isinstance(expr, ExistsQuery):
            return StageExists(type=DataType.BOOLEAN, stage=planned.stage, columns=planned.columns)
        if isinstance(expr, ScalarQuery):
            return StageValue(type=expr.type, stage=planned.stage, column=planned.columns[0])
        return InStage(
            type=DataType.BOOLEAN,
            operand=expr.operand,
            stage=planned.stage,
            column=planned.columns[0],
            offset=expr.offset,
        )

    # blocks that no chunk can answer with its own rows

    def _broadcast(self, select: Select, sources: BlockSources) -> Local | Gathered | None:
        """Plan a block by bringing its small tables to the chunks of a large one; None when that does not pay.

        Each chunk reads all that is brought, so it pays up to some times the rows of a chunk.
        """
        tables = [source for source in sources.partitioned if isinstance(source, TableSource)]
        if len(tables) < len(sources.partitioned) or len(tables) < 2:
            return None
        ties = [*select.where, *(tree.join_conditions(select.joined) if select.joined is not None else ())]
        groups = tied_groups(tables, ties, sources.keys, self.catalog)
        read = {source.id: self._rows(source, select) for source in tables}
        large = max(groups, key=lambda group: max(read[source.id] for source in group))
        small = [source for source in tables if source not in large]
        chunks = max(1, len(self.pruning.reach_of(large[0], select)[0].kept))
        in_chunk = max(read[source.id] for source in large) / chunks
        if not small or sum(read[source.id] for source in small) > BROADCAST_CHUNKS * in_chunk:
            return None
        left = BlockSources(
            all=sources.all,
            partitioned=list(large),
            gathered=sources.gathered,
            chunks={source.id: sources.chunks[source.id] for source in large},
            keys={source.id: sources.keys[source.id] for source in large},
        )
        placed = self._in_chunks(select, left)
        if placed is None and find_whole_side(select, left.chunks, left.keys) is not None:
            # The small tables are kept by an outer join: their pairs with the large ones come from the chunks.
            self._check_pairs(select, sources)
            return self._block(self._with_brought(select, small, sources))
        if placed is None or not holds_windows(placed.select, placed.chunks, placed.sources):
            return None
        self._check_pairs(select, sources)
        return self._block(self._with_brought(select, small, sources))

    def _with_brought(self, select: Select, small: Sequence[TableSource], sources: BlockSources) -> Select:
        """Return a block with some tables read by stages before it."""
        refs = refs_by_source(select)
        brought: dict[int, StageSource] = {}
        kept = list(select.where)
        for source in small:
            own = own_conditions(select, source.id)
            brought[source.id] = self._fetch(source, refs.get(source.id, {}), own, sources.chunks[source.id])
            kept = [c for c in kept if all(c is not one for one in own)]
        return replace(select, sources=tuple(brought.get(s.id, s) for s in select.sources), where=tuple(kept))

    # blocks that the merge engine answers

    def _in_merge_engine(self, select: Select, sources: BlockSources) -> Gathered:
        """Plan a block that no chunk can answer: the columns it reads are brought to the merge engine."""
        self._check_pairs(select, sources)
        refs = refs_by_source(select)
        placed: dict[int, StageSource] = {}
        small: dict[int, Select] = {}
        kept = list(select.where)
        # The smallest first: the values that it has to offer cut down what is brought of the others.
        for rows, source in sorted(((self._rows(s, select), s) for s in select.sources), key=lambda pair: pair[0]):
            if isinstance(source, StageSource):
                placed[source.id] = source
                continue
            own = own_conditions(select, source.id)
            lists = self._semi_joins(source.id, select.where, small) if isinstance(source, TableSource) else []
            known = sources.chunks.get(source.id)
            placed[source.id] = self._fetch(source, refs.get(source.id, {}), [*own, *lists], known)
            kept = [c for c in kept if all(c is not one for one in own)]
            if rows <= SEMI_JOIN_ROWS and select.joined is None:
                small[source.id] = Select(items=(), sources=(source,), where=tuple(own), distinct=True)
        moved = replace(select, sources=tuple(placed[s.id] for s in select.sources), where=tuple(kept))
        return self._merge_stage(self._plan_subqueries(moved, None))

    def _semi_joins(self, source: int, conditions: Sequence[Expr], small: Mapping[int, Select]) -> list[Expr]:
        """Return the conditions that a row of a source has a partner in one of the small tables, by their values."""
        found: list[Expr] = []
        for condition in conditions:
            if not isinstance(condition, tree.Comparison) or condition.operator != "=":
                continue
            for mine, other in ((condition.left, condition.right), (condition.right, condition.left)):
                if isinstance(other, ColumnRef) and other.source in small and is_about_any(mine, {source}):
                    item = Item(expr=other, name=other.label, label=other.label)
                    values = self._stage_of(self._block(replace(small[other.source], items=(item,))))
                    found.append(
                        InStage(type=DataType.BOOLEAN, operand=mine, stage=values.stage, column=values.columns[0])
                    )
        return found

    def _rows(self, source: Source, select: Select) -> int:
        """Return how many rows of a source a block may read; of anything but a table that is not known."""
        if not isinstance(source, TableSource):
            return sys.maxsize
        if not source.table.is_partitioned:
            return self.pruning.rows_of_ref(source)
        return self.pruning.rows_of(source, replace(select, where=tuple(own_conditions(select, source.id))))

    def _check_pairs(self, select: Select, sources: BlockSources) -> None:
        """Refuse to compare every row of one large table with every row of another."""
        conditions = [*select.where, *(tree.join_conditions(select.joined) if select.joined is not None else ())]
        large = [source for source in sources.partitioned if isinstance(source, TableSource)]
        self._check_product(large, conditions, select, sources)
        for query in correlated_queries(select):
            if isinstance(query, Select):
                around = {ref.source for ref in tree.free_refs(query)}
                inner = [s for s in query.sources if isinstance(s, TableSource) and s.table.is_partitioned]
                pairs = [*(source for source in large if source.id in around), *inner]
                self._check_product(pairs, [*conditions, *query.where], select, sources)

    def _check_product(
        self, large: Sequence[TableSource], conditions: Sequence[Expr], select: Select, sources: BlockSources
    ) -> None:
        """Refuse too many pairs of rows of tables that no equality connects."""
        pairs = 1
        for group in joins.unconnected(large, conditions):
            pairs *= max(self._rows(source, select) for source in group)
        if len(large) < 2 or pairs <= MAX_PAIRS:
            return
        names = ", ".join(f'"{source.alias}"' for source in large)
        near = near_pairs(large, conditions)
        if near:
            radius = max(pair.radius for pair in near)
            raise QueryNotSupportedError(
                f"too many rows of {names} are within {radius:.3g} deg of each other: {pairs:.1e} pairs to look at",
                hint="Take a smaller radius, or restrict one side by place or by id.",
            )
        raise QueryNotSupportedError(
            f"{names} are not joined by an equality, so {pairs:.1e} pairs of rows would have to be compared",
            hint=self._join_hint(sources) or "Join them by an equality, or restrict each of them by place or by id.",
        )

    def _join_hint(self, sources: BlockSources) -> str:
        keys: dict[Director, list[str]] = {}
        for source in sources.partitioned:
            for label, director in sources.keys.get(source.id, {}).items():
                keys.setdefault(director, []).append(f"{source.alias}.{label}")
        pair = next((shared[:2] for shared in keys.values() if len(shared) > 1), None)
        return f"Join them by the director's key: {' = '.join(pair)}." if pair else ""

    def _moved(self, query: Query) -> Query:
        """Return a correlated sub-query with its tables brought to the merge engine."""
        if isinstance(query, SetQuery):
            return replace(query, left=self._moved(query.left), right=self._moved(query.right))
        sources = self._sources(query)
        refs = refs_by_source(query)
        placed = [
            source
            if isinstance(source, StageSource)
            else self._fetch(source, refs.get(source.id, {}), (), sources.chunks.get(source.id))
            for source in sources.all
        ]
        return self._plan_subqueries(replace(query, sources=tuple(placed)), None)

    def _fetch(
        self, source: Source, refs: Mapping[str, ColumnRef], conditions: Sequence[Expr], chunks: ChunkSet | None
    ) -> StageSource:
        """Bring the rows of a source to the merge engine: the columns that are read, the rows that conditions leave."""
        items = tuple(Item(expr=ref, name=label, label=label) for label, ref in sorted(refs.items()))
        if not items:
            items = (Item(expr=SqlTemplate(type=DataType.INT, text="1"), name="one", label="one"),)
        block = Select(items=items, sources=(source,), where=tuple(conditions))
        name = source.table.qualified if isinstance(source, TableSource) else source.alias
        if isinstance(source, TableSource):
            planned = self._block(block)
            if isinstance(planned, Gathered):
                raise InternalError("one table cannot be read by its chunks")
        else:
            planned = Local(block, chunks or ChunkSet.anywhere(), {})
        stage = self._shard_stage(planned.select, planned.chunks, limit=None, moves=name)
        return StageSource(id=source.id, alias=source.alias, stage=stage.name, columns=stage.columns)

    def _aggregated(self, select: Select, chunks: ChunkSet, keys: Mapping[int, Keys]) -> Local | Gathered:
        grouped = {expr: d for expr in select.group_by if (d := director_of(expr, keys)) is not None}
        if grouped:
            # A group never leaves its chunk.
            if select.order_by or select.top is not None or select.offset:
                return self._gathered_rows(select, chunks)
            shown = {item.label: grouped[item.expr] for item in select.items if item.expr in grouped}
            if not select.distinct or shown:
                return Local(select, chunks, shown)
            return self._gathered_rows(select, chunks)
        merge_id = next(self._ids)
        parts = aggregate.split(select, source=merge_id)
        shard = Select(
            items=parts.items,
            sources=select.sources,
            joined=select.joined,
            where=select.where,
            group_by=parts.group_by,
            distinct=parts.distinct,
        )
        stage = self._shard_stage(shard, chunks, limit=None)
        outer = map_expressions(replace(select, group_by=(), where=(), joined=None), parts.to_merge)
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

    def _shard_stage(
        self,
        select: Select,
        chunks: ChunkSet,
        *,
        limit: int | None,
        moves: str = "",
        exchange: Exchanged | None = None,
    ) -> ShardStage:
        if len(select.items) > MAX_SENT_COLUMNS:
            raise LimitError(
                f"the query needs {len(select.items)} columns of a chunk, PostgreSQL answers at most {MAX_SENT_COLUMNS}"
            )
        rendering = Rendering(Engine.POSTGRES, narrowing=frozenset(narrowing(select)))
        if chunks.is_partitioned:
            select = with_placed_lists(select)
        stage = ShardStage(
            name=f"s{len(self.stages) + 1}",
            template=rendering.template(rendering.select(select)),
            family=chunks.family,
            chunks=chunks.kept,
            chunks_known=chunks.known,
            columns=_columns(select.items),
            row_limit=limit,
            moves=moves,
            exchange=exchange,
            reads=rendering.reads,
            notes=chunks.notes,
        )
        self.stages.append(stage)
        return stage

    def _merge_stage(self, query: Query) -> Gathered:
        rendering = Rendering(Engine.DUCKDB)
        text = rendering.query(query)
        stage = MergeStage(
            name=f"m{len(self.stages) + 1}", sql=text, columns=_columns(query.items), reads=rendering.reads
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
