"""A resolved query to its plan.

A block is *local* when the union of its answers over the chunks is its answer: rows of one table, joins by the
director's key, groups that hold the key. Local blocks nest in one another inside the chunk query. Every other block is
*gathered*: chunks send rows or partial aggregates, a merge statement makes the answer, and the block around it reads
that answer: in the merge engine, or written into its own chunk queries.
"""

from __future__ import annotations

from dataclasses import replace

from qserv_py.adql import walks
from qserv_py.adql.tree import Query, ResolvedQuery, Select, SetQuery
from qserv_py.adql.walks import column_refs, is_aggregated, nullable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import LimitError, QueryNotSupportedError
from qserv_py.planner.blocks.parts import Carried, looks_around, looks_inside, map_expressions
from qserv_py.planner.blocks.sources import BlockSources, holds_windows, item_keys, keys_of_rows
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.plan.query_plan import KeyCells, QueryPlan
from qserv_py.planner.rules import count_star
from qserv_py.planner.rules.broadcast import with_small_brought
from qserv_py.planner.rules.in_chunks import InChunks, in_chunks
from qserv_py.planner.rules.in_merge_engine import in_merge_engine
from qserv_py.planner.rules.merged_blocks import merged_groups, merged_rows
from qserv_py.planner.rules.neighbour_values import join_neighbour_values
from qserv_py.planner.rules.whole_sides import find_whole_side
from qserv_py.planner.sky.chunks import Pruning
from qserv_py.planner.sky.keys import tells_chunk
from qserv_py.planner.stages.find_sources import find_sources
from qserv_py.planner.stages.placed_sources import with_placed
from qserv_py.planner.stages.planned import Gathered, Local, Planned, depends_on_all_rows
from qserv_py.planner.stages.planning import Planning
from qserv_py.planner.stages.received import with_received
from qserv_py.planner.stages.subqueries import plan_subqueries


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
    planning = Planning(Pruning(catalog, key_cells or {}), _plan)
    try:
        planned = planning.query(resolved.query)
        if isinstance(planned, Local):
            planning.shard_stage(planned.select, planned.chunks, limit=planned.select.top)
    except QueryNotSupportedError as error:
        error.text = resolved.text
        raise
    except RecursionError:
        raise LimitError("the query is nested too deeply") from None
    return QueryPlan(text=resolved.text, stages=tuple(planning.stages), columns=resolved.columns, catalog=catalog)


def _plan(query: Query, planning: Planning) -> Planned:
    return _plan_block(query, planning) if isinstance(query, Select) else _plan_set(query, planning)


def _plan_set(query: SetQuery, planning: Planning) -> Gathered:
    """Plan a set operation: both sides are gathered, the merge engine puts them together."""
    sides = [planning.gathered(planning.query(side)) for side in (query.left, query.right)]
    left, right = (planning.all_of(side, query.items) for side in sides)
    return planning.merge_stage(replace(query, left=left, right=right))


def _plan_block(select: Select, planning: Planning) -> Planned:
    counted = count_star.from_registry(select, planning.catalog)
    if counted is not None:
        return planning.merge_stage(counted)
    select = join_neighbour_values(select, planning.ids)
    found = find_sources(select, planning)
    select = replace(select, sources=tuple(found.all))
    placed = in_chunks(select, found, planning.pruning)
    if placed is None:
        brought = with_small_brought(select, found, planning)
        return planning.query(brought) if brought is not None else _plan_in_parts(select, found, planning)
    if holds_windows(placed.select, placed.chunks, placed.sources):
        return _plan_in_chunks(placed, planning)
    return in_merge_engine(select, found, planning) if looks_around(select) else _plan_rows_first(select, planning)


def _plan_in_chunks(placed: InChunks, planning: Planning) -> Planned:
    """Plan a block that chunks can answer: whether their answers are the whole answer depends on what it asks for."""
    sources = placed.sources
    select = replace(placed.select, sources=with_received(placed.select, sources, placed.near, planning))
    select = with_placed(select, sources, planning)
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
        return merged_groups(select, chunks, known_keys, planning)
    repeated = select.distinct and not any(key.tells_chunk for key in keys.values())
    if repeated or select.order_by or select.top is not None or select.offset:
        return merged_rows(select, chunks, planning)
    return Local(select, chunks, keys)


def _plan_in_parts(select: Select, sources: BlockSources, planning: Planning) -> Planned:
    """Plan a block that no chunk can answer: an outer join of it before the rest, or all in the merge engine."""
    side = find_whole_side(select, sources.chunks, sources.keys)
    if side is None:
        return in_merge_engine(select, sources, planning)
    rows = side.rows()
    if not all(isinstance(source, StageSource) for source in rows.sources) or looks_inside(rows):
        rows = planning.all_of(planning.query(rows), rows.items)
    numbered = planning.source_of(planning.merge_stage(side.numbered(rows)))
    pairs = planning.source_of(planning.query(side.pairs(numbered)))
    return planning.query(side.outer(numbered, pairs))


def _plan_rows_first(select: Select, planning: Planning) -> Planned:
    """Plan a block whose windows look across chunks: chunks join the rows, the merge engine does the rest."""
    block = replace(select, sources=(), joined=None, where=())
    carried = Carried.of(ref for expr in walks.expressions(block) for ref in column_refs(expr))
    joined = Select(items=carried.items, sources=select.sources, joined=select.joined, where=select.where)
    rows = planning.source_of(planning.query(joined))
    return planning.query(map_expressions(replace(block, sources=(rows,)), carried.read_from(rows.id)))
