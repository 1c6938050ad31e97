"""Columns of stages and of answers as Arrow schemas, and record batches made to fit them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.errors import EvaluationError
from qserv_py.planner.slots import StageColumn


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
