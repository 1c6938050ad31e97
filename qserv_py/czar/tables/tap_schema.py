"""TAP_SCHEMA 1.1: what the catalogue says of its tables, as tables that ADQL reads and joins as any other.

Made from a catalogue whenever that is loaded; it describes itself, too. Names stand as a query must write them, between
double quotes where they need them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import pyarrow as pa

from qserv_py.adql.words import written_name, written_table
from qserv_py.catalog.model import (
    ChildTable,
    Column,
    CzarTable,
    Database,
    DatabaseState,
    DirectorTable,
    MatchTable,
    Table,
    physical_name,
)
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.czar.tables.czar_tables import CzarTables, czar_database, described_database

SCHEMA_DATABASE = "tap_schema"

_DESCRIPTION = "Tables and columns of this service, as TAP 1.1 describes them."
_TEXT, _INT = DataType.UNICODE, DataType.INT

_TABLES: Mapping[str, tuple[str, tuple[tuple[str, DataType, str], ...]]] = {
    "schemas": (
        "The databases.",
        (
            ("schema_name", _TEXT, "Name of the database, as queries write it."),
            ("utype", _TEXT, "Role in a data model."),
            ("description", _TEXT, "What it holds."),
            ("schema_index", _INT, "Order in which to show the databases."),
        ),
    ),
    "tables": (
        "The tables of all databases.",
        (
            ("schema_name", _TEXT, "Database of the table."),
            ("table_name", _TEXT, "Name with its database, as queries write it."),
            ("table_type", _TEXT, "table or view."),
            ("utype", _TEXT, "Role in a data model."),
            ("description", _TEXT, "What the rows are."),
            ("table_index", _INT, "Order in which to show the tables of a database."),
        ),
    ),
    "columns": (
        "The columns of all tables.",
        (
            ("table_name", _TEXT, "Table of the column."),
            ("column_name", _TEXT, "Name as queries write it."),
            ("datatype", _TEXT, "Type, by VOTable's name."),
            ("arraysize", _TEXT, "Number of elements of a value; * when it varies, NULL for one."),
            ("xtype", _TEXT, "What the values are beyond their type, by DALI's name."),
            ("size", _INT, "Longest text; an old word for arraysize."),
            ("description", _TEXT, "What the values are."),
            ("utype", _TEXT, "Role in a data model."),
            ("unit", _TEXT, "Unit, as VOUnit writes it."),
            ("ucd", _TEXT, "Kind of quantity, by its UCD."),
            ("indexed", _INT, "1 when conditions on the column are quick."),
            ("principal", _INT, "1 when the column is among those to look at first."),
            ("std", _INT, "1 when a standard defines the column."),
            ("column_index", _INT, "Order in which to show the columns of a table."),
        ),
    ),
    "keys": (
        "Which tables refer to which.",
        (
            ("key_id", _TEXT, "Name of the reference."),
            ("from_table", _TEXT, "Table that refers."),
            ("target_table", _TEXT, "Table that is referred to."),
            ("utype", _TEXT, "Role in a data model."),
            ("description", _TEXT, "What the reference means."),
        ),
    ),
    "key_columns": (
        "The columns of the references.",
        (
            ("key_id", _TEXT, "The reference."),
            ("from_column", _TEXT, "Column that refers."),
            ("target_column", _TEXT, "Column that is referred to."),
        ),
    ),
}
"""Description and columns of each table of TAP_SCHEMA."""

_OWN_REFERENCES = {
    "tables": (("schema_name", "schemas", "schema_name"),),
    "columns": (("table_name", "tables", "table_name"),),
    "keys": (("from_table", "tables", "table_name"), ("target_table", "tables", "table_name")),
    "key_columns": (("key_id", "keys", "key_id"),),
}
"""References of each table of TAP_SCHEMA: a column, the table that it refers to, and the column there."""

_NEEDED = {"schema_name", "table_name", "column_name", "table_type", "datatype", "key_id", "from_table", "target_table"}
_NEEDED |= {"from_column", "target_column", "indexed", "principal", "std"}

Row = dict[str, Any]


def written_column(table: Table, column: Column) -> str:
    """Return a column's name as a query must write it; one that differs from another by case alone is quoted."""
    if len(table.find_columns(column.name, exact=False)) > 1:
        return '"' + column.name.replace('"', '""') + '"'
    return written_name(column.name)


def is_indexed(table: Table, column: Column) -> bool:
    """Whether conditions on a column are quick: those that an index, the director index or the chunks answer."""
    names = {name for index in (table.primary_key[:1], *(index[:1] for index in table.indexes)) for name in index}
    match table:
        case DirectorTable():
            names |= {table.id, table.ra.column, table.dec.column}
        case ChildTable():
            names.add(table.key)
        case MatchTable():
            names |= set(table.keys)
    return column.name in names


def references_of(database: Database, table: Table) -> Iterator[tuple[str, Table, str]]:
    """Yield the columns of a table that refer to another one, with that table and its column."""
    match table:
        case ChildTable(director=director, key=key):
            pairs = [(key, director)]
        case MatchTable(directors=directors, keys=keys):
            pairs = list(zip(keys, directors, strict=True))
        case _:
            pairs = []
    for key, name in pairs:
        target = database.table(name)
        if isinstance(target, DirectorTable):
            yield key, target, target.id
    if database.name == SCHEMA_DATABASE:
        for column, name, target_column in _OWN_REFERENCES.get(table.name, ()):
            yield column, database.table(name), target_column


def tap_schema_of(catalog: Catalog) -> CzarTables:
    """Return TAP_SCHEMA for a catalogue."""
    published = [one for one in catalog.databases if one.state is DatabaseState.PUBLISHED]
    databases = [*published, _itself()]
    rows = {
        "schemas": [_schema_row(number, database) for number, database in enumerate(databases)],
        "tables": [row for database in databases for row in _table_rows(database)],
        "columns": [row for database in databases for table in database.tables for row in _column_rows(table)],
        "keys": [row for database in databases for row, _ in _keys(database)],
        "key_columns": [row for database in databases for _, row in _keys(database)],
    }
    tables = {table: _arrow(table, rows[table.name]) for table in _described()}
    return czar_database(SCHEMA_DATABASE, tables, description=_DESCRIPTION)


@cache
def _itself() -> Database:
    return described_database(SCHEMA_DATABASE, _described(), description=_DESCRIPTION)


@cache
def _described() -> tuple[CzarTable, ...]:
    return tuple(
        CzarTable(
            database=SCHEMA_DATABASE,
            name=name,
            physical=physical_name(name),
            columns=tuple(
                Column(name=column, physical=column, datatype=kind, nullable=column not in _NEEDED, description=text)
                for column, kind, text in columns
            ),
            description=description,
        )
        for name, (description, columns) in _TABLES.items()
    )


def _arrow(table: CzarTable, rows: Iterable[Row]) -> pa.Table:
    schema = pa.schema(
        [pa.field(column.name, pa.type_for_alias(column.datatype.names.arrow)) for column in table.columns]
    )
    return pa.Table.from_pylist(list(rows), schema=schema)


def _schema_row(number: int, database: Database) -> Row:
    return {
        "schema_name": written_name(database.name),
        "description": database.description or None,
        "schema_index": number,
    }


def _table_rows(database: Database) -> Iterator[Row]:
    for number, table in enumerate(database.tables):
        yield {
            "schema_name": written_name(database.name),
            "table_name": written_table(table),
            "table_type": "table",
            "utype": table.utype or None,
            "description": table.description or None,
            "table_index": number,
        }


def _column_rows(table: Table) -> Iterator[Row]:
    for number, column in enumerate(one for one in table.columns if not one.hidden):
        varies = column.datatype.is_text or column.datatype in {DataType.TIMESTAMP, DataType.BINARY}
        is_std = table.database == SCHEMA_DATABASE or bool(table.utype and column.utype)
        indexed = is_indexed(table, column)
        yield {
            "table_name": written_table(table),
            "column_name": written_column(table, column),
            "datatype": column.datatype.names.votable,
            "arraysize": "*" if varies else None,
            "xtype": "timestamp" if column.datatype is DataType.TIMESTAMP else column.xtype or None,
            "size": None,  # "size" is the older way to give an arraysize; texts vary in length
            "description": column.description or None,
            "utype": column.utype or None,
            "unit": column.unit or None,
            "ucd": column.ucd or None,
            "indexed": int(indexed),
            "principal": int(indexed or is_std),
            "std": int(is_std),
            "column_index": number,
        }


def _keys(database: Database) -> Iterator[tuple[Row, Row]]:
    """Yield the references between the tables of a database, each as a row of ``keys`` and one of ``key_columns``."""
    for table in database.tables:
        for column, target, target_column in references_of(database, table):
            name = f"{table.qualified}.{column}"
            yield (
                {
                    "key_id": name,
                    "from_table": written_table(table),
                    "target_table": written_table(target),
                    "description": f"The row of {target.name}.",
                },
                {
                    "key_id": name,
                    "from_column": written_column(table, table.column(column)),
                    "target_column": written_column(target, target.column(target_column)),
                },
            )
