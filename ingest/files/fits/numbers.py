"""Numbers, truth values and bits of FITS columns: from the bytes of a row to Arrow, NULL and scaling applied.

TNULL is a stored value, so it is looked for before TSCAL and TZERO are applied. TZERO alone keeps whole numbers whole:
that is how FITS writes unsigned (and signed 8-bit) integers, and any other shift is as exact. With another TSCAL the
value is ``TZERO + TSCAL * stored`` in double precision.

References
----------
FITS Standard 4.0, sections 5.3 and 7.3.2 to 7.3.3.1 (tables 18 and 19).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qserv_py.catalog.snapshot import BoolArray
from qserv_py.ingest.values.converted import ConvertedColumn, Misfits, without

Array = npt.NDArray[Any]

INTEGERS = {"B": "u1", "I": "i2", "J": "i4", "K": "i8"}
FLOATS = {"E": "f4", "D": "f8"}
CONVENTIONS = {("B", -(1 << 7)): "i1", ("I", 1 << 15): "u2", ("J", 1 << 31): "u4", ("K", 1 << 63): "u8"}
_EXACT_IN_DOUBLE = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What stored numbers mean."""

    stored: np.dtype[Any]
    """Type of the stored numbers, with the byte order of the file."""

    scale: int | float = 1
    zero: int | float = 0
    null: int | None = None
    """Stored number that means NULL; integers alone have one."""

    convention: str = ""
    """Type of the numbers if they are unsigned ones (or signed bytes) by the convention of TZERO."""

    @property
    def is_whole(self) -> bool:
        """Whether the numbers are whole ones."""
        return self.stored.kind in "iu" and self.scale == 1 and float(self.zero).is_integer()

    @property
    def kind(self) -> np.dtype[Any]:
        """Type of the numbers in memory."""
        if self.convention:
            return np.dtype(self.convention)
        if self.scale == 1 and self.zero == 0:
            return self.stored.newbyteorder("=")
        if not self.is_whole:
            return np.dtype("f8")
        least, most = (int(limit) + int(self.zero) for limit in _limits(self.stored))
        return np.dtype("u8" if least >= 0 and most > np.iinfo("i8").max else "i8")

    def decode(self, stored: Array) -> ConvertedColumn:
        """Return the numbers.

        Parameters
        ----------
        stored
            Shape (n,).
        """
        absent = np.zeros(len(stored), dtype=np.bool_) if self.null is None else stored == self.null
        if self.scale == 1 and self.zero == 0:
            return decoded(stored.astype(self.kind, copy=False), absent)
        if self.is_whole:
            return _shifted(stored, int(self.zero), self.kind, absent)
        return self._scaled(stored, absent)

    def _scaled(self, stored: Array, absent: BoolArray) -> ConvertedColumn:
        numbers = stored.astype("f8")
        with np.errstate(over="ignore", invalid="ignore"):
            values = numbers * float(self.scale) + float(self.zero)
        outside = ~absent & ~np.isfinite(values) & np.isfinite(numbers)
        unfit = [Misfits(outside, "scaled, it is outside the range of an 8-byte floating point number")]
        if self.stored.itemsize == np.dtype("i8").itemsize and self.stored.kind == "i":
            large = (stored > _EXACT_IN_DOUBLE) | (stored < -_EXACT_IN_DOUBLE)
            unfit.append(Misfits(~absent & large, "beyond 2^53 a whole number cannot be scaled exactly"))
        return decoded(values, absent, *unfit)


def cells_of(rows: Array, *, at: int, width: int) -> Array:
    """Return the bytes of a column, side by side.

    Parameters
    ----------
    rows
        Bytes side by side, shape (n, width of a row).
    at, width
        Where the column begins in its row, and its bytes.

    Returns
    -------
    cells
        Shape (n, width).
    """
    count = len(rows)
    if not count or not width:
        return np.empty((count, width), dtype=np.uint8)
    # As items of all bytes they are copied at once; byte by byte takes half of the reader's time.
    items = np.ndarray(count, f"V{width}", buffer=rows, offset=at, strides=rows.strides[:1])
    return np.ascontiguousarray(items).view(np.uint8).reshape(count, width)


def scaling_of(letter: str, *, scale: int | float, zero: int | float, null: int | None) -> Scaling:
    """Return what the numbers of a column of a binary table mean."""
    stored = np.dtype(">" + (INTEGERS | FLOATS)[letter])
    whole = scale == 1 and float(zero).is_integer()
    convention = CONVENTIONS.get((letter, int(zero)), "") if whole else ""
    return Scaling(stored=stored, scale=scale, zero=zero, null=null, convention=convention)


def decoded(values: Array, absent: BoolArray, *unfit: Misfits) -> ConvertedColumn:
    """Return an array that is NULL where values are absent or unfit."""
    found = tuple(each for each in unfit if each.where.any())
    for each in found:
        absent = absent | each.where
    return ConvertedColumn(pa.array(values, mask=absent if absent.any() else None), found)


def without_misfits(values: pa.Array, unfit: tuple[Misfits, ...]) -> pa.Array:
    """Return values with NULL in place of those that cannot be given."""
    for each in unfit:
        values = without(values, each.where)
    return values


def truths(stored: Array) -> ConvertedColumn:
    """Return truth values of the bytes T and F; a zero byte is NULL."""
    true, absent = stored == ord("T"), stored == 0
    odd = ~(true | absent | (stored == ord("F")))
    return decoded(true, absent, Misfits(odd, "a truth value that is neither T, F nor a zero byte"))


def bits(stored: Array) -> ConvertedColumn:
    """Return the first bit of each byte as a truth value."""
    return decoded(stored >= 1 << 7, np.zeros(len(stored), dtype=np.bool_))


def _shifted(stored: Array, zero: int, kind: np.dtype[Any], absent: BoolArray) -> ConvertedColumn:
    """Return whole numbers plus ``zero``, exactly: modulo 2^64, and only where the sum is in range."""
    least, most = _limits(kind)
    outside = ~absent & ((stored < least - zero) | (stored > most - zero))
    sums = stored.astype("i8").view("u8") + np.uint64(zero % (1 << 64))
    wide = sums.view("i8") if kind.kind == "i" else sums
    return decoded(wide.astype(kind), absent, Misfits(outside, f"with TZERO it is outside {least} to {most}"))


def _limits(kind: np.dtype[Any]) -> tuple[int, int]:
    limits = np.iinfo(kind)
    return int(limits.min), int(limits.max)
