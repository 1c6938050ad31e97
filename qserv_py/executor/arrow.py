"""Columns of stages and of answers as Arrow schemas, and record batches made to fit them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.errors import EvaluationError
from qserv_py.planner.plan.slots import StageColumn


def arrow_type(kind: DataType) -> pa.DataType:
    """Return the Arrow type of a column type."""
    element = pa.type_for_alias(kind.names.arrow)
    return pa.list_(element) if kind.is_list else element


def schema_of(columns: Sequence[StageColumn]) -> pa.Schema:
    """Return the schema of a stage's rows."""
    return pa.schema([pa.field(column.label, arrow_type(column.type)) for column in columns])


def answer_schema(columns: Sequence[OutputColumn]) -> pa.Schema:
    """Return the schema of an answer: names as the user sees them, unit, UCD and description as field metadata."""
    fields = []
    for column in columns:
        known = {"unit": column.unit, "ucd": column.ucd, "description": column.description, "xtype": column.xtype}
        metadata = {key: text for key, text in known.items() if text}
        fields.append(pa.field(column.name, arrow_type(column.datatype), metadata=metadata or None))
    return pa.schema(fields)


FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""First and last time that an answer may hold: the years 1 to 9999, in microseconds since 1970.

PostgreSQL knows earlier and later times, such as ``-infinity``, but ISO 8601 has no way to write them.
"""


def check_times(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows of an answer unchanged, once it is known that every format of answers can write their times.

    Raises
    ------
    EvaluationError
        If a time lies outside of the years 1 to 9999, or is one of PostgreSQL's infinities.
    """
    for field, values in zip(batch.schema, batch.columns, strict=True):
        if not pa.types.is_timestamp(field.type):
            continue
        range = pc.min_max(values.cast(pa.int64())).as_py()
        if range["min"] is not None and not FIRST_US <= range["min"] <= range["max"] <= LAST_US:
            raise EvaluationError(
                f'column "{field.name}" holds a time outside of the years 1 to 9999',
                hint="No reader of an answer could take it. Leave out its row.",
            )
    return batch


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the names and types of a schema, column by place.

    Raises
    ------
    EvaluationError
        If a value does not fit the type, such as a sum beyond 64 bits.
    """
    columns = []
    for column, field in zip(batch.columns, schema, strict=True):
        try:
            columns.append(column if column.type == field.type else column.cast(field.type))
        except pa.ArrowInvalid as error:
            raise EvaluationError(f'column "{field.name}" holds a value beyond {field.type}: {error}') from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


GATHERED_BYTES = 1 << 20
"""Bytes of batches that are copied into one; the copies are worth it from some large buffers on."""


class Gathered:
    """Batches that are kept, without the room for more rows that stands behind each column when it has come.

    A driver doubles a column's buffer when it is full, so that batches take up to twice the bytes of their rows.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._kept: list[pa.RecordBatch] = []
        self._loose: list[pa.RecordBatch] = []
        self._loose_bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Keep a batch."""
        self._loose.append(batch)
        self._loose_bytes += batch.nbytes
        if self._loose_bytes >= GATHERED_BYTES:
            self._join()

    def table(self) -> pa.Table:
        """Return all of them."""
        self._join()
        return pa.Table.from_batches(self._kept, schema=self._schema)

    def _join(self) -> None:
        if self._loose:
            self._kept.append(pa.concat_batches(self._loose))
        self._loose, self._loose_bytes = [], 0
