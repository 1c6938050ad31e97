"""Sorts rows by a key of 64 bits in bounded memory, with runs on the disk (an external sort).

For example, rows that come in the order of a file are asked for by ``between(first, end)`` of a chunk, and come out
in the order of ``healpix29``.

Rows gather in memory; whenever they exceed the budget they are sorted and written to the disk as one run, an Arrow IPC
file that is read as a memory map. A range of keys is then a slice of each run, so cutting a catalogue of any size into
chunks reads every byte once. The last (often the only) run stays in memory and is sorted where its slices are taken.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from qserv_py.catalog.snapshot import IntArray

DEFAULT_BUDGET = 1 << 30
"""Bytes of rows in memory, copies made while sorting included."""


_LARGEST = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, eq=False)
class _Run:
    """Sorted keys, and rows: in the order of the keys, or (with ``places``) where each key's row stands."""

    keys: IntArray
    rows: pa.Table
    places: IntArray | None = None

    def between(self, first: int, end: int) -> pa.Table:
        low, high = _bounds(self.keys, first, end)
        if self.places is None:
            return self.rows.slice(low, high - low)
        return self.rows.take(pa.array(self.places[low:high]))


class Spool:
    """Rows gathered in any order and given out by ranges of a key.

    Parameters
    ----------
    key
        Column of int64 to sort by.
    directory
        Where runs are written; made when needed.
    budget
        Bytes of rows in memory.
    """

    def __init__(self, key: str, directory: Path, *, budget: int = DEFAULT_BUDGET) -> None:
        self._key = key
        self._directory = directory
        self._flush_at = max(1, budget // 2)  # half of the budget, as sorting makes a copy of the rows
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        self._runs: list[_Run] = []
        self._bytes = 0
        self.rows = 0

    def add(self, rows: pa.Table) -> None:
        """Take rows; all calls bring the same columns."""
        if not rows.num_rows:
            return
        self._waiting.append(rows)
        self._waiting_bytes += rows.nbytes
        self._bytes += rows.nbytes
        self.rows += rows.num_rows
        if self._waiting_bytes > self._flush_at:
            self._write_run()

    def finish(self) -> None:
        """End the gathering; ranges may be asked for from now on, by several threads."""
        if self._waiting:
            self._runs.append(self._take_waiting())

    @property
    def runs_on_disk(self) -> int:
        """Runs that did not fit in memory."""
        return sum(run.places is None for run in self._runs)

    @property
    def bytes_per_row(self) -> float:
        """Mean size of a row in memory."""
        return self._bytes / self.rows if self.rows else 0.0

    def run_keys(self) -> list[IntArray]:
        """Return the sorted keys of each run."""
        return [run.keys for run in self._runs]

    def count_between(self, first: int, end: int) -> int:
        """Return the number of rows with first <= key < end."""
        return sum(high - low for low, high in (_bounds(run.keys, first, end) for run in self._runs))

    def between(self, first: int, end: int) -> pa.Table | None:
        """Return the rows with first <= key < end, sorted by key; None when there are none."""
        found = [run.between(first, end) for run in self._runs]
        found = [rows for rows in found if rows.num_rows]
        if len(found) < 2:
            return found[0] if found else None
        rows = pa.concat_tables(found)
        order = np.argsort(rows.column(self._key).to_numpy(), kind="stable")
        return rows.combine_chunks().take(pa.array(order))

    def split_points(self, first: int, end: int, *, rows: int) -> list[int]:
        """Return keys that cut a range into pieces of about ``rows`` rows; the first and the end are among them.

        Rows of equal keys stay together, however many they are.
        """
        total = self.count_between(first, end)
        cuts = [first]
        for piece in range(1, -(-total // rows)):
            cut = self._key_at_rank(first, end, piece * rows) + 1
            if cuts[-1] < cut < end:
                cuts.append(cut)
        return [*cuts, end]

    def _key_at_rank(self, first: int, end: int, rank: int) -> int:
        """Return the smallest key with at least ``rank`` rows of the range below or at it, by bisection."""
        low, high = first, end
        while low < high:
            middle = (low + high) // 2
            if self.count_between(first, middle + 1) >= rank:
                high = middle
            else:
                low = middle + 1
        return low

    def close(self) -> None:
        """Drop all rows, and remove the runs from the disk."""
        self._runs, self._waiting = [], []
        shutil.rmtree(self._directory, ignore_errors=True)

    def _take_waiting(self) -> _Run:
        rows = pa.concat_tables(self._waiting).combine_chunks()
        self._waiting, self._waiting_bytes = [], 0
        keys = rows.column(self._key).to_numpy()
        places = np.argsort(keys, kind="stable")
        return _Run(keys[places], rows, places)

    def _write_run(self) -> None:
        run = self._take_waiting()
        assert run.places is not None
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{len(self._runs)}.arrow"
        rows = run.rows.take(pa.array(run.places))
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows)  # one record batch, so that the keys are one array of the map
        mapped = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        self._runs.append(_Run(mapped.column(self._key).chunk(0).to_numpy(), mapped))


def _bounds(keys: IntArray, first: int, end: int) -> tuple[int, int]:
    """Return where the keys of a range begin and end; ``end`` may be one more than the largest int64."""
    low = int(np.searchsorted(keys, np.int64(first)))
    return low, len(keys) if end > _LARGEST else int(np.searchsorted(keys, np.int64(end)))
