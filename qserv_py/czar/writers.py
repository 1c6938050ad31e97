"""Answers as files: CSV, JSON, Parquet, Arrow and a table for people; each streams with bounded memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"
"""ISO 8601; Arrow adds the fraction of the second to %S."""

_WIDEST = 60
"""Characters of a value that a table for people shows."""

Writer = Callable[[pa.Schema, Iterable[pa.RecordBatch], BinaryIO], None]


def times_as_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with its times as ISO 8601 text."""
    columns = [
        pc.strftime(column, format=TIME_FORMAT) if pa.types.is_timestamp(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def write_csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: BinaryIO) -> None:
    """Write CSV with a header; NULL is nothing, text is quoted where it must be."""
    sink.write((",".join(_csv_name(name) for name in schema.names) + "\r\n").encode())
    options = pa_csv.WriteOptions(include_header=False, quoting_style="needed", eol="\r\n")
    for batch in batches:
        pa_csv.write_csv(times_as_text(batch), sink, options)


def _csv_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(c in name for c in ',"\r\n') else name


def write_json(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: BinaryIO) -> None:
    """Write one document ``{"metadata": [...], "data": [[...], ...]}``; NaN and infinities are text."""
    metadata = [_json_field(field) for field in schema]
    sink.write(b'{"metadata": ' + json.dumps(metadata).encode() + b',\n"data": [')
    before = "\n"
    for batch in batches:
        if not batch.num_rows:
            continue
        columns = [_json_values(column) for column in times_as_text(batch).columns]
        rows = [json.dumps(row, ensure_ascii=False) for row in zip(*columns, strict=True)]
        sink.write((before + ",\n".join(rows)).encode())
        before = ",\n"
    sink.write(b"\n]}\n")


def _json_field(field: pa.Field) -> dict[str, str]:
    known = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    return {"name": field.name, "datatype": str(field.type), **known}


def _json_values(column: pa.Array) -> list[object]:
    if pa.types.is_binary(column.type):
        return [None if value is None else value.hex() for value in column.to_pylist()]
    values = _python_values(column)
    if pa.types.is_floating(column.type):
        return [_json_float(value) for value in values]
    return values


def _python_values(column: pa.Array) -> list[object]:
    """Return the values; a REAL is the shortest number that is that REAL, without the digits of a DOUBLE behind it."""
    if pa.types.is_float32(column.type):
        return [None if text is None else float(text) for text in column.cast(pa.string()).to_pylist()]
    values: list[object] = column.to_pylist()
    return values


def _json_float(value: object) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: BinaryIO) -> None:
    """Write Parquet; columns of one name are numbered, as the format wants them different."""
    unique = with_unique_names(schema)
    with pq.ParquetWriter(sink, unique, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=unique))


def with_unique_names(schema: pa.Schema) -> pa.Schema:
    """Return a schema in which a repeated name has a number."""
    taken: set[str] = set()
    fields = []
    for field in schema:
        name, number = field.name, 2
        while name in taken:
            name, number = f"{field.name}_{number}", number + 1
        taken.add(name)
        fields.append(field.with_name(name))
    return pa.schema(fields)


def write_arrow(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: BinaryIO) -> None:
    """Write an Arrow IPC stream."""
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def write_table(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: BinaryIO) -> None:
    """Write columns for people; their widths come from the first rows."""
    widths: list[int] | None = None
    right = [pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in schema]
    for rows in _text_rows(batches):
        if widths is None:
            widths = [max(len(name), *(len(row[place]) for row in rows)) for place, name in enumerate(schema.names)]
            sink.write(_line(schema.names, widths, right) + _line(["-" * width for width in widths], widths, right))
        sink.write(b"".join(_line(row, widths, right) for row in rows))
    if widths is None:
        widths = [len(name) for name in schema.names]
        sink.write(_line(schema.names, widths, right) + _line(["-" * width for width in widths], widths, right))


def _text_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[list[tuple[str, ...]]]:
    for batch in batches:
        for start in range(0, batch.num_rows, 1000):
            part = times_as_text(batch.slice(start, 1000))
            columns = [[_shown(value) for value in _python_values(column)] for column in part.columns]
            yield list(zip(*columns, strict=True))


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.hex() if isinstance(value, bytes) else str(value)
    text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _line(values: Iterable[str], widths: list[int], right: list[bool]) -> bytes:
    cells = [
        value.rjust(width) if align else value.ljust(width)
        for value, width, align in zip(values, widths, right, strict=True)
    ]
    return ("  ".join(cells).rstrip() + "\n").encode()
