"""The sources of a block, sorted by what answers them, and what of the block concerns each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from qserv_py.adql import tree, walks
from qserv_py.adql.tree import Expr, Query, Select, Source, TableSource
from qserv_py.adql.walks import conditions_that_hold, is_aggregated, nullable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.planner.blocks import joins
from qserv_py.planner.blocks.near_sources import Near
from qserv_py.planner.blocks.neighbours import links_of
from qserv_py.planner.blocks.parts import is_about_any
from qserv_py.planner.plan.nodes import NearSource, StageSource
from qserv_py.planner.sky.chunks import ChunkSet
from qserv_py.planner.sky.keys import Key, Keys, equal_keys, key_of, keys_of_table, tells_chunk


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


def correlated_queries(select: Select) -> Iterator[Query]:
    """Yield the sub-queries in a block's expressions that look at the block."""
    for expr in walks.expressions(select):
        yield from (query for query in walks.subqueries(expr) if walks.free_refs(query))


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
    windows = [part for expr in walks.expressions(select) for part in walks.walk(expr) if isinstance(part, tree.Window)]
    if not windows or not chunks.is_partitioned:
        return True
    keys = keys_of_rows(select, sources.keys)
    alone = not is_aggregated(select)
    return alone and all(any(tells_chunk(part, keys) for part in window.partition_by) for window in windows)


def keys_of_rows(select: Select, keys: Mapping[int, Keys]) -> dict[int, Keys]:
    """Return the keys that tell the chunk of a block's rows: not those of sources that an outer join may make NULL.

    A key that may be NULL is none for a block whose conditions fail for NULL.
    """
    padded = nullable(select.joined)
    conditions = (*select.where, *conditions_that_hold(select.joined))
    present = {ref for condition in conditions for ref in _not_null(condition)}

    def known(source: int, label: str, key: Key) -> Key:
        return replace(key, nullable=key.nullable and (source, label) not in present)

    return {
        source: {label: known(source, label, key) for label, key in columns.items()}
        for source, columns in keys.items()
        if source not in padded
    }


def _not_null(condition: Expr) -> Iterator[tuple[int, str]]:
    """Yield the columns, by source and label, that are not NULL where a condition holds."""
    operands: tuple[Expr, ...] = ()
    match condition:
        case tree.Comparison():
            operands = (condition.left, condition.right)
        case tree.Between() | tree.InList() | tree.InQuery():
            operands = (condition.operand,)
        case tree.Not(operand=tree.IsNull() as absent):
            operands = (absent.operand,)
    yield from ((operand.source, operand.label) for operand in operands if isinstance(operand, tree.ColumnRef))


def item_keys(select: Select, keys: Mapping[int, Keys]) -> dict[str, Key]:
    """Return the items of a block that are keys, by label."""
    found = {item.label: key_of(item.expr, keys) for item in select.items}
    return {label: key for label, key in found.items() if key is not None}
