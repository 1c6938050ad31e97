"""The ids of a director's new rows: duplicates found, and the rest written as runs of the director index.

Whole-number ids are sorted through a spool, so memory stays bounded; text ids are kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from qserv_py.catalog.snapshot import BoolArray, IntArray
from qserv_py.ingest.spool import Spool
from qserv_py.partitioner.director_index import IdArray, IndexRun

IDS_IN_RUN = 1 << 24
"""Ids of one index run; 256 MB for whole numbers."""

_ID, _CELL, _ROW = "id", "cell", "row"


@dataclass(frozen=True, eq=False)
class SortedIds:
    """Ids in order, where their rows are on the sky, and which rows they are."""

    ids: IdArray
    cells: IntArray
    rows: IntArray

    def repeated(self) -> BoolArray:
        """Return which ids have come before; of several rows the first keeps its id."""
        again = np.zeros(len(self.ids), dtype=np.bool_)
        again[1:] = self.ids[1:] == self.ids[:-1]
        return again

    def run(self, *, unique: bool = True) -> IndexRun:
        """Return the index run, without the repeated ids where ids are ``unique``."""
        keep = ~self.repeated() if unique else np.ones(len(self.ids), dtype=np.bool_)
        return IndexRun(self.ids[keep], self.cells[keep]) if not keep.all() else IndexRun(self.ids, self.cells)


class IdSorter:
    """Gathers ids in any order and gives them out sorted.

    Parameters
    ----------
    texts
        Whether the ids are texts, not whole numbers.
    directory, budget
        As for `Spool`.
    """

    def __init__(self, directory: Path, *, texts: bool, budget: int) -> None:
        self._texts: list[SortedIds] | None = [] if texts else None
        self._spool = Spool(_ID, directory, budget=budget)

    def add(self, ids: IdArray, cells: IntArray, rows: IntArray) -> None:
        """Take ids with their ``healpix29`` and row numbers, the latter ascending from call to call."""
        if self._texts is not None:
            self._texts.append(SortedIds(ids, cells, rows))
        else:
            self._spool.add(pa.table([ids, cells, rows], names=[_ID, _CELL, _ROW]))

    def finish(self) -> None:
        """End the gathering."""
        self._spool.finish()

    def pieces(self) -> Iterator[SortedIds]:
        """Give all ids in ascending order, in pieces that share no id."""
        if self._texts is not None:
            if self._texts:
                yield _sorted_texts(self._texts)
            return
        keys = self._spool.run_keys()
        if not keys:
            return
        first, end = min(int(run[0]) for run in keys), max(int(run[-1]) for run in keys) + 1
        cuts = self._spool.split_points(first, end, rows=IDS_IN_RUN)
        for low, high in pairwise(cuts):
            rows = self._spool.between(low, high)
            if rows is not None:
                rows = rows.combine_chunks()
                yield SortedIds(*(rows.column(name).to_numpy() for name in (_ID, _CELL, _ROW)))

    def close(self) -> None:
        """Drop all ids, from memory and from the disk."""
        self._texts = None
        self._spool.close()


def ids_of(values: pa.Array) -> IdArray:
    """Return ids as the director index has them: int64, or UTF-8 bytes of one width; NULL as 0 or nothing."""
    if pa.types.is_string(values.type):
        texts = values.fill_null("").cast(pa.binary()).to_numpy(zero_copy_only=False)
        return np.array(texts, dtype=np.bytes_) if len(texts) else np.empty(0, dtype="S1")
    ids: IdArray = values.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return ids


def _sorted_texts(pieces: list[SortedIds]) -> SortedIds:
    ids = np.concatenate([piece.ids for piece in pieces])
    order = np.argsort(ids, kind="stable")
    cells, rows = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("cells", "rows"))
    return SortedIds(ids[order], cells[order], rows[order])
