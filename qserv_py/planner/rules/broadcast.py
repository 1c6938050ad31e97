"""Blocks whose small tables are brought to the chunks of a large one.

Each chunk reads all that is brought, so it pays up to some times the rows of a chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qserv_py.adql.tree import Select, TableSource
from qserv_py.adql.walks import all_conditions
from qserv_py.planner.blocks.pairs import check_pairs, rows_read
from qserv_py.planner.blocks.parts import refs_by_source
from qserv_py.planner.blocks.sources import (
    BlockSources,
    conditions_without,
    holds_windows,
    in_chunks,
    own_conditions,
    tied_groups,
)
from qserv_py.planner.blocks.whole_sides import find_whole_side
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.stages.fetching import fetch
from qserv_py.planner.stages.planning import Block, Planned, Planning

MAX_CHUNKS = 4
"""Rows that are brought to every chunk of another table at the most, as a multiple of that table's rows in a chunk."""


def broadcast(block: Block) -> Planned | None:
    """Plan a block whose small tables are read by stages before it, when that pays."""
    if block.in_chunks is not None:
        return None
    brought = _with_small_brought(block.select, block.sources, block.planning)
    return None if brought is None else block.planning.query(brought)


def _with_small_brought(select: Select, sources: BlockSources, planning: Planning) -> Select | None:
    """Return a block with its small tables read by stages before it; None when that does not pay."""
    large = _large_tables(select, sources, planning)
    if large is None:
        return None
    left = sources.with_only(large)
    placed = in_chunks(select, left, planning.pruning)
    if placed is None:
        # The small tables may be kept by an outer join: then their pairs with the large ones come from the chunks.
        answered = find_whole_side(select, left.chunks, left.keys) is not None
    else:
        answered = holds_windows(placed.select, placed.chunks, placed.sources)
    if not answered:
        return None
    check_pairs(select, sources, planning.pruning)
    return _with_brought(select, sources, large, planning)


def _large_tables(select: Select, sources: BlockSources, planning: Planning) -> list[TableSource] | None:
    """Return the tables that stay in their chunks; None when the others are too large to be brought there."""
    tables = [source for source in sources.partitioned if isinstance(source, TableSource)]
    if len(tables) < len(sources.partitioned) or len(tables) < 2:
        return None
    pruning = planning.pruning
    groups = tied_groups(tables, all_conditions(select), sources.keys, pruning.catalog)
    read = {source.id: rows_read(source, select, pruning) for source in tables}
    large = max(groups, key=lambda group: max(read[source.id] for source in group))
    chunks = max(1, len(pruning.reach_of(large[0], select)[0].kept))
    in_chunk = max(read[source.id] for source in large) / chunks
    small = [source for source in tables if source not in large]
    if not small or sum(read[source.id] for source in small) > MAX_CHUNKS * in_chunk:
        return None
    return large


def _with_brought(select: Select, sources: BlockSources, large: Sequence[TableSource], planning: Planning) -> Select:
    refs = refs_by_source(select)
    brought: dict[int, StageSource] = {}
    kept = list(select.where)
    for source in sources.partitioned:
        if source in large:
            continue
        own = own_conditions(select, source.id)
        chunks = sources.chunks[source.id]
        brought[source.id] = fetch(source, planning, refs=refs.get(source.id, {}), conditions=own, chunks=chunks)
        kept = conditions_without(kept, own)
    return replace(select, sources=tuple(brought.get(s.id, s) for s in select.sources), where=tuple(kept))
