"""Which chunks a block reads: those that hold rows of its tables, cut down by regions and by ids."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from qserv_py.adql.tree import ColumnRef, Expr, Select, TableSource
from qserv_py.catalog.model import HEALPIX_COLUMN
from qserv_py.catalog.snapshot import Catalog, FamilyState, IntArray, TableSnapshot
from qserv_py.catalog.types import DataType
from qserv_py.errors import QueryNotSupportedError
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.planner import regions
from qserv_py.planner.keys import Keys, keys_of_table, wanted
from qserv_py.planner.plan import KeyCells
from qserv_py.planner.sql_text import NearSource, Ranges

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
        return replace(self, kept=kept, notes=(*self.notes, f"{why}: {len(kept)} of {len(self.kept)} chunks kept"))


def in_both(a: IntArray, b: IntArray) -> IntArray:
    """Return what two ascending arrays share; costs the shorter one times the logarithm of the longer."""
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if not len(short):
        return _NONE
    places = np.minimum(np.searchsorted(long, short), len(long) - 1)
    shared: IntArray = short[long[places] == short]
    return shared


@lru_cache(maxsize=64)
def chunk_map(state: FamilyState) -> ChunkMap:
    """Return the chunk map of a family; made once for each state of it."""
    return ChunkMap.of_state(state)


class Pruning:
    """Finds the chunks of tables and cuts them down."""

    def __init__(self, catalog: Catalog, key_cells: KeyCells) -> None:
        self.catalog = catalog
        self.key_cells = key_cells

    def chunks_of_table(self, source: TableSource) -> ChunkSet:
        """Return the chunks in which a table has rows."""
        snapshot = self._snapshot(source)
        chunks = snapshot.chunks if snapshot is not None else _NONE
        return ChunkSet(source.database.family.name, chunks, len(chunks))

    def rows_of(self, source: TableSource, select: Select) -> int:
        """Return how many rows of a table a block may read, after its conditions have cut chunks away."""
        snapshot = self._snapshot(source)
        if snapshot is None:
            return 0
        keys = {source.id: keys_of_table(source)}
        _, chunks = self.prune(replace(select, sources=(source,)), self.chunks_of_table(source), keys)
        places = np.searchsorted(snapshot.chunks, chunks.kept)
        return int(snapshot.rows[places].sum())

    def rows_of_ref(self, source: TableSource) -> int:
        """Return how many rows a ref table has."""
        snapshot = self._snapshot(source)
        return 0 if snapshot is None else snapshot.total_rows

    def _snapshot(self, source: TableSource) -> TableSnapshot | None:
        snapshot = self.catalog.snapshots.get(source.database.name)
        return None if snapshot is None else snapshot.tables.get(source.table.name)

    def prune(
        self, select: Select, chunks: ChunkSet, keys: Mapping[int, Keys], *, nullable: Set[int] = frozenset()
    ) -> tuple[Select, ChunkSet]:
        """Cut the chunks down by the block's conditions; spatial conditions become ranges of ``healpix29``.

        ``nullable`` are the sources whose rows an outer join may replace by NULLs. No condition on the place holds for
        NULLs, so they prune as the others do; but no row of theirs is inside a region untested.
        """
        if not chunks.is_partitioned:
            return select, chunks
        chunks = self._by_keys(select, chunks, keys)
        for source in select.sources:
            # Rows of a near source stand beyond the chunk, too: its place bounds neither chunks nor ranges.
            bound = isinstance(source, TableSource) and not isinstance(source, NearSource)
            position = regions.Position.of(source) if bound and isinstance(source, TableSource) else None
            if position is not None:
                exact = source.id not in nullable
                select, chunks = self._by_region(select, chunks, source.alias, position, exact=exact)
        return select, chunks

    def _by_keys(self, select: Select, chunks: ChunkSet, keys: Mapping[int, Keys]) -> ChunkSet:
        for lookup in wanted(select.where, keys):
            cells = self.key_cells.get(lookup)
            if cells is None or chunks.family is None:
                continue
            found = chunk_map(self.catalog.families[chunks.family]).index_of(cells)
            chunks = chunks.narrowed(np.unique(found[found >= 0]), str(lookup))
        return chunks

    def _by_region(
        self, select: Select, chunks: ChunkSet, alias: str, position: regions.Position, *, exact: bool
    ) -> tuple[Select, ChunkSet]:
        region = regions.region_of(select.where, position)
        if region is None or chunks.family is None:
            return select, chunks
        maybe = region.cover.maybe
        known = chunk_map(self.catalog.families[chunks.family])
        why = f"{region.shapes} on {alias}"
        chunks = chunks.narrowed(known.overlapping(maybe[:, 0], maybe[:, 1]), why)
        if not exact:
            return select, chunks
        column = ColumnRef(type=DataType.LONG, source=position.source, label=HEALPIX_COLUMN)
        condition: Expr = Ranges(
            type=DataType.BOOLEAN, column=column, inside=region.cover.inside, maybe=maybe, exact=region.exact
        )
        return replace(select, where=(*region.others, condition)), chunks
