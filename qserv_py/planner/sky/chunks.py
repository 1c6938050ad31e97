"""Which chunks a block reads: those that hold rows of its tables, cut down by regions and by ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from qserv_py.adql.tree import ColumnRef, Expr, InQuery, Select, Source, TableSource
from qserv_py.catalog.model import HEALPIX_COLUMN
from qserv_py.catalog.snapshot import Catalog, FamilyState, IntArray, TableSnapshot
from qserv_py.catalog.types import DataType
from qserv_py.counts import counted
from qserv_py.errors import QueryNotSupportedError
from qserv_py.partitioner import ranges
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.dilation import dilated
from qserv_py.planner.plan.nodes import NearSource, Ranges
from qserv_py.planner.plan.query_plan import KeyCells, KeyLookup
from qserv_py.planner.sky import regions
from qserv_py.planner.sky.keys import Keys, farthest_pair, keys_of_table, second_key_of, wanted

_NONE: IntArray = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class ChunkSet:
    """Chunks of one family that a block runs in; ``family`` is None for a block that reads only ref tables."""

    family: str | None
    kept: IntArray
    known: int
    notes: tuple[str, ...] = ()

    @classmethod
    def anywhere(cls) -> ChunkSet:
        """Return the set of a block that any one worker can answer."""
        return cls(None, _NONE, 0)

    @property
    def is_partitioned(self) -> bool:
        """Whether the block reads chunk tables."""
        return self.family is not None

    @property
    def runs_once(self) -> bool:
        """Whether one statement makes the whole answer."""
        return self.family is None or len(self.kept) == 1

    def __and__(self, other: ChunkSet) -> ChunkSet:
        if self.family != other.family:
            raise QueryNotSupportedError(
                f'tables of the families "{self.family}" and "{other.family}" cannot be joined: their chunks differ'
            )
        notes = tuple(dict.fromkeys((*self.notes, *other.notes)))
        return ChunkSet(self.family, in_both(self.kept, other.kept), max(self.known, other.known), notes)

    def __or__(self, other: ChunkSet) -> ChunkSet:
        if self.family != other.family:
            raise QueryNotSupportedError(
                f'tables of the families "{self.family}" and "{other.family}" cannot be joined: their chunks differ'
            )
        kept = np.union1d(self.kept, other.kept)
        return ChunkSet(self.family, kept, max(self.known, other.known, len(kept)), self.notes)

    def narrowed(self, chunks: IntArray, why: str) -> ChunkSet:
        """Return the set cut down to some chunks, with the reason."""
        kept = in_both(self.kept, chunks)
        return replace(
            self, kept=kept, notes=(*self.notes, f"{why}: {len(kept)} of {counted(len(self.kept), 'chunk')} kept")
        )

    def without(self, chunks: IntArray) -> ChunkSet:
        """Return the set without some chunks."""
        return replace(self, kept=np.setdiff1d(self.kept, chunks))


def in_both(a: IntArray, b: IntArray) -> IntArray:
    """Return what two ascending arrays share; costs the shorter one times the logarithm of the longer."""
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if not len(short):
        return _NONE
    places = np.minimum(np.searchsorted(long, short), len(long) - 1)
    shared: IntArray = short[long[places] == short]
    return shared


def _selected_ids(condition: Expr, keys: Mapping[int, Keys]) -> Select | None:
    """Return the block of ``key IN (SELECT id FROM director ...)``; None of any other condition."""
    if not isinstance(condition, InQuery) or not isinstance(condition.operand, ColumnRef):
        return None
    key = keys.get(condition.operand.source, {}).get(condition.operand.label)
    inner = condition.query
    if key is None or key.repeated or not isinstance(inner, Select) or len(inner.sources) != 1:
        return None
    source, item = inner.sources[0], inner.items[0].expr
    if not isinstance(source, TableSource) or not isinstance(item, ColumnRef) or item.source != source.id:
        return None
    selected = keys_of_table(source).get(item.label)
    return inner if selected is not None and selected.director == key.director else None


@lru_cache(maxsize=64)
def chunk_map(state: FamilyState) -> ChunkMap:
    """Return the chunk map of a family; made once for each state of it."""
    return ChunkMap.of_state(state)


class Pruning:
    """Finds the chunks of tables and cuts them down."""

    def __init__(self, catalog: Catalog, key_cells: KeyCells) -> None:
        self.catalog = catalog
        self.key_cells = key_cells
        self._regions: dict[tuple[tuple[Expr, ...], regions.Position], regions.Region | None] = {}

    def chunks_of_table(self, source: TableSource) -> ChunkSet:
        """Return the chunks in which a table has rows."""
        snapshot = self._snapshot(source)
        chunks = snapshot.chunks if snapshot is not None else _NONE
        return ChunkSet(source.database.family.name, chunks, len(chunks))

    def rows_of(self, source: TableSource, select: Select) -> int:
        """Return how many rows of a table a block may read, after its conditions have cut chunks away."""
        keys = {source.id: keys_of_table(source)}
        one = replace(select, sources=(source,), joined=None)
        _, chunks = self.prune(one, self.chunks_of_table(source), keys)
        return int(self.rows_in(source, chunks.kept).sum())

    def rows_in(self, source: TableSource, chunks: IntArray) -> IntArray:
        """Return how many rows a table has in some of its chunks."""
        snapshot = self._snapshot(source)
        if snapshot is None or not len(snapshot.chunks):
            return np.zeros(len(chunks), dtype=np.int64)
        places = np.minimum(np.searchsorted(snapshot.chunks, chunks), len(snapshot.chunks) - 1)
        return np.where(snapshot.chunks[places] == chunks, snapshot.rows[places], 0)

    def rows_of_ref(self, source: TableSource) -> int:
        """Return how many rows a ref table has."""
        snapshot = self._snapshot(source)
        return 0 if snapshot is None else snapshot.total_rows

    def _snapshot(self, source: TableSource) -> TableSnapshot | None:
        return self.catalog.snapshot_of(source.database.name, source.table.name)

    def prune(
        self, select: Select, chunks: ChunkSet, keys: Mapping[int, Keys], *, nullable: Set[int] = frozenset()
    ) -> tuple[Select, ChunkSet]:
        """Cut the chunks down by the block's conditions; spatial conditions become ranges of ``healpix29``.

        ``nullable`` are the sources whose rows an outer join may replace by NULLs. No condition on the place holds for
        NULLs, so they prune as the others do; but no row of theirs is inside a region untested.
        """
        if not chunks.is_partitioned:
            return select, chunks
        whole = select
        chunks = self._by_keys(select, chunks, keys)
        chunks = self._by_selected_keys(select, chunks, keys)
        for source in select.sources:
            if isinstance(source, NearSource):
                continue
            if isinstance(source, TableSource):
                chunks = self._by_second_key(select, chunks, source)
                exact = source.id not in nullable
                select, chunks = self._by_region(select, chunks, source, exact=exact)
        return self._by_neighbours(select, chunks, whole)

    def reach_of(self, source: TableSource, select: Select) -> tuple[ChunkSet, IntArray]:
        """Return the chunks, and within them the ranges, in which a table's rows may be that a block asks for."""
        keys = {source.id: keys_of_table(source)}
        _, chunks = self.prune(replace(select, sources=(source,), joined=None), self.chunks_of_table(source), keys)
        known = chunk_map(self.catalog.families[source.database.family.name])
        found = ranges.merged(np.stack([known.firsts[chunks.kept], known.ends[chunks.kept]], axis=1))
        region = self._region_of(source, select)
        return chunks, found if region is None else ranges.intersection(found, region.cover.maybe)

    def _by_keys(self, select: Select, chunks: ChunkSet, keys: Mapping[int, Keys]) -> ChunkSet:
        assert chunks.family is not None
        for lookup, cells in self._cells_of(select, keys):
            found = chunk_map(self.catalog.families[chunks.family]).index_of(cells)
            chunks = chunks.narrowed(np.unique(found[found >= 0]), str(lookup))
        return chunks

    def _by_selected_keys(self, select: Select, chunks: ChunkSet, keys: Mapping[int, Keys]) -> ChunkSet:
        """Cut the chunks down by ``key IN (SELECT id FROM director WHERE region)``: equal keys stand in one chunk."""
        for condition in select.where:
            inner = _selected_ids(condition, keys)
            if inner is None:
                continue
            source = inner.sources[0]
            assert isinstance(source, TableSource)
            region = self._region_of(source, inner)
            found = [] if region is None else [region.cover.maybe]
            found += [one.maybe for one in inner.where if isinstance(one, Ranges) and one.column.source == source.id]
            for maybe in found:
                chunks = self.overlapping(chunks, maybe, f"region of the ids of {source.alias}")
        return chunks

    def _by_second_key(self, select: Select, chunks: ChunkSet, source: TableSource) -> ChunkSet:
        """Cut the chunks down by ids of the second director of a match table: its pairs are not far apart."""
        key, farthest = second_key_of(source), farthest_pair(source, self.catalog)
        if not key or farthest is None:
            return chunks
        for lookup, cells in self._cells_of(select, {source.id: key}):
            near = dilated(ranges.merged(np.stack([cells, cells + 1], axis=1)), farthest)
            chunks = self.overlapping(chunks, near, f"{lookup} within {farthest * 3600:.3g} arcsec")
        return chunks

    def overlapping(self, chunks: ChunkSet, found: IntArray, why: str) -> ChunkSet:
        """Return a set of chunks cut down to those that some ranges meet."""
        assert chunks.family is not None
        known = chunk_map(self.catalog.families[chunks.family])
        return chunks.narrowed(known.overlapping(found[:, 0], found[:, 1]), why)

    def _region_of(self, source: TableSource, select: Select) -> regions.Region | None:
        position = regions.Position.of(source)
        if position is None:
            return None
        if (select.where, position) not in self._regions:
            self._regions[select.where, position] = regions.region_of(select.where, position)
        return self._regions[select.where, position]

    def _by_neighbours(self, select: Select, chunks: ChunkSet, whole: Select) -> tuple[Select, ChunkSet]:
        """Cut the rows of near sources down by the place of their anchors, and the chunks by the place of theirs.

        ``whole`` is the block with all its conditions on places.
        """
        sources = {source.id: source for source in select.sources}
        for near in select.sources:
            if not isinstance(near, NearSource):
                continue
            region, chunks = self._place_of_near(near, whole, chunks)
            anchor = sources.get(near.place)
            limit = self._region_of(anchor, whole) if isinstance(anchor, TableSource) else None
            if limit is not None:
                found = dilated(limit.cover.maybe, near.radius)
                region = found if region is None else ranges.intersection(region, found)
            sources[near.id] = replace(near, region=region)
        return replace(select, sources=tuple(sources.values())), chunks

    def prune_near(self, query: Select, around: Select) -> Select:
        """Cut the rows of a sub-query's near sources down by the place of their anchors in the block around it."""
        anchors = {source.id: source for source in around.sources}

        def changed(source: Source) -> Source:
            if not isinstance(source, NearSource):
                return source
            anchor = anchors.get(source.place)
            limit = self._region_of(anchor, around) if isinstance(anchor, TableSource) else None
            return source if limit is None else replace(source, region=dilated(limit.cover.maybe, source.radius))

        return replace(query, sources=tuple(changed(source) for source in query.sources))

    def _place_of_near(self, near: NearSource, whole: Select, chunks: ChunkSet) -> tuple[IntArray | None, ChunkSet]:
        """Return where a near source's own conditions let its rows be, and the chunks that are near to it."""
        found = self._region_of(near, whole)
        why = f"within {near.radius:.3g} deg of"
        if found is not None:
            around = dilated(found.cover.maybe, near.radius)
            chunks = self.overlapping(chunks, around, f"{why} {found.shapes} on {near.alias}")
        for lookup, cells in self._cells_of(whole, {near.id: keys_of_table(near)}):
            around = dilated(ranges.merged(np.stack([cells, cells + 1], axis=1)), near.radius)
            chunks = self.overlapping(chunks, around, f"{why} {lookup}")
        return None if found is None else found.cover.maybe, chunks

    def _cells_of(self, select: Select, keys: Mapping[int, Keys]) -> Iterator[tuple[KeyLookup, IntArray]]:
        """Yield the look-ups that a block asks for, and what the director index answered."""
        for lookup in wanted(select.where, keys):
            cells = self.key_cells.get(lookup)
            if cells is not None:
                yield lookup, cells

    def _by_region(
        self, select: Select, chunks: ChunkSet, source: TableSource, *, exact: bool
    ) -> tuple[Select, ChunkSet]:
        region = self._region_of(source, select)
        if region is None:
            return select, chunks
        maybe = region.cover.maybe
        chunks = self.overlapping(chunks, maybe, f"{region.shapes} on {source.alias}")
        if not exact:
            return select, chunks
        column = ColumnRef(type=DataType.LONG, source=source.id, label=HEALPIX_COLUMN)
        condition: Expr = Ranges(
            type=DataType.BOOLEAN, column=column, inside=region.cover.inside, maybe=maybe, exact=region.exact
        )
        return replace(select, where=(*region.others, condition)), chunks
