"""Columns of a binary table: what TFORMn and its companions say, and how the bytes of a row become values.

References
----------
FITS Standard 4.0, section 7.3.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qserv_py.catalog.snapshot import IntArray
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.fits.heap import Heap, byte_sizes
from qserv_py.ingest.files.fits.numbers import (
    CONVENTIONS,
    FLOATS,
    INTEGERS,
    Decoded,
    Scaling,
    bits,
    cells_of,
    scaling_of,
    truths,
    without,
)
from qserv_py.ingest.files.fits.texts import TextDecoder
from qserv_py.ingest.files.fits.units import Keywords

Bytes = npt.NDArray[np.uint8]

_FORM = re.compile(r"([0-9]*)([LXBIJKAEDCM])(.*)")
_HEAPED_FORM = re.compile(r"([01]?)([PQ])([LXBIJKAEDCM])(.*)")
_SHAPE = re.compile(r"\( *[0-9]+ *(, *[0-9]+ *)*\)")
_SUBSTRINGS = re.compile(r"[0-9]+|:SSTR([0-9]+)(/[0-9]+)?")
_BITS = {"L": 8, "X": 1, "B": 8, "I": 16, "J": 32, "K": 64, "A": 8, "E": 32, "D": 64, "C": 64, "M": 128}
_ASTROPY_NULLS = {"B": 63, "I": 16959, "J": 999999, "K": 999999}
"""TNULLn of masked columns as astropy writes them: its fill value 999999 in as many bits. In columns of unsigned
numbers it means the number after TZEROn was applied, against the standard."""

_DESCRIPTOR_BYTES = {"P": 8, "Q": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What the values of a table are read with."""

    texts: TextDecoder
    heap: Heap


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryColumn:
    """One column of a binary table."""

    name: str
    letter: str
    """Type of the elements."""

    at: int
    """Byte of the row that it begins at, from 0."""

    width: int
    """Bytes of it in a row."""

    descriptor: str
    """P or Q when its values lie on the heap, else empty."""

    unread: str
    """What it holds instead of single values; empty when it can be read."""

    scaling: Scaling | None
    """What its numbers mean; None for texts, truth values and bits."""

    @property
    def kind(self) -> pa.DataType:
        """Type of its values."""
        if self.letter == "A":
            return pa.string()
        return pa.bool_() if self.scaling is None else pa.from_numpy_dtype(self.scaling.kind)

    def decode(self, rows: Bytes, source: Source) -> Decoded:
        """Return the values of some rows.

        Parameters
        ----------
        rows
            Bytes, shape (n, width of a row).

        Raises
        ------
        ContributionError
            If they lie on the heap, and one has more or fewer elements than one.
        """
        cells = cells_of(rows, at=self.at, width=self.width)
        if self.descriptor:
            return self._from_heap(cells, source)
        return source.texts.fixed(cells) if self.letter == "A" else self._elements(cells)

    def sizes(self, rows: Bytes, heap: Heap) -> IntArray:
        """Return how many bytes of the heap the values of some rows take."""
        cells = cells_of(rows, at=self.at, width=self.width)
        found = heap.descriptors(cells, letter=self.descriptor, bits=_BITS[self.letter])
        return byte_sizes(found.counts, _BITS[self.letter])

    def _from_heap(self, cells: Bytes, source: Source) -> Decoded:
        found = source.heap.descriptors(cells, letter=self.descriptor, bits=_BITS[self.letter])
        if self.letter == "A":
            texts = source.texts.decode(*source.heap.gather(found.places, found.counts))
            return Decoded(without(texts.values, found.unfit), (*found.unfit, *texts.unfit))
        wrong = found.counts != 1
        for unfit in found.unfit:
            wrong &= ~unfit.where
        if wrong.any():
            raise NotSingleError(f"arrays of {_numbered(found.counts)} elements")
        sizes = byte_sizes(found.counts, _BITS[self.letter])
        size = _BITS[self.letter] // 8 or 1
        elements = np.zeros((len(cells), size), dtype=np.uint8)
        elements[sizes > 0] = source.heap.gather(found.places, sizes)[1].reshape(-1, size)
        values = self._elements(elements)
        return Decoded(without(values.values, found.unfit), (*found.unfit, *values.unfit))

    def _elements(self, cells: Bytes) -> Decoded:
        """Return values of one element, of their bytes."""
        if self.letter in "LX":
            return truths(cells[:, 0]) if self.letter == "L" else bits(cells[:, 0])
        assert self.scaling is not None
        return self.scaling.decode(cells.view(self.scaling.stored)[:, 0])


class NotSingleError(Exception):
    """A column holds what is no single value; its text says what."""


def binary_columns(keywords: Keywords, notes: list[str]) -> list[BinaryColumn]:
    """Return the columns of a binary table.

    Parameters
    ----------
    notes
        Takes what should be known of keywords that mean nothing.

    Raises
    ------
    ContributionError
        If a column's keywords make no sense, or their widths are not that of a row.
    """
    columns: list[BinaryColumn] = []
    at = 0
    for number in range(1, keywords.whole("TFIELDS") + 1):
        column = _column(keywords, number, at, notes)
        columns.append(column)
        at += column.width
    if at != keywords.whole("NAXIS1"):
        raise ContributionError(
            f"{keywords.place}: a row has {keywords.whole('NAXIS1')} bytes, its columns have {at}",
            detail="NAXIS1 is not the sum of what the TFORMn say.",
        )
    return columns


def column_name(keywords: Keywords, number: int) -> str:
    """Return the name of a column; one without a name is called as astropy and STIL do."""
    return keywords.text(f"TTYPE{number}") or f"col{number}"


def _column(keywords: Keywords, number: int, at: int, notes: list[str]) -> BinaryColumn:
    form = keywords.text(f"TFORM{number}").strip()
    name = column_name(keywords, number)
    if heaped := _HEAPED_FORM.fullmatch(form):
        repeat, descriptor, letter, _ = heaped.groups()
        count = int(repeat or 1)
        width = count * _DESCRIPTOR_BYTES[descriptor]
        unread = "no values" if not count else _complex(letter)
    elif plain := _FORM.fullmatch(form):
        descriptor, letter, count = "", plain[2], int(plain[1] or 1)
        width = (count * _BITS[letter] + 7) // 8
        unread = _why_not(keywords, number, letter, count, plain[3])
    else:
        raise keywords.wrong(f"TFORM{number}", "a format of binary tables, such as 1J or 20A")
    scaling = _scaling(keywords, number, name, letter, notes)
    return BinaryColumn(
        name=name, letter=letter, at=at, width=width, descriptor=descriptor, unread=unread, scaling=scaling
    )


def _why_not(keywords: Keywords, number: int, letter: str, count: int, rest: str) -> str:
    """Return what a column that is not heaped holds instead of single values."""
    shape = _shape(keywords, number)
    if letter == "A":
        substrings = _SUBSTRINGS.fullmatch(rest)
        width = int(substrings[1] or substrings[0]) if substrings else count
        if shape and math.prod(shape) != count:
            return f"texts of {count} characters in the shape {shape}"
        texts = math.prod(shape[1:]) if shape else -(-count // width) if width else 1
        return f"arrays of {texts} texts" if texts != 1 and count else ""
    if count == 0:
        return "no values"
    if count > 1:
        elements = {"X": "bits"}.get(letter, "elements")
        fits = len(shape) > 1 and math.prod(shape) == count
        return f"arrays of shape {shape}" if fits else f"arrays of {count} {elements}"
    return _complex(letter)


def _complex(letter: str) -> str:
    return "complex numbers" if letter in "CM" else ""


def _shape(keywords: Keywords, number: int) -> tuple[int, ...]:
    """Return TDIMn, the fastest axis first; empty when it is not there."""
    text = keywords.text(f"TDIM{number}").strip()
    if text and not _SHAPE.fullmatch(text):
        raise keywords.wrong(f"TDIM{number}", "a shape, such as (4,5)")
    return tuple(int(side) for side in text.strip("()").split(",")) if text else ()


def _scaling(keywords: Keywords, number: int, name: str, letter: str, notes: list[str]) -> Scaling | None:
    """Return what the numbers of a column mean; None when they are none."""
    null = f"TNULL{number}"
    if letter not in INTEGERS and null in keywords:
        why = "NaN is NULL in floating point columns" if letter in FLOATS else "only whole numbers have one"
        notes.append(f'column "{name}": {null} = {keywords.value(null)!r} means nothing, {why}')
    if letter not in INTEGERS and letter not in FLOATS:
        return None
    scale, zero = keywords.number(f"TSCAL{number}", 1), keywords.number(f"TZERO{number}", 0)
    if scale == 0:
        raise keywords.wrong(f"TSCAL{number}", "a number other than 0")
    stands_for_null = _null(keywords, number, name, letter, notes) if letter in INTEGERS else None
    return scaling_of(letter, scale=scale, zero=zero, null=stands_for_null)


def _null(keywords: Keywords, number: int, name: str, letter: str, notes: list[str]) -> int | None:
    """Return the stored number that means NULL, if there is one and the column can hold it."""
    key = f"TNULL{number}"
    if key not in keywords:
        return None
    value = keywords.value(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise keywords.wrong(key, "a whole number")
    physical = _after_zero(letter, value, keywords.number(f"TSCAL{number}", 1), keywords.number(f"TZERO{number}", 0))
    if physical is not None:
        notes.append(f'column "{name}": {key} = {value} is the number after TZERO, as astropy writes it')
        return physical
    if not _holds(letter, value):
        notes.append(f'column "{name}": {key} = {value} is no number that the column can hold, so it has no NULL')
        return None
    return value


def _after_zero(letter: str, value: int, scale: int | float, zero: int | float) -> int | None:
    """Return the stored number for a TNULLn that is meant after TZEROn was applied; None if it is meant as stored."""
    is_convention = scale == 1 and float(zero).is_integer() and (letter, int(zero)) in CONVENTIONS
    if not is_convention or (value != _ASTROPY_NULLS[letter] and _holds(letter, value)):
        return None
    return value - int(zero) if _holds(letter, value - int(zero)) else None


def _holds(letter: str, value: int) -> bool:
    limits = np.iinfo(INTEGERS[letter])
    return bool(limits.min <= value <= limits.max)


def _numbered(counts: IntArray) -> str:
    least, most = int(counts.min()), int(counts.max())
    return f"{least} to {most}" if least != most else str(most)
