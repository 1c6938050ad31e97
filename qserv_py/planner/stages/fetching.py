"""Rows that a stage brings: to the czar, to the chunks beside their own, or to the chunks whose rows they can meet.

``blocks.exchange`` says which rows chunks need of each other, and ``blocks.placing`` what ties a whole source to the
chunks: each chunk then gets only those of its rows that can meet its own. Here their stages are added to the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qserv_py.adql.tree import ColumnRef, Expr, Item, Select, Source, TableSource
from qserv_py.adql.walks import is_stable
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.planner.blocks.exchange import Exchange
from qserv_py.planner.blocks.near_sources import Near
from qserv_py.planner.blocks.parts import refs_by_source
from qserv_py.planner.blocks.placing import KeyRows, NearRows, Tie, column_of, tie_of
from qserv_py.planner.blocks.sources import BlockSources, own_conditions
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
    if not near:
        return tuple(sources.all)
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


def with_placed(select: Select, sources: BlockSources, planning: Planning, *, narrows: bool = True) -> Select:
    """Return a block whose chunks read only those rows of whole sources that can meet their own.

    ``narrows`` tells whether a chunk without rows of theirs can be left out; not where the block is a sub-query.
    """
    for source in select.sources:
        is_ref = isinstance(source, TableSource) and not source.table.is_partitioned
        if not isinstance(source, StageSource) and not is_ref:
            continue
        tie = tie_of(source.id, select, sources.partitioned, sources.keys)
        if tie is not None and not (is_ref and isinstance(tie.rows, KeyRows)):
            select = _placed(select, source, replace(tie, narrows=narrows and tie.narrows), planning)
    return select


def _placed(select: Select, source: Source, tie: Tie, planning: Planning) -> Select:
    """Return a block with one whole source placed: a ref table is brought to the czar before."""
    refs = refs_by_source(select).get(source.id, {})
    stage = source if isinstance(source, StageSource) else fetch(source, planning, refs=refs)
    own = [condition for condition in own_conditions(select, source.id) if is_stable(condition)]
    stage, labels = _with_columns(stage, refs, tie.rows.expressions, own, planning)
    placed = replace(stage, placing=tie.rows.placing(labels), narrows=tie.narrows)
    select = replace(select, sources=tuple(placed if one.id == source.id else one for one in select.sources))
    if isinstance(tie.rows, NearRows):
        return tie.added_to(select, tie.rows.same_cell(source.id))
    return select


def _with_columns(
    source: StageSource,
    refs: Mapping[str, ColumnRef],
    wanted: Mapping[str, Expr],
    conditions: Sequence[Expr],
    planning: Planning,
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
    stage = planning.merge_stage(Select(items=tuple(items), sources=(source,), where=tuple(conditions)))
    made = replace(source, stage=stage.stage, columns=stage.columns)
    return made, {**labels, **{name: name for name in computed}}
