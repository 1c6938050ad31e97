"""Arrow tables to the bytes of PostgreSQL's binary COPY, in numpy.

A row is a count of fields, then for each field its length and its bytes, all big-endian. A block of rows is written as
one structured array (near the speed of memcpy), short texts padded; then what NULLs and padding leave empty is cut
away, and long texts are put between the pieces by a mask. No step visits single rows in Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

ROWS_IN_BLOCK = 1 << 14
"""Rows encoded together: a few megabytes, which stay in the processor's cache."""

_PADDED_TEXT = 32
"""Bytes up to which the texts of a block are padded to one width and handled like fixed values."""

POSTGRES_EPOCH_US = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970; PostgreSQL counts its times from there."""

_WIRE: dict[DataType, str] = {
    DataType.BOOLEAN: "u1",
    DataType.BYTE: ">i2",
    DataType.SHORT: ">i2",
    DataType.INT: ">i4",
    DataType.LONG: ">i8",
    DataType.FLOAT: ">f4",
    DataType.DOUBLE: ">f8",
    DataType.TIMESTAMP: ">i8",
}

ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CopyColumn:
    """A column of the COPY: its name in the Arrow table and its type."""

    name: str
    datatype: DataType

    @property
    def is_fixed(self) -> bool:
        """Whether every value has the same number of bytes."""
        return self.datatype in _WIRE


def encode_copy(table: pa.Table, columns: Sequence[CopyColumn]) -> Iterator[bytes | memoryview]:
    """Encode a table as the stream of ``COPY ... FROM STDIN (FORMAT binary)``.

    Parameters
    ----------
    table
        Columns have the Arrow types of ``DataType.names.arrow``.
    columns
        Columns in the order in which COPY names them.
    """
    yield HEADER
    for batch in table.to_batches(max_chunksize=ROWS_IN_BLOCK):
        if batch.num_rows:
            yield encode_rows(batch, columns)
    yield TRAILER


def encode_rows(batch: pa.RecordBatch, columns: Sequence[CopyColumn]) -> memoryview:
    """Encode the rows of one batch, without header and trailer."""
    fields = [_field_of(batch.column(column.name), column) for column in columns]
    fixed = np.empty(batch.num_rows, dtype=_row_layout(fields))
    fixed["count"] = len(columns)
    for place, field in enumerate(fields):
        fixed[f"l{place}"] = field.lengths
        if field.values is not None:
            fixed[f"v{place}"] = field.values
    flat = _without_holes(fixed, fields)
    if any(field.text is not None for field in fields):
        flat = _with_texts(flat, fixed, fields)
    return memoryview(flat)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """One column of a batch that is being encoded: values of fixed width in the row, or texts that are put in later."""

    lengths: npt.NDArray[np.int32] | int
    """Bytes of each value, -1 for NULL."""

    values: npt.NDArray[Any] | None = None
    wire: str = ""
    """Type of the values in the row."""

    text: pa.Array | None = None


def _field_of(array: pa.Array, column: CopyColumn) -> _Field:
    if column.datatype.is_list:
        array = _arrays(array)
    absent = _nulls(array)
    if column.is_fixed:
        wire = _WIRE[column.datatype]
        width = np.dtype(wire).itemsize
        lengths = width if absent is None else np.where(absent, np.int32(-1), np.int32(width))
        return _Field(lengths, _values(array, column.datatype), wire)
    counted = pc.fill_null(pc.binary_length(array), -1) if absent is not None else pc.binary_length(array)
    lengths = counted.to_numpy(zero_copy_only=False)
    longest = int(lengths.max(initial=0))
    if longest > _PADDED_TEXT:
        return _Field(lengths, text=array)
    return _Field(lengths, _padded(array, longest), f"S{max(1, longest)}")


def _arrays(lists: pa.Array) -> pa.Array:
    """Return lists of numbers as PostgreSQL's arrays: a header, then each number with its length before it."""
    real = pa.types.is_floating(lists.type.value_type)
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    heads = np.empty((len(lists), 5), dtype=">i4")  # dimensions, flags, type of the elements, their count, first index
    heads[:] = (1, 0, _FLOAT8_OID if real else _INT8_OID, 0, 1)
    heads[:, 3] = counts
    numbers = np.empty(int(counts.sum()), dtype=[("length", ">i4"), ("value", ">f8" if real else ">i8")])
    numbers["length"] = 8
    numbers["value"] = lists.flatten().to_numpy(zero_copy_only=False)
    sizes = np.column_stack([np.full(len(lists), 20), 12 * counts])
    is_head = np.repeat(np.tile([True, False], len(lists)), sizes.ravel())
    data = np.empty(len(is_head), dtype=np.uint8)
    data[is_head] = heads.view(np.uint8).ravel()
    data[~is_head] = numbers.view(np.uint8)
    offsets = np.concatenate([[0], np.cumsum(sizes.sum(axis=1))]).astype(np.int32)
    made = pa.Array.from_buffers(pa.binary(), len(lists), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return pc.if_else(lists.is_valid(), made, None)


_FLOAT8_OID, _INT8_OID = 701, 20


def _padded(array: pa.Array, width: int) -> npt.NDArray[np.bytes_]:
    """Return short texts as bytes of one width; what stands behind the end of a text is undefined."""
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int32, count=len(array), offset=array.offset * 4)
    data = array.buffers()[2]
    if data is None or not width:
        return np.zeros(len(array), dtype="S1")
    characters = np.frombuffer(data, dtype=np.uint8)
    places = np.minimum(offsets[:, np.newaxis] + np.arange(width, dtype=np.int32), len(characters) - 1)
    return characters[places].view(f"S{width}").ravel()


def _row_layout(fields: Sequence[_Field]) -> np.dtype[np.void]:
    layout: list[tuple[str, str]] = [("count", ">i2")]
    for place, field in enumerate(fields):
        layout.append((f"l{place}", ">i4"))
        if field.values is not None:
            layout.append((f"v{place}", field.wire))
    return np.dtype(layout)


def _nulls(array: pa.Array) -> npt.NDArray[np.bool_] | None:
    if array.null_count == 0:
        return None
    mask: npt.NDArray[np.bool_] = array.is_null().to_numpy(zero_copy_only=False)
    return mask


def _values(array: pa.Array, datatype: DataType) -> npt.NDArray[Any]:
    """Return the values of a column of fixed width; what stands in place of a NULL is undefined."""
    if datatype is DataType.BOOLEAN:
        values: npt.NDArray[Any] = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
        return values
    if datatype is DataType.TIMESTAMP:
        return _raw(array, np.dtype(np.int64)) - POSTGRES_EPOCH_US
    return _raw(array, np.dtype(_WIRE[datatype]).newbyteorder("="))


def _raw(array: pa.Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return the values of a primitive array without copying them; what stands in place of a NULL is undefined."""
    buffer = array.buffers()[1]
    if array.type.bit_width != dtype.itemsize * 8 or buffer is None:
        raise InternalError(f"a column of Arrow type {array.type} cannot be encoded as {dtype}")
    return np.frombuffer(buffer, dtype=dtype, count=len(array), offset=array.offset * dtype.itemsize)


def _without_holes(fixed: npt.NDArray[np.void], fields: Sequence[_Field]) -> ByteArray:
    """Return the bytes of all rows one after the other, less those behind the end of a value or of a NULL."""
    pieces = fixed.view(np.uint8).reshape(len(fixed), fixed.dtype.itemsize)
    ragged = [place for place, field in enumerate(fields) if field.wire and not isinstance(field.lengths, int)]
    if not ragged:
        return pieces.reshape(-1)
    keep = np.ones(pieces.shape, dtype=np.bool_)
    for place in ragged:
        dtype, offset = _position(fixed.dtype, f"v{place}")
        lengths = np.asarray(fields[place].lengths)
        if dtype.kind == "S":
            keep[:, offset : offset + dtype.itemsize] = np.arange(dtype.itemsize) < lengths[:, np.newaxis]
        else:
            _keep_whole(keep, dtype.itemsize, offset, lengths >= 0)
    return pieces[keep]


def _keep_whole(keep: npt.NDArray[np.bool_], width: int, offset: int, present: npt.NDArray[np.bool_]) -> None:
    """Mark a value's bytes as kept or not, in one write for each row: byte by byte it is four times slower."""
    item = np.dtype({"names": ["v"], "formats": [f"u{width}"], "offsets": [offset], "itemsize": keep.shape[1]})
    ones = int.from_bytes(b"\x01" * width, "little")
    keep.view(item)["v"][:, 0] = np.where(present, ones, 0)


def _position(layout: np.dtype[np.void], name: str) -> tuple[np.dtype[Any], int]:
    fields = layout.fields
    if fields is None:
        raise InternalError("the layout of a row has no fields")
    dtype, offset = fields[name][:2]
    return dtype, int(offset)


def _with_texts(flat: ByteArray, fixed: npt.NDArray[np.void], fields: Sequence[_Field]) -> ByteArray:
    """Put the bytes of long texts behind their lengths."""
    lengths = _segment_lengths(fixed, fields)
    is_text = np.repeat(np.tile([False, True], lengths.size // 2), lengths.ravel())
    out = np.empty(len(is_text), dtype=np.uint8)
    out[~is_text] = flat
    out[is_text] = _texts_by_row([field.text for field in fields if field.text is not None])
    return out


def _segment_lengths(fixed: npt.NDArray[np.void], fields: Sequence[_Field]) -> npt.NDArray[np.int64]:
    """Return for each row the bytes of fixed piece, text, fixed piece, text, ..., and a last empty text."""
    texts = [place for place, field in enumerate(fields) if field.text is not None]
    lengths = np.zeros((len(fixed), 2 * len(texts) + 2), dtype=np.int64)
    segment = 0
    lengths[:, 0] = 2  # the count of fields
    for field in fields:
        lengths[:, segment] += 4
        if field.text is not None:
            lengths[:, segment + 1] = np.maximum(field.lengths, 0)
            segment += 2
        else:
            lengths[:, segment] += np.maximum(field.lengths, 0)
    return lengths


def _texts_by_row(arrays: list[pa.Array]) -> ByteArray:
    """Return the bytes of several columns, row by row."""
    binaries = [pc.fill_null(array.cast(pa.large_binary()), b"") for array in arrays]
    joined = pc.binary_join_element_wise(*binaries, pa.scalar(b"", pa.large_binary()))
    offsets = np.frombuffer(joined.buffers()[1], dtype=np.int64, count=len(joined) + 1, offset=joined.offset * 8)
    data = joined.buffers()[2]
    if data is None:
        return np.empty(0, dtype=np.uint8)
    return np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]]
