"""A chunk: one HEALPix cell in the NESTED scheme, and the range of order-29 cells that it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qserv_py.errors import UserError

HEALPIX_ORDER = 29
"""Order of ``healpix29``, the finest that fits a signed 64-bit number."""

HEALPIX_CELLS = 12 << (2 * HEALPIX_ORDER)
"""Number of cells of the whole sphere at order 29."""


@dataclass(frozen=True, slots=True, order=True)
class ChunkId:
    """HEALPix cell, NESTED; the unit of placement."""

    order: int
    pixel: int

    def __post_init__(self) -> None:
        if not 0 <= self.order <= HEALPIX_ORDER or not 0 <= self.pixel < 12 << (2 * self.order):
            raise UserError(
                f"chunk {self.order}/{self.pixel} does not exist: order 0 to 29, pixel 0 to 12*4**order - 1"
            )

    @property
    def shift(self) -> int:
        """Bits between a pixel of this order and one of order 29."""
        return 2 * (HEALPIX_ORDER - self.order)

    @property
    def first(self) -> int:
        """Smallest ``healpix29`` in the chunk."""
        return self.pixel << self.shift

    @property
    def end(self) -> int:
        """One more than the largest ``healpix29`` in the chunk."""
        return (self.pixel + 1) << self.shift

    @property
    def suffix(self) -> str:
        """Part of a relation's name that says the chunk: ``10_4242``."""
        return f"{self.order}_{self.pixel}"

    def __str__(self) -> str:
        return f"{self.order}/{self.pixel}"

    @classmethod
    def parse(cls, text: str) -> ChunkId:
        """Return the chunk written ``order/pixel`` or ``order_pixel``."""
        match = re.fullmatch(r"(\d{1,2})[/_](\d{1,19})", text)
        if match is None:
            raise UserError(f'"{text}" is not a chunk', hint="Write order/pixel, for example 10/4242.")
        return cls(int(match[1]), int(match[2]))
