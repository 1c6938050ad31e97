"""The chunk map of a family: disjoint HEALPix cells of mixed order, as sorted arrays.

Look-ups are binary searches, so they cost time for the chunks that are found, hardly for all that there are. A map only
ever grows: ingest adds cells where none is (``cells_for``), the cells that exist never change.

For example, the map of the chunks 1/0, 1/1, 1/2, 1/3 and 0/1 has cell 0 of order 0 in four chunks and cell 1 in one;
``index_of`` of a ``healpix29`` in cell 2 of order 0 is -1, as no chunk is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qserv_py.catalog.chunk import HEALPIX_ORDER, ChunkId
from qserv_py.catalog.snapshot import BoolArray, FamilyState, IntArray
from qserv_py.errors import InternalError
from qserv_py.partitioner.density import Density

_TABLE_ORDER = 6
"""Order of the table of the whole sky that ``index_of`` uses when it is asked for many cells; it has 49,152 entries."""

_MANY_CELLS = 1 << 14


def _no_chunks() -> IntArray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class ChunkMap:
    """Disjoint cells, ascending by their first order-29 cell; index i is the chunk ``orders[i]/pixels[i]``."""

    orders: IntArray
    """HEALPix orders, shape (n,)."""

    pixels: IntArray
    """NESTED pixels, shape (n,)."""

    def __post_init__(self) -> None:
        if (self.firsts[1:] < self.ends[:-1]).any():
            raise InternalError("the cells of a chunk map overlap or are not sorted")

    @classmethod
    def of_state(cls, state: FamilyState) -> ChunkMap:
        """Return the map of a family as the catalogue knows it."""
        return cls(state.orders, state.pixels)

    @classmethod
    def of_chunks(cls, chunks: list[ChunkId] | tuple[ChunkId, ...]) -> ChunkMap:
        """Return the map of some chunks, in whatever order they come."""
        ordered = sorted(chunks, key=lambda chunk: chunk.first)
        return cls(
            np.array([chunk.order for chunk in ordered], dtype=np.int64),
            np.array([chunk.pixel for chunk in ordered], dtype=np.int64),
        )

    @classmethod
    def empty(cls) -> ChunkMap:
        """Return the map without chunks."""
        return cls(_no_chunks(), _no_chunks())

    @cached_property
    def firsts(self) -> IntArray:
        """Smallest ``healpix29`` of each chunk, shape (n,)."""
        return self.pixels << (2 * (HEALPIX_ORDER - self.orders))

    @cached_property
    def ends(self) -> IntArray:
        """One more than the largest ``healpix29`` of each chunk, shape (n,)."""
        return (self.pixels + 1) << (2 * (HEALPIX_ORDER - self.orders))

    def __len__(self) -> int:
        return len(self.orders)

    def chunk(self, index: int) -> ChunkId:
        """Return the chunk at an index."""
        return ChunkId(int(self.orders[index]), int(self.pixels[index]))

    def chunks(self) -> list[ChunkId]:
        """Return all chunks, in the map's order."""
        return [ChunkId(order, pixel) for order, pixel in zip(self.orders.tolist(), self.pixels.tolist(), strict=True)]

    def index_of(self, cells: IntArray) -> IntArray:
        """Return the index of the chunk that holds each ``healpix29``, -1 where there is none; shape as ``cells``."""
        if not len(self):
            return np.full(cells.shape, -1, dtype=np.int64)
        index = self._candidates(cells)
        inside = (index >= 0) & (cells >= self.firsts[index]) & (cells < self.ends[index])
        return np.where(inside, index, -1)

    def _candidates(self, cells: IntArray) -> IntArray:
        """Return for each cell the only chunk that may hold it."""
        if cells.size < _MANY_CELLS:
            return np.asarray(np.searchsorted(self.firsts, cells, side="right") - 1, dtype=np.int64)
        # A binary search misses the processor's cache at every step; a table of the sky settles most cells at once.
        low, several = self._table
        place = cells >> (2 * (HEALPIX_ORDER - _TABLE_ORDER))
        index: IntArray = low[place]
        hard = np.flatnonzero(several[place])
        index[hard] = np.searchsorted(self.firsts, cells[hard], side="right") - 1
        return index

    @cached_property
    def _table(self) -> tuple[IntArray, BoolArray]:
        """For each cell of a fixed order: the first chunk that it meets (or any), and whether it meets several."""
        starts = np.arange(12 << (2 * _TABLE_ORDER), dtype=np.int64) << (2 * (HEALPIX_ORDER - _TABLE_ORDER))
        low, high = self.spans(starts, starts + (1 << (2 * (HEALPIX_ORDER - _TABLE_ORDER))))
        return np.minimum(low, len(self) - 1), high - low > 1

    def overlapping(self, starts: IntArray, ends: IntArray) -> IntArray:
        """Return the indices of the chunks that share a cell with any of the ranges [start, end).

        Parameters
        ----------
        starts, ends
            Ranges of ``healpix29``, shape (m,), ascending and disjoint.

        Returns
        -------
        indices
            Ascending, each once.
        """
        low, high = self.spans(starts, ends)
        low = np.maximum(low, np.concatenate(([0], high[:-1])) if len(high) else low)  # a chunk met twice counts once
        return expand_ranges(low, high)

    def spans(self, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
        """Return for each range [start, end) the half-open range of the indices of the chunks that it meets."""
        low = np.searchsorted(self.ends, starts, side="right")
        high = np.searchsorted(self.firsts, ends, side="left")
        return low.astype(np.int64), np.maximum(low, high).astype(np.int64)

    def with_chunks(self, orders: IntArray, pixels: IntArray) -> ChunkMap:
        """Return the map with further chunks; InternalError if one overlaps another."""
        all_orders = np.concatenate((self.orders, orders))
        all_pixels = np.concatenate((self.pixels, pixels))
        by_first = np.argsort(all_pixels << (2 * (HEALPIX_ORDER - all_orders)), kind="stable")
        return ChunkMap(all_orders[by_first], all_pixels[by_first])

    def cells_for(self, density: Density, *, min_order: int, target_rows: int) -> tuple[IntArray, IntArray]:
        """Choose the chunks to add for new rows of a director: none where the map has chunks already.

        A cell is split until it holds at most ``target_rows`` new rows and meets no chunk of the map; at the order of
        the density splitting stops, so a cell of a very dense field may hold more.

        Parameters
        ----------
        density
            New rows by cell of the finest order that a chunk may have.
        min_order
            Coarsest order that a chunk may have.
        target_rows
            New rows that a chunk aims at.

        Returns
        -------
        orders, pixels
            The new chunks, ascending by their first order-29 cell.
        """
        pixels, counts = self._uncovered(density)
        totals = np.concatenate(([0], np.cumsum(counts)))
        kept_orders, kept_pixels = [], []
        candidates = np.unique(pixels >> (2 * (density.order - min_order)))
        for order in range(min_order, density.order + 1):
            shift = 2 * (density.order - order)
            low = np.searchsorted(pixels, candidates << shift)
            high = np.searchsorted(pixels, (candidates + 1) << shift)
            rows = totals[high] - totals[low]
            candidates, rows = candidates[rows > 0], rows[rows > 0]
            good = (rows <= target_rows) & ~self._meets(candidates, order=order)
            if order == density.order:
                good[:] = True
            kept_orders.append(np.full(int(good.sum()), order, dtype=np.int64))
            kept_pixels.append(candidates[good])
            candidates = ((candidates[~good] << 2)[:, np.newaxis] + np.arange(4)).ravel()
        return _sorted_by_first(np.concatenate(kept_orders), np.concatenate(kept_pixels))

    def _uncovered(self, density: Density) -> tuple[IntArray, IntArray]:
        """Return the density's cells that lie in no chunk of the map, and their rows."""
        # Chunks are never finer than the density's order, so the first order-29 cell decides for the whole cell.
        free = self.index_of(density.pixels << (2 * (HEALPIX_ORDER - density.order))) < 0
        return density.pixels[free], density.counts[free]

    def _meets(self, pixels: IntArray, *, order: int) -> BoolArray:
        """Return which cells of an order share a cell with a chunk of the map."""
        shift = 2 * (HEALPIX_ORDER - order)
        low, high = self.spans(pixels << shift, (pixels + 1) << shift)
        meets: BoolArray = high > low
        return meets


def expand_ranges(low: IntArray, high: IntArray) -> IntArray:
    """Return all whole numbers of the half-open ranges, one range after the other; high <= low is an empty one."""
    lengths = np.maximum(high - low, 0)
    total = int(lengths.sum())
    if total == 0:
        return _no_chunks()
    starts = np.cumsum(lengths) - lengths
    numbers: IntArray = np.arange(total, dtype=np.int64) + np.repeat(low - starts, lengths)
    return numbers


def _sorted_by_first(orders: IntArray, pixels: IntArray) -> tuple[IntArray, IntArray]:
    by_first = np.argsort(pixels << (2 * (HEALPIX_ORDER - orders)), kind="stable")
    return orders[by_first], pixels[by_first]
