"""``butler.Dataset``: the Butler datasets whose rows the tables have, as a table that queries join by number.

A row carries the number of its dataset, eight bytes; the id, the run and the moment stand here once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC

import pyarrow as pa

from qserv_py.catalog.dataset import LoadedDataset
from qserv_py.catalog.model import Column, CzarTable
from qserv_py.catalog.types import DataType
from qserv_py.czar.czar_tables import CzarTables, czar_database

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
"""Name, type, UCD and description."""


def dataset_table(datasets: Sequence[LoadedDataset]) -> CzarTables:
    """Return the database of datasets."""
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
    values = [
        [dataset.number for dataset in datasets],
        [str(dataset.dataset_id) for dataset in datasets],
        [dataset.dataset_type for dataset in datasets],
        [dataset.run for dataset in datasets],
        [json.dumps(dict(dataset.data_id), sort_keys=True) for dataset in datasets],
        [dataset.database for dataset in datasets],
        [dataset.table for dataset in datasets],
        [dataset.rows for dataset in datasets],
        [dataset.loaded_at.astimezone(UTC).replace(tzinfo=None) for dataset in datasets],
    ]
    arrays = [
        pa.array(held, pa.type_for_alias(column.datatype.names.arrow))
        for held, column in zip(values, columns, strict=True)
    ]
    rows = pa.table(arrays, names=[column.physical for column in columns])
    return czar_database(BUTLER_DATABASE, {table: rows}, description=_DESCRIPTION)
