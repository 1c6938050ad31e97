"""``butler.Dataset``: the Butler datasets whose rows the tables have, as a table that queries join by number.

A row carries the number of its dataset, eight bytes; the id, the run and the moment stand here once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from qserv_py.catalog.model import Column, CzarTable
from qserv_py.catalog.types import DataType
from qserv_py.czar.tables.czar_tables import CzarTables, rows_when_asked

BUTLER_DATABASE = "butler"

_DESCRIPTION = "The datasets of pipelines that rows of catalogues came from."
_TABLE = "Dataset"
_COLUMNS = (
    (
        "dataset_number",
        DataType.LONG,
        "meta.id;meta.main",
        "Number of the dataset, datasetNumber in its rows.",
    ),
    ("dataset_id", DataType.STRING, "meta.id", "UUID of the dataset in the Butler."),
    ("dataset_type", DataType.STRING, "meta.code.class", "Dataset type in the Butler."),
    ("run", DataType.STRING, "meta.id", "Run collection that the dataset was written to."),
    ("data_id", DataType.STRING, "meta.id", "Data id as JSON: required dimensions and their values."),
    ("database_name", DataType.STRING, "meta.id", "Database that has the rows."),
    ("table_name", DataType.STRING, "meta.table", "Table that has the rows."),
    ("row_count", DataType.LONG, "meta.number", "Rows that came from the dataset."),
    ("ingest_time", DataType.TIMESTAMP, "time.creation", "When they were committed, UTC."),
)
"""Columns of the table: name, type, UCD and description."""

_BYTES_PER_ROW = 150
"""Bytes that a row takes on average, about; the planner wants to know."""


def dataset_table(count: int, read: Callable[[], Sequence[tuple[Any, ...]]]) -> CzarTables:
    """Return the database of datasets.

    Parameters
    ----------
    count
        Number of rows.
    read
        Reads the rows, as ``registry.datasets.dataset_rows`` gives them; called when a query asks for them.
    """
    columns = tuple(
        Column(name=name, physical=name, datatype=kind, nullable=False, ucd=ucd, description=text)
        for name, kind, ucd, text in _COLUMNS
    )
    table = CzarTable(
        database=BUTLER_DATABASE,
        name=_TABLE,
        physical=_TABLE.lower(),
        columns=columns,
        primary_key=("dataset_number",),
        description="One row a dataset whose rows a table has.",
    )
    return rows_when_asked(table, count, _BYTES_PER_ROW, lambda: _rows(columns, read()), description=_DESCRIPTION)


def _rows(columns: Sequence[Column], found: Sequence[tuple[Any, ...]]) -> pa.Table:
    values = list(zip(*found, strict=True)) or [()] * len(columns)
    arrays = [
        pa.array(held, pa.type_for_alias(column.datatype.names.arrow))
        for held, column in zip(values, columns, strict=True)
    ]
    return pa.table(arrays, names=[column.physical for column in columns])
