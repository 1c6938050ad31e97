"""The director indexes of a cluster as memory maps: the places of the ids that a query names or brings."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.adql.tree import ResolvedQuery
from qserv_py.catalog.model import DirectorTable
from qserv_py.catalog.snapshot import BoolArray, Catalog, IntArray
from qserv_py.partitioner.director_index import DirectorIndex, encode_ids
from qserv_py.planner.plan.query_plan import KeyLookup
from qserv_py.planner.sky.keys import wanted_keys
from qserv_py.workers.index_files import open_director_index

MOST_IDS = 2_000_000
"""Ids of a range whose chunks are looked up; more would cost more time than they save."""


class DirectorIndexes:
    """The indexes that queries have asked for; thread-safe.

    Parameters
    ----------
    czar_dir
        The directory of the czar, which has their files.
    """

    def __init__(self, czar_dir: Path) -> None:
        self._czar_dir = czar_dir
        self._lock = threading.Lock()
        self._open: dict[tuple[str, ...], DirectorIndex] = {}

    def forget(self) -> None:
        """Let go of all indexes: the catalogue has others now."""
        with self._lock:
            self._open.clear()

    def key_cells(self, resolved: ResolvedQuery, catalog: Catalog) -> dict[KeyLookup, IntArray]:
        """Return the places of the ids that a query names."""
        answers = {lookup: self._cells_of(lookup, catalog) for lookup in wanted_keys(resolved)}
        return {lookup: cells for lookup, cells in answers.items() if cells is not None}

    def _cells_of(self, lookup: KeyLookup, catalog: Catalog) -> IntArray | None:
        """Return the places of the ids of a look-up; None when there are so many that they would hardly prune."""
        index = self._index(catalog, lookup.database, lookup.director)
        if index is None:
            return None
        if lookup.is_range:
            cells = index.between(lookup.low, lookup.high, most=MOST_IDS)
        else:
            cells = index.cells_of(_ids(lookup))
        return None if cells is None else np.unique(cells)

    def cells_of_ids(self, database: str, director: str, ids: pa.ChunkedArray, catalog: Catalog) -> IntArray | None:
        """Return the place of each id, -1 for one that the director does not have; None without an index."""
        index = self._index(catalog, database, director)
        if index is None:
            return None
        if pa.types.is_string(ids.type):
            return index.lookup(encode_ids(ids.to_pylist()))
        wanted, is_id = _whole_numbers(ids)
        return np.where(is_id, index.lookup(wanted), -1)

    def _index(self, catalog: Catalog, database: str, director: str) -> DirectorIndex | None:
        snapshot = catalog.snapshots.get(database)
        if snapshot is None or director not in snapshot.tables:
            return None
        runs = snapshot.tables[director].index_runs + _orphan_runs(catalog, database, director)
        with self._lock:
            if runs not in self._open:
                self._open[runs] = open_director_index(self._czar_dir, runs)
            return self._open[runs]


def _orphan_runs(catalog: Catalog, database: str, director: str) -> tuple[str, ...]:
    """Return the files of the keys of child rows that stand without a director's row."""
    found = next(entry for entry in catalog.databases if entry.name == database)
    table, tables = found.table(director), catalog.snapshots[database].tables
    children = found.children_of(table) if isinstance(table, DirectorTable) else ()
    return tuple(run for child in children if child.name in tables for run in tables[child.name].index_runs)


def _whole_numbers(ids: pa.ChunkedArray) -> tuple[IntArray, BoolArray]:
    """Return numbers as 64-bit ids, and which of the numbers can be one."""
    present = pc.is_valid(ids).to_numpy()
    if pa.types.is_integer(ids.type):
        return pc.fill_null(ids, 0).cast(pa.int64()).to_numpy(), present
    numbers = pc.fill_null(ids.cast(pa.float64()), 0.5).to_numpy()
    is_id = present & (np.abs(numbers) < 2.0**63) & (numbers == np.floor(numbers))
    return np.where(is_id, numbers, 0).astype(np.int64), is_id


def _ids(lookup: KeyLookup) -> np.ndarray:
    """Return the ids of a look-up as the index takes them; what no 64-bit id can be is left out."""
    if all(isinstance(value, str) for value in lookup.values):
        return encode_ids([str(value) for value in lookup.values])
    return np.array([v for v in lookup.values if isinstance(v, int) and -(2**63) <= v < 2**63], dtype=np.int64)
