"""The statements that make chunk tables, their parents and indexes; composed from the catalogue, run by ``row_store``.

PostgreSQL aligns values to their width, so columns stand in the order 8, 4, 2, 1 bytes, then those of variable length:
a row of DP1's Object is half as long that way. Users never see this order: the catalogue has that of the schema.
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import (
    HEALPIX_COLUMN,
    ChildTable,
    Column,
    DirectorTable,
    MatchTable,
    Table,
)

UNTOUCHED = sql.SQL("autovacuum_enabled = false, toast.autovacuum_enabled = false")
"""Storage parameters of every relation with a catalogue's rows, which are frozen and analysed when they are loaded.

Autovacuum would read them once more, and put statistics of its own in the place of the loader's. That against the
wraparound of transaction ids comes all the same.
"""


def stored_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns in the order in which a shard stores them."""
    # sorted() is stable, so columns of one width keep the schema's order. Those without a width (-1) come last.
    return tuple(sorted(table.columns, key=lambda column: -column.datatype.names.width))


def create_chunk_table(schema: str, relation: str, table: Table, *, chunk: ChunkId | None) -> sql.Composed:
    """Return CREATE TABLE for a chunk table; with ``chunk`` the check that lets PostgreSQL leave it out of a region."""
    parts: list[sql.Composable] = [_column(column) for column in stored_columns(table)]
    if chunk is not None:
        check = sql.SQL("CHECK ({column} >= {first} AND {column} < {end})")
        parts.append(
            check.format(
                column=sql.Identifier(HEALPIX_COLUMN), first=sql.Literal(chunk.first), end=sql.Literal(chunk.end)
            )
        )
    statement = sql.SQL("CREATE TABLE {relation} ({parts}) WITH ({untouched})")
    return statement.format(
        relation=sql.Identifier(schema, relation), parts=sql.SQL(", ").join(parts), untouched=UNTOUCHED
    )


def leave_untouched(schema: str, relation: str) -> sql.Composed:
    """Return ALTER TABLE that takes a relation out of autovacuum's hands."""
    statement = sql.SQL("ALTER TABLE IF EXISTS {relation} SET ({untouched})")
    return statement.format(relation=sql.Identifier(schema, relation), untouched=UNTOUCHED)


def create_parent(schema: str, table: Table, *, name: str = "") -> sql.Composed:
    """Return CREATE TABLE for the parent that shows a table's chunks on a shard as one table.

    Chunk tables inherit from it. Two of one chunk could not both be partitions, and each partition takes longer to
    attach than the one before: 4,000 of them minutes, where these take a second.
    """
    columns = sql.SQL(", ").join([_column(column) for column in stored_columns(table)])
    statement = sql.SQL("CREATE TABLE IF NOT EXISTS {parent} ({columns})")
    return statement.format(parent=sql.Identifier(schema, name or table.physical), columns=columns)


def create_indexes(schema: str, relation: str, table: Table, *, overlap: bool = False) -> list[sql.Composed]:
    """Return CREATE INDEX for all indexes of a chunk table (or ref table)."""
    statement = sql.SQL("CREATE INDEX ON {relation} ({columns})")
    return [
        statement.format(
            relation=sql.Identifier(schema, relation),
            columns=sql.SQL(", ").join([sql.Identifier(table.column(name).physical) for name in names]),
        )
        for names in index_columns(table, overlap=overlap)
    ]


def index_columns(table: Table, *, overlap: bool = False) -> list[tuple[str, ...]]:
    """Return the columns of each index: the clustering key, ids and keys, then what the schema asks for."""
    wanted: list[tuple[str, ...]] = [(HEALPIX_COLUMN,)] if table.is_partitioned else []
    match table:
        case DirectorTable():
            wanted.append((table.id,))
        case ChildTable():
            wanted.append((table.key,))
        case MatchTable():
            wanted.extend((key,) for key in table.keys)
    if not overlap:
        if len(table.primary_key) == 1:
            wanted.append(table.primary_key)
        wanted.extend(table.indexes)
    return list(dict.fromkeys(wanted))


def analyze(schema: str, relation: str, columns: Iterable[str] = ()) -> sql.Composed:
    """Return ANALYZE, of some columns (physical names) or all."""
    names = [sql.Identifier(column) for column in columns]
    what = sql.SQL(" ({})").format(sql.SQL(", ").join(names)) if names else sql.SQL("")
    return sql.SQL("ANALYZE {}{}").format(sql.Identifier(schema, relation), what)


def inherit(schema: str, relation: str, parent: str) -> sql.Composed:
    """Return ALTER TABLE that makes a chunk table one of those that a parent shows."""
    statement = sql.SQL("ALTER TABLE {relation} INHERIT {parent}")
    return statement.format(relation=sql.Identifier(schema, relation), parent=sql.Identifier(schema, parent))


def ref_view(schema: str, table: Table, relations: Iterable[str]) -> sql.Composed:
    """Return CREATE VIEW that shows the rows of a ref table under its own name."""
    columns = sql.SQL(", ").join([sql.Identifier(column.physical) for column in table.columns])
    shown = [
        sql.SQL("SELECT {columns} FROM {relation}").format(columns=columns, relation=sql.Identifier(schema, relation))
        for relation in relations
    ]
    statement = sql.SQL("CREATE OR REPLACE VIEW {view} AS {rows}")
    return statement.format(view=sql.Identifier(schema, table.physical), rows=sql.SQL(" UNION ALL ").join(shown))


def copy_statement(schema: str, relation: str, table: Table, *, freeze: bool) -> sql.Composed:
    """Return COPY for rows in the order of ``stored_columns``; freeze needs a table of the same transaction."""
    columns = sql.SQL(", ").join([sql.Identifier(column.physical) for column in stored_columns(table)])
    options = sql.SQL("FORMAT binary, FREEZE true") if freeze else sql.SQL("FORMAT binary")
    statement = sql.SQL("COPY {relation} ({columns}) FROM STDIN ({options})")
    return statement.format(relation=sql.Identifier(schema, relation), columns=columns, options=options)


def _column(column: Column) -> sql.Composed:
    # The type's name is from our own table of types, not from a user.
    declared = sql.SQL("{} {}" if column.nullable else "{} {} NOT NULL")
    return declared.format(sql.Identifier(column.physical), sql.SQL(column.datatype.names.postgres))
