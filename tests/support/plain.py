"""The same rows in one plain PostgreSQL, and the comparison of two answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
import pyarrow as pa
from psycopg import sql

from qserv_py.catalog.model import Database

ORACLE = Path(__file__).parent / "oracle.sql"


def make_plain(conninfo: str, database: Database, tables: Mapping[str, pa.Table]) -> None:
    """Put the rows of a catalogue into plain tables: one schema, no chunks, our functions not needed."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(ORACLE.read_text())  # type: ignore[arg-type]
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(database.name)))
        for name, rows in tables.items():
            _make_table(connection, database, name, rows)


def _make_table(connection: psycopg.Connection, database: Database, name: str, rows: pa.Table) -> None:
    table = database.table(name)
    relation = sql.Identifier(database.name, name.lower())
    columns = [table.column(column) for column in rows.column_names]
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(c.name.lower()), sql.SQL(c.datatype.names.postgres)) for c in columns
    )
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(relation, definitions))
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(relation)) as copy:
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            copy.write_row(row)
    connection.execute(sql.SQL("ANALYZE {}").format(relation))


def differences(ours: Sequence[tuple], theirs: Sequence[tuple], *, ordered: bool) -> str:
    """Return what differs between two answers, nothing when they agree.

    Floats agree within 1e-12 of their size: sums run in another order on the shards.
    """
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, the plain server has {len(theirs)}"
    if not ordered:
        ours, theirs = sorted(ours, key=_order), sorted(theirs, key=_order)
    for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if not all(map(same, one, other)):
            return f"row {place}: {one}, the plain server has {other}"
    return ""


def same(one: object, other: object) -> bool:
    """Whether two values agree."""
    if isinstance(one, float) and isinstance(other, (int, float)):
        other = float(other)
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other or math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)
    return one == other and type(one) is type(other)


def is_part(ours: Sequence[tuple], theirs: Sequence[tuple]) -> bool:
    """Whether every row of ours is one of theirs, as often at the most."""
    left = Counter(_rounded(row) for row in theirs)
    left.subtract(Counter(_rounded(row) for row in ours))
    return min(left.values(), default=0) >= 0


def _rounded(row: tuple) -> tuple:
    return tuple(
        repr(float(f"{value:.10g}")) if isinstance(value, float) else tuple(value) if isinstance(value, list) else value
        for value in row
    )


def _order(row: tuple) -> tuple:
    """Return a key that sorts like rows together; floats are rounded so that nearly equal ones do not part.

    Rows that rounding makes alike, such as large ids as floats, are sorted by their exact values.
    """
    rounded = tuple(
        (value is None, type(value).__name__, f"{value:+.9e}" if isinstance(value, float) else str(value))
        for value in row
    )
    exact = tuple(value if isinstance(value, float) and value == value else 0.0 for value in row)
    return rounded, exact
