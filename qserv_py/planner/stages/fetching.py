"""Rows that a stage brings: those of one source to the czar, and those of near chunks to the chunks beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qserv_py.adql.tree import ColumnRef, Expr, Item, Select, Source, TableSource
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.planner.blocks.exchange import Exchange
from qserv_py.planner.blocks.near_sources import Near
from qserv_py.planner.blocks.parts import refs_by_source
from qserv_py.planner.blocks.sources import BlockSources
from qserv_py.planner.plan.nodes import SqlTemplate, StageSource
from qserv_py.planner.plan.query_plan import Exchanged
from qserv_py.planner.sky.chunks import ChunkSet
from qserv_py.planner.sky.keys import keys_of_table
from qserv_py.planner.stages.planning import Gathered, Local, Planning


def fetch(
    source: Source,
    planning: Planning,
    *,
    refs: Mapping[str, ColumnRef],
    conditions: Sequence[Expr] = (),
    chunks: ChunkSet | None = None,
) -> StageSource:
    """Return a source as the result of a stage that brings its rows.

    Parameters
    ----------
    source
        The source.
    planning
        Gets the stage.
    refs
        The columns that are read, by label.
    conditions
        Conditions on this source alone.
    chunks
        Where a sub-query has rows; those of a table are found.
    """
    items = tuple(Item(expr=ref, name=label, label=label) for label, ref in sorted(refs.items()))
    if not items:
        items = (Item(expr=SqlTemplate(type=DataType.INT, text="1"), name="one", label="one"),)
    block = Select(items=items, sources=(source,), where=tuple(conditions))
    name = source.table.qualified if isinstance(source, TableSource) else source.alias
    if isinstance(source, TableSource):
        planned = planning.query(block)
        if isinstance(planned, Gathered):
            raise InternalError("one table cannot be read by its chunks")
    else:
        planned = Local(block, chunks or ChunkSet.anywhere(), {})
    stage = planning.shard_stage(planned.select, planned.chunks, moves=name)
    return StageSource(id=source.id, alias=source.alias, stage=stage.name, columns=stage.columns)


def with_received(
    select: Select, sources: BlockSources, near: Mapping[int, Near], planning: Planning
) -> tuple[Source, ...]:
    """Plan the exchanges of a block; return its sources with the stages that bring rows of other chunks."""
    refs = refs_by_source(select)
    received = {}
    for one in near.values():
        if one.exchange is not None:
            received[one.link.near.id] = _received(one, one.exchange, refs.get(one.link.near.id, {}), planning)
    return tuple(
        near[source.id].source(received.get(source.id)) if source.id in near else source for source in sources.all
    )


def _received(near: Near, exchange: Exchange, refs: Mapping[str, ColumnRef], planning: Planning) -> StageSource:
    source = near.link.near
    block = exchange.block(refs, near.conditions_of_its_own())
    block, chunks = planning.pruning.prune(block, exchange.chunks, {source.id: keys_of_table(source)})
    sent = Exchanged(radius=near.link.radius, rows=exchange.rows)
    stage = planning.shard_stage(block, chunks, moves=source.table.qualified, exchange=sent)
    return StageSource(id=source.id, alias=stage.name, stage=stage.name, columns=stage.columns)
