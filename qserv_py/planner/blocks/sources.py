"""The sources of a block, sorted by what answers them; whether chunks answer the block, and which do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from qserv_py.adql import tree, walks
from qserv_py.adql.tree import Expr, Query, Select, SetQuery, Source, TableSource
from qserv_py.adql.walks import is_aggregated, nullable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.planner.blocks import joins
from qserv_py.planner.blocks.near_sources import Near, plan_correlated, plan_near
from qserv_py.planner.blocks.neighbours import links_of
from qserv_py.planner.blocks.parts import is_about_any
from qserv_py.planner.plan.nodes import NearSource, StageSource
from qserv_py.planner.sky.chunks import ChunkSet, Pruning
from qserv_py.planner.sky.keys import Keys, are_joined, equal_keys, keys_of_rows, keys_of_table, tells_chunk


@dataclass(slots=True)
class BlockSources:
    """The sources of a block, sorted by what answers them."""

    all: list[Source] = field(default_factory=list)
    partitioned: list[Source] = field(default_factory=list)
    gathered: list[StageSource] = field(default_factory=list)
    chunks: dict[int, ChunkSet] = field(default_factory=dict)
    keys: dict[int, Keys] = field(default_factory=dict)
    nullable: frozenset[int] = frozenset()
    """Sources of blocks around that an outer join may replace by NULLs."""

    @property
    def anchors(self) -> list[Source]:
        """The partitioned sources that read their chunk's own rows and no others."""
        return [source for source in self.partitioned if not isinstance(source, NearSource)]

    def add_stage(self, source: StageSource) -> None:
        """Add a source whose rows are the result of a stage."""
        self.all.append(source)
        self.gathered.append(source)

    def with_only(self, partitioned: Sequence[Source]) -> BlockSources:
        """Return the same sources as if no others than these were partitioned."""
        return BlockSources(
            all=self.all,
            partitioned=list(partitioned),
            gathered=self.gathered,
            chunks={source.id: self.chunks[source.id] for source in partitioned},
            keys={source.id: self.keys[source.id] for source in partitioned},
        )


def reading_near(sources: BlockSources, near: Mapping[int, Near]) -> BlockSources:
    """Return the sources of a block, those that are near ones in that role."""

    def changed(source: Source) -> Source:
        return near[source.id].source(None) if source.id in near else source

    return BlockSources(
        all=[changed(source) for source in sources.all],
        partitioned=[changed(source) for source in sources.partitioned],
        gathered=sources.gathered,
        # Their rows stand in several chunks: neither their chunks nor their keys tell where the answer is.
        chunks={source: known for source, known in sources.chunks.items() if source not in near},
        keys={source: known for source, known in sources.keys.items() if source not in near},
    )


def correlated_queries(select: Select) -> list[Query]:
    """Return the sub-queries in a block's expressions that look at the block."""
    return [query for query in walks.inner_queries(select) if walks.free_refs(query)]


def with_tables_of(
    query: Select, anchors: Sequence[Source], keys: Mapping[int, Keys], near: Mapping[int, Near]
) -> tuple[list[Source], dict[int, Keys]]:
    """Return the sources that read their chunk's own rows in and around a correlated sub-query, with their keys."""
    tables = [
        source
        for source in query.sources
        if isinstance(source, TableSource) and source.table.is_partitioned and source.id not in near
    ]
    return [*anchors, *tables], {**keys, **{source.id: keys_of_table(source) for source in tables}}


def own_conditions(select: Select, source: int) -> list[Expr]:
    """Return the conditions on one source alone that its rows may be tested for before they are joined."""
    kept = () if source in nullable(select.joined) else select.where
    return [one for one in (*kept, *joins.conditions_before(select.joined, source)) if is_about_any(one, {source})]


def conditions_without(conditions: Sequence[Expr], taken: Sequence[Expr]) -> list[Expr]:
    """Return the conditions that are not among those taken; equal ones elsewhere in the block stay."""
    return [condition for condition in conditions if all(condition is not one for one in taken)]


def tied_groups(
    tables: Sequence[TableSource], ties: Sequence[Expr], keys: Mapping[int, Keys], catalog: Catalog
) -> list[list[TableSource]]:
    """Return tables in groups that keys or neighbourhood tie together."""
    groups = joins.unconnected(tables, [tie for tie in ties if equal_keys(tie, keys) is not None])
    for link in links_of(tables, ties, catalog):
        one, other = (next(g for g in groups if any(s.id == i for s in g)) for i in (link.anchor, link.near.id))
        if one is not other:
            groups = [group for group in groups if group is not one and group is not other] + [[*one, *other]]
    return groups


def holds_windows(select: Select, chunks: ChunkSet, sources: BlockSources) -> bool:
    """Whether the rows of every window of a block stand in one chunk."""
    windows = [part for part in walks.parts(select) if isinstance(part, tree.Window)]
    if not windows or not chunks.is_partitioned:
        return True
    keys = keys_of_rows(select, sources.keys)
    alone = not is_aggregated(select)
    return alone and all(any(tells_chunk(part, keys) for part in window.partition_by) for window in windows)


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
    near: Mapping[int, Near] = {}
    if len(found.partitioned) > 1:
        select, near = plan_near(select, found.partitioned, found.keys, pruning)
    sources = reading_near(found, near) if near else found
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
