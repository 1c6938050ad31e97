"""Counts rows by HEALPix cell while their positions stream past, in bounded memory.

Only occupied cells are kept. New cells wait in a list and are merged when there are as many of them as merged ones, so
the whole costs a few sorts however many batches come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qserv_py.catalog.chunk import HEALPIX_ORDER
from qserv_py.catalog.snapshot import IntArray

_MERGE_AT_LEAST = 1 << 16


@dataclass(frozen=True, eq=False)
class Density:
    """Rows by cell of one order; only cells with rows."""

    order: int
    pixels: IntArray
    """NESTED pixels, ascending, shape (n,)."""

    counts: IntArray
    """Rows of each cell, shape (n,)."""

    @property
    def rows(self) -> int:
        """All rows together."""
        return int(self.counts.sum())


class DensityCounter:
    """Counts rows by cell of an order while they stream past."""

    def __init__(self, *, order: int) -> None:
        self._order = order
        self._merged = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        self._waiting: list[tuple[IntArray, IntArray]] = []
        self._waiting_cells = 0

    def add(self, cells: IntArray) -> None:
        """Count rows by their ``healpix29``, in any order."""
        pixels, counts = np.unique(cells >> (2 * (HEALPIX_ORDER - self._order)), return_counts=True)
        self._waiting.append((pixels, counts.astype(np.int64)))
        self._waiting_cells += len(pixels)
        if self._waiting_cells > max(_MERGE_AT_LEAST, len(self._merged[0])):
            self._merge()

    def remove(self, cells: IntArray) -> None:
        """Subtract rows that were counted and turn out not to be loaded, by their ``healpix29``."""
        pixels, counts = np.unique(cells >> (2 * (HEALPIX_ORDER - self._order)), return_counts=True)
        self._waiting.append((pixels, -counts.astype(np.int64)))

    def density(self) -> Density:
        """Return what was counted so far."""
        self._merge()
        pixels, counts = self._merged
        return Density(self._order, pixels[counts > 0], counts[counts > 0])

    def _merge(self) -> None:
        if not self._waiting:
            return
        pixels = np.concatenate([self._merged[0], *(cells for cells, _ in self._waiting)])
        counts = np.concatenate([self._merged[1], *(rows for _, rows in self._waiting)])
        by_pixel = np.argsort(pixels, kind="stable")
        pixels, counts = pixels[by_pixel], counts[by_pixel]
        first = np.flatnonzero(np.concatenate(([True], pixels[1:] != pixels[:-1]))) if len(pixels) else pixels
        self._merged = (pixels[first], np.add.reduceat(counts, first) if len(first) else counts)
        self._waiting, self._waiting_cells = [], 0
