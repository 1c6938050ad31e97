"""Whether chunks answer a block with their own rows and those of chunks around them, and which chunks do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from qserv_py.adql.tree import Query, Select, SetQuery, Source, TableSource
from qserv_py.planner.blocks import joins
from qserv_py.planner.blocks.near_sources import Near, plan_correlated, plan_near
from qserv_py.planner.blocks.sources import BlockSources, correlated_queries, reading_near, with_tables_of
from qserv_py.planner.sky.chunks import ChunkSet, Pruning
from qserv_py.planner.sky.keys import Keys, are_joined


@dataclass(frozen=True, slots=True)
class InChunks:
    """A block that chunks can answer."""

    select: Select
    sources: BlockSources
    near: Mapping[int, Near]
    """Sources that read rows of other chunks, by id."""

    chunks: ChunkSet


def in_chunks(select: Select, found: BlockSources, pruning: Pruning) -> InChunks | None:
    """Return how chunks answer a block; None if they cannot."""
    select, near = plan_near(select, found.partitioned, found.keys, pruning)
    sources = reading_near(found, near)
    chunks = _chunks(select, sources)
    if chunks is None or not _holds_correlated(select, sources, pruning):
        return None
    return InChunks(select, sources, near, chunks)


def _chunks(select: Select, sources: BlockSources) -> ChunkSet | None:
    """Return the chunks in which a block has rows; None when no chunk alone can join its sources."""
    if sources.gathered and not sources.partitioned:
        return None
    if select.joined is not None:
        placed = joins.place(select.joined, sources.chunks, sources.keys)
        return None if placed is None else placed.chunks
    if not sources.partitioned:
        return ChunkSet.anywhere()
    if not are_joined(sources.anchors, sources.keys, select.where):
        return None
    return reduce(lambda a, b: a & b, (sources.chunks[source.id] for source in sources.anchors))


def _holds_correlated(select: Select, sources: BlockSources, pruning: Pruning) -> bool:
    """Whether a chunk holds all that the block's correlated sub-queries ask for."""
    return all(
        _is_at_home(query, select, sources.anchors, sources.keys, pruning) for query in correlated_queries(select)
    )


def _is_at_home(
    query: Query, around: Select, anchors: Sequence[Source], keys: Mapping[int, Keys], pruning: Pruning
) -> bool:
    """Whether the rows that a correlated sub-query looks at stand in the chunk of the row around it, or near it."""
    if isinstance(query, SetQuery) or query.joined is not None:
        return False
    if not all(isinstance(source, TableSource) for source in query.sources):
        return False
    near = plan_correlated(query, around, anchors, keys, pruning)
    if near is None:
        return False
    inner_anchors, inner_keys = with_tables_of(query, anchors, keys, near)
    return all(_is_at_home(inner, query, inner_anchors, inner_keys, pruning) for inner in correlated_queries(query))
