"""How many bytes an object brings into its chunk: its own row, and those of all tables that stand beside it.

A chunk that aims at bytes needs to know this before the rows are there, because the director's rows come first and
decide the chunks. So a row's bytes are estimated from the schema, and how many rows an object has is declared, until
enough rows are published to count both.

For example, an object of 200 bytes with five sources of 60 bytes brings 500 bytes, so 2,000 objects fill a chunk that
aims at 1,000,000 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qserv_py.catalog.model import TARGET_BYTES, ChildTable, Column, Database, DirectorTable, MatchTable, Table
from qserv_py.errors import InternalError

TEXT_BYTES = 32
"""Bytes that a text or a binary value is taken for, unless its column is shorter."""

COUNTED_ROWS = 1000
"""Rows of a chunk, on average, from which on a row's bytes are counted: with fewer, a part is mostly its own footer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCount:
    """What is published of a table."""

    rows: int
    bytes: int
    """Of the parts of its rows, without overlap."""

    chunks: int


Counts = Mapping[str, TableCount]
"""By the table's name; tables without published rows may be missing."""


def chunk_rows(database: Database, table: Table, counts: Counts) -> int:
    """Return how many rows of a table a chunk aims at: of a director, or of a child whose orphans make chunks."""
    family = database.family
    if family.target_rows is not None:
        return family.target_rows
    wanted = TARGET_BYTES if family.target_bytes is None else family.target_bytes
    return max(1, int(wanted / bytes_per_row(database, table, counts)))


def rows_in_full_chunk(database: Database, table: Table, counts: Counts) -> int | None:
    """Return the rows of a table in a chunk that is as large as it aims at; None for a table that has no chunks."""
    director = database.director_of(table)
    if director is None:
        return None
    return round(chunk_rows(database, director, counts) * _rows_per_object(database, table, counts))


def bytes_per_row(database: Database, table: Table, counts: Counts) -> float:
    """Return the bytes that come into a chunk for each row of a table, those of all other tables with it."""
    director = database.director_of(table)
    if director is None:
        raise InternalError(f"{table.qualified} has no director")
    # An orphan stands for one object at the most, however few rows an object has.
    return object_bytes(database, director, counts) / max(1.0, _rows_per_object(database, table, counts))


def object_bytes(database: Database, director: DirectorTable, counts: Counts) -> float:
    """Return the bytes that come into a chunk for each row of a director.

    Another director counts as many rows for each of them as there are published, or one.
    """
    found = 0.0
    for table in database.tables:
        other = database.director_of(table)
        if other is not None:
            rows = _ratio(counts, of=other.name, to=director.name) * _rows_per_object(database, table, counts)
            found += rows * row_bytes(table, counts)
    return found


def row_bytes(table: Table, counts: Counts) -> float:
    """Return the bytes of a row in its part: counted where enough rows are published, else those of the schema."""
    count = counts.get(table.name)
    if count is not None and count.rows >= COUNTED_ROWS * max(1, count.chunks):
        return count.bytes / count.rows
    return float(sum(_column_bytes(column) for column in table.columns))


def _column_bytes(column: Column) -> int:
    width = column.datatype.names.width
    return width if width > 0 else min(column.length or TEXT_BYTES, TEXT_BYTES)


def _rows_per_object(database: Database, table: Table, counts: Counts) -> float:
    """Return how many rows a table has for each row of its director: what is declared, else counted, else one."""
    if not isinstance(table, ChildTable | MatchTable):
        return 1.0
    if table.rows_per_object is not None:
        return table.rows_per_object
    director = database.director_of(table)
    return _ratio(counts, of=table.name, to=director.name) if director is not None else 1.0


def _ratio(counts: Counts, *, of: str, to: str) -> float:
    """Return how many rows of one table are published for each of another; one where either has none."""
    one, other = counts.get(of), counts.get(to)
    if one is None or other is None or not one.rows or not other.rows:
        return 1.0
    return one.rows / other.rows
