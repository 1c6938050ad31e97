"""New chunks for a director's new rows, and the workers that shall hold them."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qserv_py.catalog.model import Family
from qserv_py.catalog.part import NewChunk
from qserv_py.catalog.snapshot import FamilyState, IntArray
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.density import Density, DensityCounter

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
    worker_names: Sequence[str],
    runs: Sequence[IntArray],
    dropped: IntArray,
    *,
    family: Family,
    target_rows: int,
    rows_held: Mapping[str, int],
) -> ChunkPlan:
    """Choose the chunks to add, in the order of the sky each to the worker with the fewest rows so far.

    Parameters
    ----------
    state
        The family's chunks now.
    worker_names
        Workers that may hold new chunks.
    runs
        ``healpix29`` of the new rows, each array ascending.
    dropped
        ``healpix29`` of rows among them that do not count.
    target_rows
        New rows that a chunk aims at.
    rows_held
        Rows of each worker now.
    """
    present = ChunkMap.of_state(state)
    density = _density(runs, dropped, order=family.max_order)
    orders, pixels = present.cells_for(density, min_order=family.min_order, target_rows=target_rows)
    grown = present.with_chunks(orders, pixels)
    new = np.flatnonzero(present.index_of(grown.firsts) < 0)
    workers, holders = [""] * len(grown), state.holders()
    for old_index, index in enumerate(grown.index_of(present.firsts).tolist()):
        workers[index] = holders[old_index]
    for index, worker in zip(new.tolist(), _place(_rows_of(grown, new, density), worker_names, rows_held), strict=True):
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


def _place(rows: Sequence[int], worker_names: Sequence[str], rows_held: Mapping[str, int]) -> list[str]:
    # Workers with equally many rows take turns in the registry's order.
    loads = [(rows_held.get(name, 0), place, name) for place, name in enumerate(worker_names)]
    heapq.heapify(loads)
    chosen = []
    for count in rows:
        held, place, name = loads[0]
        chosen.append(name)
        heapq.heapreplace(loads, (held + count, place, name))
    return chosen
