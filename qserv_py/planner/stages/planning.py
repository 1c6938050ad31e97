"""One query while it is planned: its stages, in the order in which they run, are added here and nowhere else.

The modules that plan the kinds of blocks get a ``Planning``, add their stages to it, and ask it to plan the queries
that they find or make inside a block.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from qserv_py.adql.tree import ColumnRef, Item, Query, QuerySource, Select, TableSource
from qserv_py.adql.walks import is_aggregated
from qserv_py.catalog.model import CzarTable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.planner.blocks.placing import narrowing, with_placed_lists
from qserv_py.planner.blocks.sources import BlockSources, InChunks, in_chunks
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.plan.query_plan import CzarStage, Exchanged, MergeStage, ShardStage, Stage
from qserv_py.planner.plan.slots import StageColumn
from qserv_py.planner.sky.chunks import ChunkSet, Pruning
from qserv_py.planner.sky.keys import Keys, keys_of_table
from qserv_py.planner.writing.dialects import DUCKDB
from qserv_py.planner.writing.statement import MergeStatement


@dataclass(frozen=True, slots=True)
class Local:
    """A block that chunk queries can hold whole."""

    select: Select
    chunks: ChunkSet
    keys: Keys
    """Labels of the items that are keys."""

    whole: bool = False
    """Whether the answer is whole only because one statement makes it: chunks of another block must not repeat it."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A block whose rows are the result of a stage."""

    stage: str
    columns: tuple[StageColumn, ...]


Planned = Local | Gathered
"""Either."""


def depends_on_all_rows(select: Select) -> bool:
    """Whether a part of the rows would give a wrong answer, not a part of the answer."""
    return is_aggregated(select) or select.distinct or select.top is not None or select.offset > 0


@dataclass(slots=True)
class Planning:
    """The state of one planning."""

    pruning: Pruning
    rules: Sequence[Rule]
    """Asked in their order how a query is answered."""

    stages: list[Stage] = field(default_factory=list)
    sources: dict[int, Local] = field(default_factory=dict)
    """Sub-queries in FROM by the id of their source: a block may be planned again in parts."""

    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1_000_000))
    """Ids of the sources that planning makes."""

    @property
    def catalog(self) -> Catalog:
        """The catalogue."""
        return self.pruning.catalog

    def query(self, query: Query) -> Planned:
        """Plan a query, or one inside it: the first rule that knows how adds its stages."""
        block = Block(query, self)
        for rule in self.rules:
            planned = rule(block)
            if planned is not None:
                return planned
        raise InternalError("no rule plans the block")

    def gathered(self, planned: Planned) -> Gathered:
        """Return a planned block as the result of a stage."""
        if isinstance(planned, Gathered):
            return planned
        stage = self.shard_stage(planned.select, planned.chunks)
        return Gathered(stage.name, stage.columns)

    def source_of(self, planned: Planned) -> StageSource:
        """Return the rows of a planned block as a source."""
        stage = self.gathered(planned)
        return StageSource(id=next(self.ids), alias=stage.stage, stage=stage.stage, columns=stage.columns)

    def all_of(self, planned: Planned, items: Sequence[Item]) -> Select:
        """Return the block that answers the rows of a planned one under the labels of some items."""
        source = self.source_of(planned)
        return Select(
            items=tuple(
                replace(item, expr=ColumnRef(type=column.type, source=source.id, label=column.label))
                for item, column in zip(items, source.columns, strict=True)
            ),
            sources=(source,),
        )

    def czar_source(self, source: TableSource) -> StageSource:
        """Return a table of the czar as the result of a stage, which is there before the others."""
        stage = next((s for s in self.stages if isinstance(s, CzarStage) and s.table is source.table), None)
        if stage is None:
            columns = tuple(StageColumn(label=c.physical, type=c.datatype) for c in source.table.columns)
            rows = self.pruning.rows_of_ref(source)
            stage = CzarStage(name=f"c{len(self.stages) + 1}", table=source.table, columns=columns, rows=rows)
            self.stages.append(stage)
        return StageSource(id=source.id, alias=source.alias, stage=stage.name, columns=stage.columns)

    def shard_stage(
        self,
        select: Select,
        chunks: ChunkSet,
        *,
        limit: int | None = None,
        moves: str = "",
        exchange: Exchanged | None = None,
    ) -> ShardStage:
        """Add a block that is asked of each of some chunks; the keywords are members of the stage."""
        stage = ShardStage(
            name=f"s{len(self.stages) + 1}",
            select=with_placed_lists(select) if chunks.is_partitioned else select,
            narrowing=frozenset(narrowing(select)),
            family=chunks.family,
            chunks=chunks.kept,
            chunks_known=chunks.known,
            columns=_columns(select.items),
            row_limit=limit,
            moves=moves,
            exchange=exchange,
            notes=chunks.notes,
        )
        self.stages.append(stage)
        return stage

    def merge_stage(self, query: Query) -> Gathered:
        """Add a statement of the merge engine."""
        statement = MergeStatement(DUCKDB)
        stage = MergeStage(
            name=f"m{len(self.stages) + 1}",
            sql=statement.query(query),
            columns=_columns(query.items),
            reads=tuple(statement.reads),
        )
        self.stages.append(stage)
        return Gathered(stage.name, stage.columns)


@dataclass
class Block:
    """A query on its way through the rules; what several of them ask of it is found once."""

    query: Query
    planning: Planning

    @property
    def written(self) -> Select:
        """The block as it was written, or as the rule before left it."""
        assert isinstance(self.query, Select)
        return self.query

    @cached_property
    def sources(self) -> BlockSources:
        """Its sources, sorted by what answers them; sub-queries in FROM have been planned."""
        return find_sources(self.written, self.planning)

    @cached_property
    def select(self) -> Select:
        """The block with these sources."""
        return replace(self.written, sources=tuple(self.sources.all))

    @cached_property
    def in_chunks(self) -> InChunks | None:
        """How chunks answer its joins and conditions; None if they cannot."""
        return in_chunks(self.select, self.sources, self.planning.pruning)


Rule = Callable[[Block], Planned | None]
"""Plans a block, or returns None when it is not about it."""


def find_sources(select: Select, planning: Planning) -> BlockSources:
    """Return the sources of a block, sorted by what answers them."""
    found = BlockSources()
    for source in select.sources:
        if isinstance(source, TableSource) and isinstance(source.table, CzarTable):
            found.add_stage(planning.czar_source(source))
        elif isinstance(source, TableSource):
            _add_table(source, found, planning)
        elif isinstance(source, StageSource):
            found.add_stage(source)
        elif isinstance(source, QuerySource):
            _add_query(source, found, planning, alone=len(select.sources) == 1)
        else:
            raise InternalError(f"source {source!r} is not planned")
    return found


def _add_table(source: TableSource, found: BlockSources, planning: Planning) -> None:
    found.all.append(source)
    if source.table.is_partitioned:
        found.partitioned.append(source)
        found.keys[source.id] = keys_of_table(source)
        found.chunks[source.id] = planning.pruning.chunks_of_table(source)


def _add_query(source: QuerySource, found: BlockSources, planning: Planning, *, alone: bool) -> None:
    """Add a sub-query: as a part of the chunk queries where they can hold it, else as the result of a stage."""
    planned = planning.sources.get(source.id) or planning.query(source.query)
    if isinstance(planned, Gathered) or (planned.whole and not alone):
        stage = planning.gathered(planned)
        found.add_stage(StageSource(id=source.id, alias=source.alias, stage=stage.stage, columns=stage.columns))
        return
    planning.sources[source.id] = planned
    inner = replace(source, query=planned.select)
    found.all.append(inner)
    if planned.chunks.is_partitioned:
        found.partitioned.append(inner)
        found.keys[source.id] = planned.keys
        found.chunks[source.id] = planned.chunks


def _columns(items: Sequence[Item]) -> tuple[StageColumn, ...]:
    return tuple(StageColumn(label=item.label, type=item.expr.type or DataType.TEXT) for item in items)
