"""New chunks for a director's new rows, and the workers that shall hold them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qserv_py.catalog.model import Family
from qserv_py.catalog.part import NewChunk
from qserv_py.catalog.snapshot import FamilyState, IntArray
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.density import Density, DensityCounter
from qserv_py.registry.listing import HeldBytes

_CELLS_AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True, eq=False)
class ChunkPlan:
    """A family's chunk map with the chunks that are to be added."""

    chunk_map: ChunkMap
    workers: list[str]
    """Worker of each chunk of the map."""

    new_indices: IntArray
    """Indices of the new chunks, ascending."""

    @property
    def new_chunks(self) -> tuple[NewChunk, ...]:
        """The new chunks with their workers."""
        return tuple(
            NewChunk(chunk=self.chunk_map.chunk(index), worker=self.workers[index])
            for index in self.new_indices.tolist()
        )


def plan_chunks(
    state: FamilyState,
    held: Sequence[HeldBytes],
    runs: Sequence[IntArray],
    dropped: IntArray,
    *,
    family: Family,
    target_rows: int,
    bytes_per_row: float,
) -> ChunkPlan:
    """Choose the chunks to add, in the order of the sky each to the worker that has the least of the family so far.

    Of workers with equally much of the family, the one that has the least of all databases gets the chunk. So a new
    database is spread over all workers, whatever others are there.

    Parameters
    ----------
    state
        The family's chunks now.
    held
        Workers that may hold new chunks, and what they hold.
    runs
        ``healpix29`` of the new rows, each array ascending.
    dropped
        ``healpix29`` of rows among them that do not count.
    target_rows
        New rows that a chunk aims at.
    bytes_per_row
        Bytes that come into a chunk with each new row.
    """
    present = ChunkMap.of_state(state)
    density = _density(runs, dropped, order=family.max_order)
    orders, pixels = present.cells_for(density, min_order=family.min_order, target_rows=target_rows)
    grown = present.with_chunks(orders, pixels)
    new = np.flatnonzero(present.index_of(grown.firsts) < 0)
    workers, holders = [""] * len(grown), state.holders()
    for old_index, index in enumerate(grown.index_of(present.firsts).tolist()):
        workers[index] = holders[old_index]
    sizes = [rows * bytes_per_row for rows in _rows_of(grown, new, density)]
    for index, worker in zip(new.tolist(), _place(sizes, held), strict=True):
        workers[index] = worker
    return ChunkPlan(chunk_map=grown, workers=workers, new_indices=new)


def _density(runs: Sequence[IntArray], dropped: IntArray, *, order: int) -> Density:
    counter = DensityCounter(order=order)
    for run in runs:
        for start in range(0, len(run), _CELLS_AT_ONCE):
            counter.add(run[start : start + _CELLS_AT_ONCE])
    counter.remove(dropped)
    return counter.density()


def _rows_of(chunk_map: ChunkMap, indices: IntArray, density: Density) -> list[int]:
    """Return the new rows of some chunks."""
    shift = 2 * (29 - density.order)
    totals = np.concatenate(([0], np.cumsum(density.counts)))
    low = np.searchsorted(density.pixels << shift, chunk_map.firsts[indices])
    high = np.searchsorted(density.pixels << shift, chunk_map.ends[indices])
    rows: list[int] = (totals[high] - totals[low]).tolist()
    return rows


def _place(sizes: Sequence[float], held: Sequence[HeldBytes]) -> list[str]:
    # Workers that hold equally much take turns in the registry's order.
    loads = [(float(one.family), float(one.total), place) for place, one in enumerate(held)]
    heapq.heapify(loads)
    chosen = []
    for size in sizes:
        family, total, place = loads[0]
        chosen.append(held[place].worker)
        heapq.heapreplace(loads, (family + size, total + size, place))
    return chosen
