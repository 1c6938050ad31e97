"""The heap of a binary table, where values of varying length lie; their rows hold descriptors: number and place.

References
----------
FITS Standard 4.0, section 7.3.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.catalog.snapshot import IntArray
from qserv_py.ingest.files.decompressed import FileBytes
from qserv_py.ingest.files.slices import slices_of
from qserv_py.ingest.values.converted import Misfits

Array = npt.NDArray[Any]

_GAPS_READ = 1 << 20
"""Bytes between values that are read along with them rather than passed over."""

_MOST_BYTES = (1 << 31) - 1
"""Bytes that one value may have: Arrow counts them in 31 bits."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Where the values of some rows lie on the heap."""

    counts: IntArray
    """Number of elements of each value; 0 where the descriptor cannot be right."""

    places: IntArray
    """Place of each value: bytes from the beginning of the heap."""

    misfits: tuple[Misfits, ...]


@dataclass(frozen=True, slots=True)
class Heap:
    """The heap of one table."""

    file: FileBytes
    at: int
    size: int

    def descriptors(self, cells: Array, *, letter: str, bits: int) -> Descriptors:
        """Return the descriptors of a column, checked against the size of the heap.

        Parameters
        ----------
        cells
            Bytes of the column, side by side, shape (n, 8) or (n, 16).
        letter
            P for 32 bits, Q for 64 bits.
        bits
            Bits of one element.
        """
        pairs = cells.view(">i4" if letter == "P" else ">i8").reshape(-1, 2).astype(np.int64)
        counts, places = pairs[:, 0], pairs[:, 1]
        # So that nothing overflows, a count of elements that the heap cannot hold is refused before it is multiplied.
        outside = (counts < 0) | (counts > self.size * 8 // bits)
        sizes = byte_sizes(np.where(outside, 0, counts), bits)
        outside |= (counts > 0) & ((places < 0) | (places > self.size - sizes))
        large = ~outside & (sizes > _MOST_BYTES)
        unfit = (
            Misfits(outside, f"its descriptor points outside of the heap of {self.size} bytes"),
            Misfits(large, f"it has more than {_MOST_BYTES} bytes"),
        )
        bad = outside | large
        counts, places = np.where(bad, 0, counts), np.where(bad | (counts <= 0), 0, places)
        return Descriptors(counts, places, tuple(each for each in unfit if each.where.any()))

    def gather(self, places: IntArray, sizes: IntArray) -> tuple[IntArray, Array]:
        """Return bytes of the heap side by side.

        Parameters
        ----------
        places, sizes
            Where each value lies and how many bytes it has, shape (n,).

        Returns
        -------
        offsets, data
            Where each value begins in ``data`` and where the last ends, shape (n + 1,); the bytes.
        """
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        total, filled = int(offsets[-1]), sizes > 0
        if not total:
            return offsets, np.empty(0, dtype=np.uint8)
        low, high = int(places[filled].min()), int((places + sizes)[filled].max())
        if high - low > total + _GAPS_READ:
            pieces = [
                self.file.read(self.at + int(place), int(size)) for place, size in zip(places, sizes, strict=True)
            ]
            return offsets, np.frombuffer(b"".join(pieces), dtype=np.uint8)
        span = self.file.read(self.at + low, high - low)
        if high - low == total and bool((places[filled] - low == offsets[:-1][filled]).all()):
            return offsets, np.frombuffer(span, dtype=np.uint8)
        begin = np.where(filled, places - low, 0)
        values = slices_of(span, begin, begin + sizes).buffers()[2]
        return offsets, np.frombuffer(values, dtype=np.uint8, count=total)


def byte_sizes(counts: IntArray, bits: int) -> IntArray:
    """Return how many bytes so many elements take."""
    sizes: IntArray = (counts * bits + 7) // 8
    return sizes
