"""Rows as bytes, big-endian, for VOTable's BINARY and BINARY2; columns are laid out by numpy, rows joined by Arrow.

Neighbouring columns of fixed width are one numpy structure. A value that varies goes between two such structures, of
which the first ends with its length; so a row is a join of byte strings, which Arrow does at the speed of a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.types import DataType
from qserv_py.czar.formats.cells import times
from qserv_py.czar.formats.fields import NULL_VALUES, Field
from qserv_py.czar.formats.values import (
    Pieces,
    Values,
    elements,
    fixed_arrays,
    numbers,
    refuse_value,
    texts,
    utf16,
)

Run = list[tuple[Values, str]]
"""Values, shape (n,) or (n, k), and the numpy type they are written in."""

_TYPES = {"boolean": "u1", "short": ">i2", "int": ">i4", "long": ">i8", "float": ">f4", "double": ">f8"}
_NO_TRUTH = ord("?")


def binary_rows(batch: pa.RecordBatch, fields: Sequence[Field], *, null_flags: bool) -> bytes:
    """Return the rows of a batch.

    Parameters
    ----------
    batch
        Rows to write, at least one.
    fields
        The columns.
    null_flags
        Whether each row begins with a bit for each column that says whether it is NULL (BINARY2).
    """
    run: Run = [(_null_flags(batch), "u1")] if null_flags else []
    joined: list[pa.Array] = []
    for field, column in zip(fields, batch.columns, strict=True):
        if field.size is not None:
            run.append((_fixed(column, field, refuses=not null_flags), _TYPES[field.datatype]))
            continue
        counts, pieces = _varying(column, field)
        joined += [_byte_strings(packed([*run, (counts, ">i4")])), _as_arrow(pieces)]
        run = []
    if not joined:
        return packed(run).tobytes()
    if run:
        joined.append(_byte_strings(packed(run)))
    return join_bytes(joined)


def packed(run: Run) -> Values:
    """Return columns of fixed width side by side, as a numpy structure of n rows."""
    layout = np.dtype([(f"f{place}", kind, values.shape[1:]) for place, (values, kind) in enumerate(run)])
    rows = np.empty(len(run[0][0]), dtype=layout)
    for place, (values, _) in enumerate(run):
        rows[f"f{place}"] = values
    return rows


def join_bytes(columns: Sequence[pa.Array]) -> bytes:
    """Return the byte strings of each row, one row after the other."""
    rows = pc.binary_join_element_wise(*columns, pa.scalar(b"", pa.large_binary()))
    return texts(rows).data.tobytes()


def _null_flags(batch: pa.RecordBatch) -> Values:
    flags = np.zeros((batch.num_rows, (batch.num_columns + 7) // 8), dtype=np.uint8)
    for place, column in enumerate(batch.columns):
        if column.null_count:
            flags[:, place // 8] |= np.asarray(column.is_null()).astype(np.uint8) << (7 - place % 8)
    return flags


def _fixed(column: pa.Array, field: Field, *, refuses: bool) -> Values:
    null = _NO_TRUTH if field.datatype == "boolean" else NULL_VALUES.get(field.datatype, 0)
    if field.is_array:
        _refuse_null_elements(column, field)
        return fixed_arrays(column, field.size or 1, null, field.name)
    if refuses:
        refuse_value(column, null, field.name, "VOTable BINARY")
    return numbers(column, null)


def _refuse_null_elements(column: pa.Array, field: Field) -> None:
    if field.datatype in NULL_VALUES:
        refuse_value(
            elements(column)[1], NULL_VALUES[field.datatype], field.name, "arrays of VOTable", instead="parquet"
        )


def _varying(column: pa.Array, field: Field) -> tuple[Values, Pieces]:
    """Return the length of each value as it is written before it, and the bytes of the values."""
    if field.is_array:
        _refuse_null_elements(column, field)
        lengths, flat = elements(column)
        found = numbers(flat, NULL_VALUES.get(field.datatype, 0))
        data = np.ascontiguousarray(found, dtype=_TYPES[field.datatype])
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return lengths, Pieces(offsets * data.itemsize, data.view(np.uint8))
    if field.column.datatype is DataType.TIMESTAMP:
        column = times(column)
    pieces = texts(column)
    if field.datatype == "unicodeChar":
        pieces = utf16(pieces)
        return pieces.lengths // 2, pieces
    return pieces.lengths, pieces


def _byte_strings(rows: Values) -> pa.Array:
    width = rows.dtype.itemsize
    return _as_arrow(Pieces(np.arange(len(rows) + 1, dtype=np.int64) * width, rows))


def _as_arrow(pieces: Pieces) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(pieces.offsets, dtype=np.int64)), pa.py_buffer(pieces.data)]
    return pa.Array.from_buffers(pa.large_binary(), len(pieces.offsets) - 1, buffers)
