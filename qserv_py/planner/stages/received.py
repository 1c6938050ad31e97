"""Rows of other chunks that come to a block: for each near source beyond the overlap, a stage that sends them."""

from __future__ import annotations

from collections.abc import Mapping

from qserv_py.adql.tree import ColumnRef, Select, Source
from qserv_py.planner.blocks.exchange import Exchange
from qserv_py.planner.blocks.near_sources import Near
from qserv_py.planner.blocks.parts import refs_by_source
from qserv_py.planner.blocks.sources import BlockSources
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.plan.query_plan import Exchanged
from qserv_py.planner.sky.keys import keys_of_table
from qserv_py.planner.stages.planning import Planning


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
