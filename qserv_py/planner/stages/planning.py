"""One query while it is planned: its stages, in the order in which they run, are added here and nowhere else.

The modules that plan the kinds of blocks get a ``Planning``, add their stages to it, and ask it to plan the queries
that they find or make inside a block.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from qserv_py.adql.tree import ColumnRef, Item, Query, Select, TableSource
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.errors import LimitError
from qserv_py.planner.blocks.placing import narrowing, with_placed_lists
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.plan.query_plan import CzarStage, Exchanged, MergeStage, ShardStage, Stage
from qserv_py.planner.plan.slots import StageColumn
from qserv_py.planner.sky.chunks import ChunkSet, Pruning
from qserv_py.planner.stages.planned import Gathered, Local, Planned
from qserv_py.planner.writing.dialects import Engine
from qserv_py.planner.writing.sql_text import Rendering

MAX_SENT_COLUMNS = 1664
"""Columns that a PostgreSQL statement can answer."""


@dataclass(slots=True)
class Planning:
    """The state of one planning."""

    pruning: Pruning
    _plan: Callable[[Query, Planning], Planned]
    """Plans a query; its stages are added."""

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
        """Plan a query inside the one that is planned."""
        return self._plan(query, self)

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
        """Add a statement for each of some chunks; the keywords are the stage's ``row_limit`` and further members."""
        if len(select.items) > MAX_SENT_COLUMNS:
            raise LimitError(
                f"the query needs {len(select.items)} columns of a chunk, PostgreSQL answers at most {MAX_SENT_COLUMNS}"
            )
        rendering = Rendering(Engine.POSTGRES, narrowing=frozenset(narrowing(select)))
        if chunks.is_partitioned:
            select = with_placed_lists(select)
        stage = ShardStage(
            name=f"s{len(self.stages) + 1}",
            template=rendering.statement.template(rendering.select(select)),
            family=chunks.family,
            chunks=chunks.kept,
            chunks_known=chunks.known,
            columns=_columns(select.items),
            row_limit=limit,
            moves=moves,
            exchange=exchange,
            reads=tuple(rendering.statement.reads),
            notes=chunks.notes,
        )
        self.stages.append(stage)
        return stage

    def merge_stage(self, query: Query) -> Gathered:
        """Add a statement of the merge engine."""
        rendering = Rendering(Engine.DUCKDB)
        text = rendering.query(query)
        stage = MergeStage(
            name=f"m{len(self.stages) + 1}",
            sql=text,
            columns=_columns(query.items),
            reads=tuple(rendering.statement.reads),
        )
        self.stages.append(stage)
        return Gathered(stage.name, stage.columns)


def _columns(items: Sequence[Item]) -> tuple[StageColumn, ...]:
    return tuple(StageColumn(label=item.label, type=item.expr.type or DataType.TEXT) for item in items)
