"""Tables whose rows the czar holds, as a database that the planner can see: uploads of one query, TAP_SCHEMA.

Rows are Arrow tables; one that is a memory map of a file is as good as one in memory. Units, UCDs, descriptions and
xtypes stand in the metadata of the Arrow fields, where ``Result.to_arrow`` writes them, too: an answer can be uploaded.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.adql.words import RESERVED
from qserv_py.catalog.model import (
    UPLOAD_DATABASE,
    Column,
    CzarTable,
    Database,
    DatabaseState,
    Family,
    column_names,
    physical_name,
)
from qserv_py.catalog.snapshot import Catalog, Segments, Snapshot, TableSnapshot
from qserv_py.catalog.types import DataType
from qserv_py.errors import LimitError, UserError
from qserv_py.ingest.values.conversion import convert_column

MAX_UPLOADED_ROWS = 10_000_000
"""Rows of all uploads of one query."""

MAX_UPLOADED_COLUMNS = 1590
"""Columns of one upload: nearly as many as a PostgreSQL table can have, a few are ours."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True, eq=False)
class CzarTables:
    """A database of tables that the czar holds, and their rows."""

    database: Database
    sizes: Mapping[str, tuple[int, int]]
    """Number of rows, and of bytes, of each table, by ``Table.qualified``."""

    rows: Mapping[str, pa.Table] = field(repr=False)
    """Rows of each table, by ``Table.qualified``; columns have the physical names and types of the description."""

    def added_to(self, catalog: Catalog) -> Catalog:
        """Return a catalogue with this database, too."""
        nothing = np.empty(0, dtype=np.int64)
        tables = {
            table.name: TableSnapshot(
                chunks=nothing,
                rows=nothing,
                own=Segments(nothing, nothing),
                total_rows=self.sizes[table.qualified][0],
                total_bytes=self.sizes[table.qualified][1],
            )
            for table in self.database.tables
        }
        return catalog.with_database(self.database, Snapshot(number=0, tables=MappingProxyType(tables)))


def czar_database(name: str, tables: Mapping[CzarTable, pa.Table], *, description: str = "") -> CzarTables:
    """Return a database of tables that the czar holds; the columns of the rows have the physical names."""
    rows = {table.qualified: held for table, held in tables.items()}
    sizes = {name: (held.num_rows, held.nbytes) for name, held in rows.items()}
    database = described_database(name, tuple(tables), description=description)
    return CzarTables(database=database, sizes=MappingProxyType(sizes), rows=MappingProxyType(rows))


class _RowsWhenAsked(Mapping[str, pa.Table]):
    """The rows of one table, made when they are asked for the first time."""

    def __init__(self, name: str, make: Callable[[], pa.Table]) -> None:
        self._name = name
        self._make = make
        self._made: pa.Table | None = None
        self._making = threading.Lock()

    def __getitem__(self, name: str) -> pa.Table:
        if name != self._name:
            raise KeyError(name)
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    def __iter__(self) -> Iterator[str]:
        return iter((self._name,))

    def __len__(self) -> int:
        return 1


def rows_when_asked(
    table: CzarTable, count: int, bytes_per_row: int, make: Callable[[], pa.Table], *, description: str = ""
) -> CzarTables:
    """Return a database of one table whose rows are made when a query asks for them.

    Parameters
    ----------
    count, bytes_per_row
        Number and about the size of the rows, which the planner wants to know.
    """
    return CzarTables(
        database=described_database(table.database, (table,), description=description),
        sizes=MappingProxyType({table.qualified: (count, count * bytes_per_row)}),
        rows=_RowsWhenAsked(table.qualified, make),
    )


def described_database(name: str, tables: tuple[CzarTable, ...], *, description: str = "") -> Database:
    """Return the description of a database of tables that the czar holds."""
    return Database(
        name=name,
        physical=physical_name(name),
        family=Family(name=name),
        tables=tables,
        state=DatabaseState.PUBLISHED,
        description=description,
    )


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
        check_name(name, "an uploaded table")
        if name.lower() in folded:
            raise UserError(
                f'two uploaded tables are called "{folded[name.lower()]}" and "{name}": case does not part them'
            )
        folded[name.lower()] = name
    rows = sum(table.num_rows for table in uploads.values())
    if rows > MAX_UPLOADED_ROWS:
        raise LimitError(f"the uploads have {rows} rows, at most {MAX_UPLOADED_ROWS} can be brought to a query")
    made = [_uploaded(name, table) for name, table in uploads.items()]
    return czar_database(UPLOAD_DATABASE, dict(made), description="Tables that this query brings along.")


def check_name(name: str, what: str) -> None:
    """Raise UserError if a name is not fit for a table of a user; ``what`` says of which kind."""
    if not _NAME.fullmatch(name):
        raise UserError(f'"{name}" cannot name {what}', hint="A letter, then letters, digits and _, such as my_stars.")
    if name.upper() in RESERVED:
        raise UserError(f'"{name}" cannot name {what}: ADQL reserves the word', hint="Take another name.")


def _uploaded(name: str, table: pa.Table) -> tuple[CzarTable, pa.Table]:
    where = f'uploaded table "{name}"'
    columns = described_columns(where, table.schema)
    values = [_values(where, data, column, rows_before=0) for data, column in zip(table.columns, columns, strict=True)]
    rows = pa.table(dict(zip([column.physical for column in columns], values, strict=True)))
    known = tuple(
        replace(column, datatype=DataType.ASCII) if _is_char(about, data) else column
        for column, about, data in zip(columns, table.schema, rows.columns, strict=True)
    )
    return CzarTable(database=UPLOAD_DATABASE, name=name, physical=physical_name(name), columns=known), rows


def _is_char(about: pa.Field, data: pa.ChunkedArray) -> bool:
    """Whether a column was VOTable's ``char``, and holds what that can hold."""
    told = (about.metadata or {}).get(b"datatype") == b"char"
    return told and pa.types.is_string(data.type) and bool(pc.all(pc.string_is_ascii(data), min_count=0).as_py())


def described_columns(where: str, schema: pa.Schema) -> tuple[Column, ...]:
    """Return the columns of a user's table from its Arrow schema.

    Raises
    ------
    UserError
        If a name cannot be written in ADQL or stands twice, or queries cannot read a type.
    LimitError
        If there are too many columns.
    """
    if not schema.names:
        raise UserError(f"{where} has no columns")
    if len(schema.names) > MAX_UPLOADED_COLUMNS:
        raise LimitError(f"{where} has {len(schema.names)} columns, at most {MAX_UPLOADED_COLUMNS} are taken")
    for column in schema.names:
        if schema.names.count(column) > 1:
            raise UserError(f'{where} has two columns "{column}"', hint="Rename one of them.")
        if not column.strip() or not column.isprintable():
            raise UserError(f"{where} has a column {column!r}, whose name cannot be written in ADQL")
    return tuple(
        _column(where, about, physical) for about, physical in zip(schema, column_names(schema.names), strict=True)
    )


def converted_batch(
    where: str, batch: pa.RecordBatch, columns: Sequence[Column], *, rows_before: int
) -> pa.RecordBatch:
    """Return rows with the physical names and the types of the columns.

    Raises
    ------
    UserError
        If a value does not fit; with its row, counted from 1 behind ``rows_before``.
    """
    values = [
        _values(where, pa.chunked_array([data]), column, rows_before=rows_before).combine_chunks()
        for data, column in zip(batch.columns, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(values, names=[column.physical for column in columns])


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


def _values(where: str, data: pa.ChunkedArray, column: Column, *, rows_before: int) -> pa.ChunkedArray:
    """Return the values in the column's type; the first that does not fit is an error."""
    converted, first = [], rows_before
    for chunk in data.chunks:
        found = convert_column(chunk, column)
        for misfits in found.misfits:
            row = first + int(np.argmax(misfits.where)) + 1
            raise UserError(f'column "{column.name}" of {where}, row {row}: {misfits.reason}')
        converted.append(found.values)
        first += len(chunk)
    return pa.chunked_array(converted, pa.type_for_alias(column.datatype.names.arrow))
