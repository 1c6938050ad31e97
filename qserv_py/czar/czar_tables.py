"""Tables whose rows the czar holds, as a database that the planner can see: uploads of one query, TAP_SCHEMA.

Rows are Arrow tables; one that is a memory map of a file is as good as one in memory. Units, UCDs, descriptions and
xtypes stand in the metadata of the Arrow fields, where ``Result.to_arrow`` writes them, too: an answer can be uploaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from qserv_py.adql.words import RESERVED
from qserv_py.catalog.model import Column, CzarTable, Database, DatabaseState, Family, column_names, physical_name
from qserv_py.catalog.snapshot import Catalog, Snapshot, TableSnapshot
from qserv_py.catalog.types import DataType
from qserv_py.errors import LimitError, UserError
from qserv_py.ingest.conversion import convert_column

UPLOAD_DATABASE = "TAP_UPLOAD"
"""Database of the tables that come with a query."""

MAX_UPLOADED_ROWS = 10_000_000
"""Rows of all uploads of one query."""

MAX_UPLOADED_COLUMNS = 1600
"""Columns of one upload: as many as a PostgreSQL table can have."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True, eq=False)
class CzarTables:
    """A database of tables that the czar holds, and their rows."""

    database: Database
    rows: Mapping[str, pa.Table] = field(repr=False)
    """By ``Table.qualified``; columns have the physical names and the types of the description."""

    def added_to(self, catalog: Catalog) -> Catalog:
        """Return a catalogue with this database, too."""
        nothing = np.empty(0, dtype=np.int64)
        tables = {
            table.name: TableSnapshot(
                chunks=nothing,
                rows=nothing,
                generations=nothing,
                total_rows=self.rows[table.qualified].num_rows,
                total_bytes=self.rows[table.qualified].nbytes,
            )
            for table in self.database.tables
        }
        return catalog.with_database(self.database, Snapshot(number=0, tables=MappingProxyType(tables)))


def czar_database(name: str, tables: Mapping[CzarTable, pa.Table], *, description: str = "") -> CzarTables:
    """Return a database of tables that the czar holds; the columns of the rows have the physical names."""
    database = Database(
        name=name,
        physical=physical_name(name),
        family=Family(name=name),
        tables=tuple(tables),
        state=DatabaseState.PUBLISHED,
        description=description,
    )
    return CzarTables(database=database, rows=MappingProxyType({t.qualified: rows for t, rows in tables.items()}))


def uploaded_tables(uploads: Mapping[str, pa.Table]) -> CzarTables:
    """Return the tables that a query brings along, as the database ``TAP_UPLOAD``.

    Parameters
    ----------
    uploads
        Arrow tables by the name that the query uses, ``TAP_UPLOAD.name``.

    Raises
    ------
    UserError
        If a name is not fit for ADQL, a column has no type that can be queried, or a value does not fit; says which.
    LimitError
        If there are too many rows or columns.
    """
    folded: dict[str, str] = {}
    for name in uploads:
        _check_name(name, folded)
    rows = sum(table.num_rows for table in uploads.values())
    if rows > MAX_UPLOADED_ROWS:
        raise LimitError(f"the uploads have {rows} rows, at most {MAX_UPLOADED_ROWS} can be brought to a query")
    made = [_uploaded(name, table) for name, table in uploads.items()]
    return czar_database(UPLOAD_DATABASE, dict(made), description="Tables that this query brings along.")


def _check_name(name: str, folded: dict[str, str]) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(
            f'"{name}" cannot name an uploaded table', hint="A letter, then letters, digits and _, such as my_stars."
        )
    if name.upper() in RESERVED:
        raise UserError(f'"{name}" cannot name an uploaded table: ADQL reserves the word', hint="Take another name.")
    if name.lower() in folded:
        raise UserError(
            f'two uploaded tables are called "{folded[name.lower()]}" and "{name}": case does not part them'
        )
    folded[name.lower()] = name


def _uploaded(name: str, table: pa.Table) -> tuple[CzarTable, pa.Table]:
    where = f'uploaded table "{name}"'
    if not table.num_columns:
        raise UserError(f"{where} has no columns")
    if table.num_columns > MAX_UPLOADED_COLUMNS:
        raise LimitError(f"{where} has {table.num_columns} columns, at most {MAX_UPLOADED_COLUMNS} are taken")
    for column in table.column_names:
        if table.column_names.count(column) > 1:
            raise UserError(f'{where} has two columns "{column}"', hint="Rename one of them.")
        if not column.strip() or not column.isprintable():
            raise UserError(f"{where} has a column {column!r}, whose name cannot be written in ADQL")
    columns = tuple(
        _column(where, field, physical)
        for field, physical in zip(table.schema, column_names(table.column_names), strict=True)
    )
    values = [_values(where, data, column) for data, column in zip(table.columns, columns, strict=True)]
    rows = pa.table(dict(zip([column.physical for column in columns], values, strict=True)))
    described = CzarTable(database=UPLOAD_DATABASE, name=name, physical=physical_name(name), columns=columns)
    return described, rows


def _column(where: str, about: pa.Field, physical: str) -> Column:
    told = {key.decode(): text.decode() for key, text in (about.metadata or {}).items()}
    kind = about.type.value_type if pa.types.is_dictionary(about.type) else about.type
    datatype = _datatype(kind)
    if datatype is None:
        raise UserError(
            f'column "{about.name}" of {where} is of type {about.type}, which queries cannot read',
            hint="Columns hold single numbers, texts, truth values, times or bytes.",
        )
    return Column(
        name=about.name,
        physical=physical,
        datatype=datatype,
        unit=told.get("unit", ""),
        ucd=told.get("ucd", ""),
        description=told.get("description", ""),
        xtype=told.get("xtype", ""),
    )


def _datatype(kind: pa.DataType) -> DataType | None:
    tests = (
        (pa.types.is_boolean, DataType.BOOLEAN),
        (lambda k: k in {pa.int8(), pa.uint8(), pa.int16()}, DataType.SHORT),
        (lambda k: k in {pa.uint16(), pa.int32()}, DataType.INT),
        (pa.types.is_integer, DataType.LONG),
        (lambda k: k in {pa.float16(), pa.float32()}, DataType.FLOAT),
        (pa.types.is_floating, DataType.DOUBLE),
        (pa.types.is_decimal, DataType.DOUBLE),
        (lambda k: pa.types.is_string(k) or pa.types.is_large_string(k), DataType.UNICODE),
        (lambda k: pa.types.is_string_view(k) or pa.types.is_null(k), DataType.UNICODE),
        (lambda k: pa.types.is_timestamp(k) or pa.types.is_date(k), DataType.TIMESTAMP),
        (lambda k: pa.types.is_binary(k) or pa.types.is_large_binary(k), DataType.BINARY),
        (lambda k: pa.types.is_fixed_size_binary(k) or pa.types.is_binary_view(k), DataType.BINARY),
    )
    return next((datatype for test, datatype in tests if test(kind)), None)


def _values(where: str, data: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Return the values in the column's type; the first that does not fit is an error."""
    converted, first = [], 0
    for chunk in data.chunks:
        found = convert_column(chunk, column)
        for misfits in found.misfits:
            row = first + int(np.argmax(misfits.where)) + 1
            raise UserError(f'column "{column.name}" of {where}, row {row}: {misfits.reason}')
        converted.append(found.values)
        first += len(chunk)
    return pa.chunked_array(converted, pa.type_for_alias(column.datatype.names.arrow))
