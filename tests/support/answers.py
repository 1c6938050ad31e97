"""Answers made by hand, and written by the formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.czar.formats import find_format
from qserv_py.czar.formats.stream import MORE_ROWS, ResultStream
from qserv_py.errors import WorkerUnavailableError
from qserv_py.executor.arrow import answer_schema

Rows = Sequence[Sequence[Any]]


def column(name: str, kind: DataType, **known: Any) -> OutputColumn:
    return OutputColumn(name=name, datatype=kind, **known)


def schema_of(columns: Sequence[OutputColumn], arrays: dict[str, pa.DataType] | None = None) -> pa.Schema:
    """Return the schema of an answer, with other types for the columns that ``arrays`` names."""
    schema = answer_schema(columns)
    for name, kind in (arrays or {}).items():
        place = schema.get_field_index(name)
        schema = schema.set(place, schema.field(place).with_type(kind))
    return schema


def batches_of(schema: pa.Schema, rows: Rows, size: int = 3) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches that are slices of something larger, as the executor's are, an empty one among them."""
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in schema]
    arrays = [pa.array(list(values), type=field.type) for values, field in zip(columns, schema, strict=True)]
    whole = pa.RecordBatch.from_arrays(arrays, schema=schema)
    for start in range(0, len(rows), size):
        yield whole.slice(start, size)
        yield whole.slice(start, 0)


def stream_of(
    columns: Sequence[OutputColumn],
    rows: Rows,
    *,
    arrays: dict[str, pa.DataType] | None = None,
    infos: tuple[tuple[str, str], ...] = (),
    is_cut: bool = False,
    fails_after: int | None = None,
) -> ResultStream:
    """Return an answer; with ``fails_after`` it breaks off after so many rows."""
    schema = schema_of(columns, arrays)

    def batches() -> Iterator[pa.RecordBatch]:
        kept = rows if fails_after is None else rows[:fails_after]
        yield from batches_of(schema, kept)
        if fails_after is not None:
            raise WorkerUnavailableError('worker "w2" <is> gone', hint="Try again & again.")

    return ResultStream(
        columns=columns, schema=schema, batches=batches(), infos=infos, why_cut=lambda: MORE_ROWS if is_cut else ""
    )


def written(name: str, columns: Sequence[OutputColumn], rows: Rows, **settings: Any) -> bytes:
    """Return the document of an answer."""
    return b"".join(find_format(name).write(stream_of(columns, rows, **settings)))
