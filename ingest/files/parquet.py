"""Parquet files, one batch after the other.

They are read piece by piece, neither ahead (pyarrow's ``pre_buffer`` holds the whole file) nor by a memory map: a file
that is cut off meanwhile gives an error, not the end of the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qserv_py.ingest.files.decompressed import compression_of, decompressed
from qserv_py.ingest.files.parquet_metadata import told_by
from qserv_py.ingest.files.reader import ROWS_IN_BATCH, MalformedRows, RawBatch, check_names, not_single

_NO_SINGLE_VALUES = {
    pa.types.is_struct: "structures",
    pa.types.is_map: "maps",
    pa.types.is_union: "unions",
    pa.types.is_duration: "durations",
    pa.types.is_interval: "durations",
}
_READ_BYTES = 1 << 16
"""Bytes of each column that are read together, at the least."""


class ParquetReader:
    """A Parquet file; lists of one element are single values, other nested columns cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = decompressed(path) if compression_of(path) else None
        source = path if self._bytes is None else self._bytes.stream()
        self._file = pq.ParquetFile(
            source,
            buffer_size=_READ_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,
            coerce_int96_timestamp_unit="us",  # as nanoseconds, which is the default, years beyond 2262 wrap
        )
        schema = self._file.schema_arrow
        self.names: tuple[str, ...] = check_names(path, schema.names)
        self._unread = {about.name: why for about in schema if (why := _why_not(about.type))}
        self._unread |= dict.fromkeys(_intervals(self._file), "durations")
        self.types: Mapping[str, pa.DataType] = {
            about.name: _type(about.type) for about in schema if about.name not in self._unread
        }
        self.total_rows: int | None = self._file.metadata.num_rows
        self.malformed = MalformedRows()
        told = told_by(path, schema, self._file.metadata.metadata or {})
        self.described: Mapping[str, Mapping[str, str]] = told.described
        self.notes: Sequence[str] = told.notes

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        for name in names:
            if name in self._unread:
                raise not_single(self._path, name, self._unread[name])
        next_row = 1
        for rows in self._file.iter_batches(batch_size=ROWS_IN_BATCH, columns=list(names)):
            yield RawBatch(np.arange(next_row, next_row + rows.num_rows), self._single(rows, names))
            next_row += rows.num_rows
        if next_row == 1:
            empty = pa.record_batch([pa.nulls(0, self.types[name]) for name in names], names=list(names))
            yield RawBatch(np.arange(1, 1), empty)

    def _single(self, rows: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
        columns = [_stored(self._elements(name, rows.column(name))) for name in names]
        return pa.record_batch(columns, names=list(names))

    def _elements(self, name: str, values: pa.Array) -> pa.Array:
        """Return the values of a column; of lists their one element."""
        if not _is_list(values.type):
            return values
        lengths = pc.list_value_length(values)
        if pc.any(pc.not_equal(lengths, 1)).as_py():
            longest = pc.max(lengths).as_py()
            raise not_single(self._path, name, f"lists of up to {longest} elements" if longest else "empty lists")
        return pc.list_element(values, 0)


def _why_not(kind: pa.DataType) -> str:
    """Return what a column of a type holds instead of single values; empty when it can be read."""
    if isinstance(kind, pa.BaseExtensionType):
        return _why_not(kind.storage_type)
    if _is_list(kind):
        inner = kind.value_type
        return "lists of lists" if _is_list(inner) else _why_not(inner)
    return next((what for test, what in _NO_SINGLE_VALUES.items() if test(kind)), "")


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _intervals(file: pq.ParquetFile) -> list[str]:
    """Return the columns of intervals, which pyarrow gives as 12 bytes."""
    columns = (file.schema.column(number) for number in range(len(file.schema)))
    return [column.path for column in columns if column.converted_type == "INTERVAL"]


def _type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values that a column gives."""
    element = kind.value_type if _is_list(kind) else kind
    if pa.types.is_time(element):
        return pa.string()
    if not isinstance(element, pa.BaseExtensionType):
        return element
    return pa.string() if isinstance(element, pa.UuidType) else element.storage_type


def _stored(values: pa.Array) -> pa.Array:
    """Return values of plain types: UUIDs and times of a day as texts, other extensions (JSON) as they are stored."""
    if pa.types.is_time(values.type):
        return values.cast(pa.string())
    if not isinstance(values.type, pa.BaseExtensionType):
        return values
    if isinstance(values.type, pa.UuidType):
        return pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())
    return values.storage
