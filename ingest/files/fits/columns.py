"""Columns of a binary table: how the bytes of a row, or of the heap, become values.

References
----------
FITS Standard 4.0, sections 7.3.3 and 7.3.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qserv_py.catalog.snapshot import IntArray
from qserv_py.ingest.files.fits.heap import Heap, byte_sizes
from qserv_py.ingest.files.fits.numbers import Scaling, bits, cells_of, truths, without_misfits
from qserv_py.ingest.files.fits.texts import TextDecoder
from qserv_py.ingest.values.converted import ConvertedColumn

Bytes = npt.NDArray[np.uint8]

BITS = {"L": 8, "X": 1, "B": 8, "I": 16, "J": 32, "K": 64, "A": 8, "E": 32, "D": 64, "C": 64, "M": 128}
"""Bits of one element, by the letter of its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a column needs to read its values: the heap and the decoder of texts."""

    texts: TextDecoder
    heap: Heap


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryColumn:
    """One column of a binary table."""

    name: str
    letter: str
    """Type of the elements."""

    at: int
    """Byte of the row at which the column begins, from 0."""

    width: int
    """Bytes that the column takes in a row."""

    descriptor: str
    """P or Q when its values lie on the heap, else empty."""

    unread: str
    """What the column holds instead of single values, such as arrays of 3 numbers; empty when it can be read."""

    scaling: Scaling | None
    """How stored numbers become values; None for texts, truth values and bits."""

    @property
    def kind(self) -> pa.DataType:
        """Type of its values."""
        if self.letter == "A":
            return pa.string()
        return pa.bool_() if self.scaling is None else pa.from_numpy_dtype(self.scaling.kind)

    def decode(self, rows: Bytes, source: Source) -> ConvertedColumn:
        """Return the values of some rows.

        Parameters
        ----------
        rows
            Bytes, shape (n, width of a row).

        Raises
        ------
        NotSingleError
            If they lie on the heap, and one has more or fewer elements than one.
        """
        cells = cells_of(rows, at=self.at, width=self.width)
        if self.descriptor:
            return self._from_heap(cells, source)
        return source.texts.fixed(cells) if self.letter == "A" else self._elements(cells)

    def sizes(self, rows: Bytes, heap: Heap) -> IntArray:
        """Return how many bytes of the heap the values of some rows take."""
        cells = cells_of(rows, at=self.at, width=self.width)
        found = heap.descriptors(cells, letter=self.descriptor, bits=BITS[self.letter])
        return byte_sizes(found.counts, BITS[self.letter])

    def _from_heap(self, cells: Bytes, source: Source) -> ConvertedColumn:
        found = source.heap.descriptors(cells, letter=self.descriptor, bits=BITS[self.letter])
        if self.letter == "A":
            texts = source.texts.decode(*source.heap.gather(found.places, found.counts))
            return ConvertedColumn(without_misfits(texts.values, found.misfits), (*found.misfits, *texts.misfits))
        wrong = found.counts != 1
        for unfit in found.misfits:
            wrong &= ~unfit.where
        if wrong.any():
            raise NotSingleError(f"arrays of {_numbered(found.counts)} elements")
        sizes = byte_sizes(found.counts, BITS[self.letter])
        size = BITS[self.letter] // 8 or 1
        elements = np.zeros((len(cells), size), dtype=np.uint8)
        elements[sizes > 0] = source.heap.gather(found.places, sizes)[1].reshape(-1, size)
        values = self._elements(elements)
        return ConvertedColumn(without_misfits(values.values, found.misfits), (*found.misfits, *values.misfits))

    def _elements(self, cells: Bytes) -> ConvertedColumn:
        """Return values of one element, of their bytes."""
        if self.letter in "LX":
            return truths(cells[:, 0]) if self.letter == "L" else bits(cells[:, 0])
        assert self.scaling is not None
        return self.scaling.decode(cells.view(self.scaling.stored)[:, 0])


class NotSingleError(Exception):
    """A column holds more than single values; the error's text says what it holds."""


def _numbered(counts: IntArray) -> str:
    least, most = int(counts.min()), int(counts.max())
    return f"{least} to {most}" if least != most else str(most)
