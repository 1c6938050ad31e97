"""Rows of BINARY and BINARY2: bytes to rows, rows to columns.

Rows have no marks: each begins where the one before ends, and a value of varying length begins with its own length.
So a walk finds where rows and values are (of rows of one size: arithmetic), then numpy and Arrow take whole columns.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.snapshot import BoolArray, IntArray
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.reader import not_single
from qserv_py.ingest.files.slices import slices_of
from qserv_py.ingest.files.votable.fields import BITS, Field
from qserv_py.ingest.files.votable.values import null_number
from qserv_py.ingest.values.converted import ConvertedColumn, Misfits, found, without

Bytes = npt.NDArray[np.uint8]

_LENGTH = struct.Struct(">i")
_LARGEST_ROW = 1 << 28
_TYPES = {"unsignedByte": "u1", "short": ">i2", "int": ">i4", "long": ">i8", "float": ">f4", "double": ">f8"}
_TRUE, _FALSE, _NO_TRUTH = (np.frombuffer(letters, dtype=np.uint8) for letters in (b"Tt1", b"Ff0", b"\0 ?"))
_BIT_SET = np.array([0x80, 0x08, 0x01], dtype=np.uint8)
"""A single bit that is set: the first by the standard, the others as astropy and others write it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where rows were found in some bytes of a stream."""

    rows: IntArray
    """Place at which each row begins."""

    varying: IntArray
    """Beginning and end of each value of varying length, shape (rows, 2 * such columns)."""

    used: int
    """Bytes that all these rows take."""


class BinaryRows:
    """The layout of a table's rows in a stream.

    Parameters
    ----------
    has_flags
        Whether each row begins with a bit for each column that says whether it is NULL (BINARY2).
    encoding
        Encoding of the texts in ``char`` columns.
    as_astropy
        Whether varying arrays are as astropy writes them: the length of one of several dimensions counts its slices,
        not its items as the standard says, and each bit has a byte of its own.

    Raises
    ------
    ContributionError
        If it is not known where in a row a column begins.
    """

    def __init__(
        self, path: Path, fields: Sequence[Field], *, has_flags: bool, encoding: str, as_astropy: bool = False
    ) -> None:
        self._path = path
        self._fields = tuple(fields)
        self._encoding = encoding
        self._flags = (len(fields) + 7) // 8 if has_flags else 0
        self._gaps: list[int] = [self._flags]
        """Bytes before the length of each value of varying length, and after the last."""

        self._places: list[tuple[int, int]] = []
        """For each column: how many values of varying length come before it, and how many bytes after these."""

        self._bits: list[int] = []
        """Bits of one item of each value of varying length."""

        for field in self._fields:
            if not field.is_understood:
                raise not_single(path, field.name, field.why_not)
            self._places.append((len(self._bits), self._gaps[-1]))
            if field.varies:
                self._bits.append(_slice_bits(field) if as_astropy else BITS[field.datatype])
                self._gaps.append(0)
            else:
                self._gaps[-1] += _width(field)
        self.least = sum(self._gaps) + _LENGTH.size * len(self._bits)
        """Bytes of the shortest row that there can be."""

        if not 0 < self.least < _LARGEST_ROW:
            raise ContributionError(f"rows of {path} have {self.least} bytes, which cannot be")

    def find(self, data: bytes, *, most: int, rows_before: int) -> Found:
        """Return where the whole rows at the beginning of some bytes are, some number of them at most.

        Raises
        ------
        ContributionError
            If a value has a length that cannot be.
        """
        if not self._bits:
            count = min(len(data) // self.least, most)
            return Found(np.arange(count) * self.least, np.empty((count, 0), dtype=np.int64), count * self.least)
        marks, ends = self._walk(data, most, rows_before)
        count = len(ends)
        varying = np.array(marks[: count * 2 * len(self._bits)], dtype=np.int64).reshape(count, 2 * len(self._bits))
        rows = np.zeros(count, dtype=np.int64)
        rows[1:] = ends[:-1]
        return Found(rows, varying, ends[-1] if ends else 0)

    def _walk(self, data: bytes, most: int, rows_before: int) -> tuple[list[int], list[int]]:
        """Return beginning and end of each value of varying length, and the end of each whole row."""
        unpack, size, after = _LENGTH.unpack_from, len(data), self._gaps[-1]
        steps = list(zip(self._gaps[:-1], self._bits, strict=True))
        marks: list[int] = []
        ends: list[int] = []
        note, at = marks.append, 0
        for _ in range(most):
            start = at
            for gap, bits in steps:
                at += gap + 4
                if at > size:
                    return marks, ends
                (count,) = unpack(data, at - 4)
                note(at)
                at += (count * bits + 7) >> 3
                if count < 0 or at - start > _LARGEST_ROW:
                    raise ContributionError(
                        f"row {rows_before + len(ends) + 1} of {self._path} has a value of {count} items",
                        hint="The file is damaged, or its FIELDs do not say what its STREAM holds.",
                    )
                note(at)
            at += after
            if at > size:
                break
            ends.append(at)
        return marks, ends

    def column(self, data: bytes, found: Found, place: int) -> ConvertedColumn:
        """Return the values of a column that can be read."""
        field = self._fields[place]
        varying_before, gap = self._places[place]
        begin = (found.varying[:, 2 * varying_before - 1] if varying_before else found.rows) + gap
        if field.varies:
            begin, end = found.varying[:, 2 * varying_before], found.varying[:, 2 * varying_before + 1]
        else:
            end = begin + _width(field)
        if field.is_text:
            column = _texts(data, begin, end, field, self._encoding)
        elif field.is_bytes:
            column = ConvertedColumn(slices_of(data, begin, end))
        elif field.varies:
            column = _items(data, begin, end, field)
        else:
            column = _single(_bytes_at(data, begin, _width(field)), field)
        if not self._flags:
            return column
        flags = _bytes_at(data, found.rows + place // 8, 1)[:, 0] & (0x80 >> place % 8)
        return _absent(column, flags != 0)


def _width(field: Field) -> int:
    """Return the bytes of a value, of a column whose length does not vary."""
    return (field.count * BITS[field.datatype] + 7) // 8


def is_other_to_astropy(field: Field) -> bool:
    """Return whether astropy writes a column otherwise than the standard says."""
    return field.varies and _slice_bits(field) != BITS[field.datatype]


def _slice_bits(field: Field) -> int:
    """Return the bits of a slice of an array, in whole bytes: all its items but for the last dimension."""
    return (math.prod(field.sizes[:-1]) * BITS[field.datatype] + 7) // 8 * 8


def _absent(column: ConvertedColumn, where: BoolArray) -> ConvertedColumn:
    """Return a column with NULL, and no misfit, at some places."""
    kept = [Misfits(misfit.where & ~where, misfit.reason) for misfit in column.misfits]
    return ConvertedColumn(without(column.values, where), tuple(misfit for misfit in kept if misfit.where.any()))


def _bytes_at(data: bytes, begin: IntArray, width: int) -> Bytes:
    """Return some bytes of each row, shape (rows, width)."""
    if not len(begin):
        return np.empty((0, width), dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, dtype=np.uint8), width)
    found: Bytes = windows[begin]
    return found


def _single(raw: Bytes, field: Field) -> ConvertedColumn:
    """Return the values of a column of single numbers or truths."""
    if field.datatype == "boolean":
        return _truths(raw[:, 0], true=_TRUE, false=_FALSE, absent=_NO_TRUTH, reason="neither true nor false")
    if field.datatype == "bit":
        return _truths(raw[:, 0], true=_BIT_SET, false=_NO_TRUTH[:1], absent=raw[:0, 0], reason="neither 0 nor 1")
    numbers = raw.view(_TYPES[field.datatype])[:, 0]
    values = pa.array(numbers.astype(numbers.dtype.newbyteorder("=")))
    null = null_number(field)
    return ConvertedColumn(values if null is None else without(values, numbers == numbers.dtype.type(null)))


def _truths(letters: Bytes, *, true: Bytes, false: Bytes, absent: Bytes, reason: str) -> ConvertedColumn:
    is_true = np.isin(letters, true)
    is_absent = np.isin(letters, absent)
    bad = ~(is_true | is_absent | np.isin(letters, false))
    return ConvertedColumn(pa.array(is_true, mask=is_absent | bad), found(bad, reason))


def _items(data: bytes, begin: IntArray, end: IntArray, field: Field) -> ConvertedColumn:
    """Return the values of a column of arrays that hold one item at most; none is NULL."""
    width = (BITS[field.datatype] + 7) // 8
    lengths = (end - begin) // width
    one = lengths == 1
    raw = np.zeros((len(begin), width), dtype=np.uint8)
    raw[one] = _bytes_at(data, begin[one], width)
    column = _absent(_single(raw, field), ~one)
    return ConvertedColumn(column.values, column.misfits + found(lengths > 1, "an array of several values"))


def _texts(data: bytes, begin: IntArray, end: IntArray, field: Field, encoding: str) -> ConvertedColumn:
    """Return texts, each up to its first zero character: what comes after it is not defined."""
    if field.datatype == "unicodeChar":
        column = _decoded(slices_of(data, begin, end), "utf-16-be")
    elif encoding.lower() not in {"utf-8", "utf8", "ascii", "us-ascii"}:
        column = _decoded(slices_of(data, begin, end), encoding)
    else:
        column = _utf8(slices_of(data, begin, end))
    values = column.values
    if pc.any(pc.match_substring(values, "\0")).as_py():
        values = pc.replace_substring_regex(values, "(?s)\\x00.*", "")
    if field.null is not None:
        values = without(values, pc.fill_null(pc.equal(values, field.null), False).to_numpy(zero_copy_only=False))
    return ConvertedColumn(values, column.misfits)


def _utf8(values: pa.Array) -> ConvertedColumn:
    try:
        return ConvertedColumn(values.cast(pa.string()))
    except pa.ArrowInvalid:
        return _decoded(values, "utf-8")


def _decoded(values: pa.Array, encoding: str) -> ConvertedColumn:
    """Return texts, decoded one by one."""
    bad = np.zeros(len(values), dtype=np.bool_)
    texts: list[str | None] = []
    for place, value in enumerate(values.to_pylist()):
        try:
            texts.append(value.decode(encoding))
        except UnicodeDecodeError:
            texts.append(None)
            bad[place] = True
    name = {"utf-16-be": "UTF-16", "utf-8": "UTF-8"}.get(encoding, encoding)
    return ConvertedColumn(pa.array(texts, pa.string()), found(bad, f"not a text in {name}"))
