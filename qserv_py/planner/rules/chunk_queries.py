"""Blocks that each chunk answers with its rows; the merge engine puts groups, orders and first rows together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qserv_py.adql import walks
from qserv_py.adql.tree import ColumnRef, Item, OrderItem, Select
from qserv_py.adql.walks import is_aggregated, nullable
from qserv_py.planner.blocks.parts import map_expressions
from qserv_py.planner.blocks.sources import holds_windows
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.sky.chunks import ChunkSet
from qserv_py.planner.sky.keys import Keys, item_keys, key_of, keys_of_rows, tells_chunk
from qserv_py.planner.stages import aggregate
from qserv_py.planner.stages.fetching import with_placed, with_received
from qserv_py.planner.stages.planning import Block, Gathered, Local, Planned, Planning, depends_on_all_rows
from qserv_py.planner.stages.subqueries import plan_subqueries


def chunk_queries(block: Block) -> Planned | None:
    """Plan a block that chunks can answer: whether their answers are the whole answer depends on what it asks for."""
    placed, planning = block.in_chunks, block.planning
    if placed is None or not holds_windows(placed.select, placed.chunks, placed.sources):
        return None
    sources = placed.sources
    select = replace(placed.select, sources=with_received(placed.select, sources, placed.near, planning))
    select = with_placed(select, sources, planning)
    if walks.inner_queries(select):
        select = plan_subqueries(select, sources, planning)
    padded = nullable(select.joined)
    select, chunks = planning.pruning.prune(select, placed.chunks, sources.keys, nullable=padded)
    known_keys = keys_of_rows(select, sources.keys)
    keys = item_keys(select, known_keys)
    if chunks.runs_once:
        by_key = any(tells_chunk(expr, known_keys) for expr in select.group_by)
        partial = by_key and not (select.distinct or select.top is not None or select.offset)
        return Local(select, chunks, keys, whole=depends_on_all_rows(select) and not partial)
    if is_aggregated(select):
        return _merged_groups(select, chunks, known_keys, planning)
    repeated = select.distinct and not any(key.tells_chunk for key in keys.values())
    if repeated or select.order_by or select.top is not None or select.offset:
        return _merged_rows(select, chunks, planning)
    return Local(select, chunks, keys)


def _merged_groups(select: Select, chunks: ChunkSet, keys: Mapping[int, Keys], planning: Planning) -> Planned:
    """Plan an aggregated block: a group that holds the key never leaves its chunk, others are put together."""
    grouped = {expr: key for expr in select.group_by if tells_chunk(expr, keys) and (key := key_of(expr, keys))}
    if grouped:
        shown = {item.label: grouped[item.expr] for item in select.items if item.expr in grouped}
        cut = select.order_by or select.top is not None or select.offset
        if cut or (select.distinct and not shown):
            return _merged_rows(select, chunks, planning)
        return Local(select, chunks, shown)
    merge_id = next(planning.ids)
    parts = aggregate.split(select, source=merge_id)
    shard = Select(
        items=parts.items,
        sources=select.sources,
        joined=select.joined,
        where=select.where,
        group_by=parts.group_by,
        distinct=parts.distinct,
    )
    stage = planning.shard_stage(shard, chunks)
    outer = map_expressions(replace(select, group_by=(), where=(), joined=None), parts.to_merge)
    source = StageSource(id=merge_id, alias=stage.name, stage=stage.name, columns=stage.columns)
    return planning.merge_stage(replace(outer, sources=(source,), group_by=parts.merge_groups))


def _merged_rows(select: Select, chunks: ChunkSet, planning: Planning) -> Gathered:
    """Plan DISTINCT, ORDER BY, TOP and OFFSET: chunks send their own best rows, the merge takes the best of all."""
    items = _with_order(select)
    enough = None if select.top is None else select.top + select.offset
    shard = replace(select, items=tuple(items), top=enough, offset=0)
    if enough is None:
        shard = replace(shard, order_by=())
    merge_id = next(planning.ids)
    limit = enough if not select.order_by and not select.distinct else None
    stage = planning.shard_stage(shard, chunks, limit=limit)
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
    return planning.merge_stage(outer)


def _with_order(select: Select) -> list[Item]:
    """Return the items of a block and those by which it is ordered."""
    items = list(select.items)
    for number, order in enumerate(select.order_by, start=1):
        if all(item.expr != order.expr for item in items):
            items.append(Item(expr=order.expr, name="", label=_order_label(number, items)))
    return items


def _order_label(number: int, items: Sequence[Item]) -> str:
    """Return a name for a column that only carries an order; a user may have taken the first choice."""
    taken = {item.label for item in items}
    label = f"_order_{number}"
    while label in taken:
        label = f"_{label}"
    return label
