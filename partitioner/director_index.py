"""The director index: it tells the ``healpix29`` of an id, from sorted runs of arrays that may be memory maps of files.

For example, ``objectId = 4711`` is looked up here; its ``healpix29`` lies in the range of one chunk, and only this
chunk is asked.

Ids are int64, or UTF-8 text as numpy's fixed-width bytes (whose order is that of the code points). A look-up is a
binary search in each run whose span the id falls into. Of a director with unique ids the runs of a table never share
an id, and none has one twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.catalog.snapshot import IntArray

IdArray = npt.NDArray[Any]
"""Ids as an array of int64 or of fixed-width bytes."""


@dataclass(frozen=True, eq=False)
class IndexRun:
    """One sorted run: ``cells[i]`` is the ``healpix29`` of a row with the id ``ids[i]``; ids ascend."""

    ids: IdArray
    cells: IntArray


class DirectorIndex:
    """All runs of a director table.

    Parameters
    ----------
    runs
        Sorted runs of the table; empty ones are left out.
    """

    def __init__(self, runs: Sequence[IndexRun]) -> None:
        self.runs = tuple(run for run in runs if len(run.ids))

    def lookup(self, ids: IdArray) -> IntArray:
        """Return the ``healpix29`` of each id, -1 where it is not known; shape as ``ids``.

        When several rows have an id, the answer is the ``healpix29`` of one of them.
        """
        found = np.full(len(ids), -1, dtype=np.int64)
        for run in self.runs:
            candidates = np.flatnonzero(_may_hold(run, ids))
            if len(candidates):
                found[candidates] = np.maximum(found[candidates], _lookup_in(run, ids[candidates]))
        return found

    def cells_of(self, ids: IdArray) -> IntArray:
        """Return the ``healpix29`` of all rows that have any of some ids, in no order."""
        slices = [np.empty(0, dtype=np.int64)]
        for run in self.runs:
            wanted = ids[_may_hold(run, ids)]
            if len(wanted):
                if wanted.dtype != run.ids.dtype:  # text ids are encoded as in a look-up
                    narrow = wanted.astype(run.ids.dtype)
                    wanted = narrow[narrow == wanted]
                low, high = (np.searchsorted(run.ids, wanted, side=side) for side in ("left", "right"))
                slices += [run.cells[start:end] for start, end in zip(low.tolist(), high.tolist(), strict=True)]
        return np.concatenate(slices)

    def between(self, low: int | None, high: int | None, *, most: int) -> IntArray | None:
        """Return the ``healpix29`` of the whole-number ids of a range, borders included; None if over ``most`` ids."""
        slices = []
        for run in self.runs:
            start = 0 if low is None else int(np.searchsorted(run.ids, low, side="left"))
            end = len(run.ids) if high is None else int(np.searchsorted(run.ids, high, side="right"))
            slices.append(run.cells[start : max(start, end)])
        if sum(len(cells) for cells in slices) > most:
            return None
        return np.concatenate(slices) if slices else np.empty(0, dtype=np.int64)


def encode_ids(ids: Sequence[str | None] | npt.NDArray[np.object_]) -> IdArray:
    """Return text ids as the fixed-width bytes that ``lookup`` takes; None becomes the empty text."""
    encoded = [(value or "").encode() for value in ids]
    width = max((len(value) for value in encoded), default=1)
    return np.array(encoded, dtype=f"S{max(1, width)}")


def _may_hold(run: IndexRun, ids: IdArray) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (ids >= run.ids[0]) & (ids <= run.ids[-1])
    return inside


def _lookup_in(run: IndexRun, ids: IdArray) -> IntArray:
    wanted = ids
    if ids.dtype.kind == "S" and ids.dtype != run.ids.dtype:
        # searchsorted would convert the whole run to the wider type; cut ids are told apart below.
        wanted = ids.astype(run.ids.dtype)
    place = np.minimum(np.searchsorted(run.ids, wanted), len(run.ids) - 1)
    return np.where(run.ids[place] == ids, run.cells[place], -1)
