"""Running a statement of ``sql/czar`` by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from qserv_py.sql import load

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]


_ROWS_AT_ONCE = 5000


def run(connection: Connection, statement: str, **values: object) -> Cursor:
    """Run the text of this name below ``sql/czar`` with values bound by name; the cursor iterates over its rows."""
    return connection.execute(load(f"czar/{statement}").encode(), values or None)


def stream(connection: Connection, statement: str, **values: object) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of ``sql/czar/<statement>.sql`` as the server makes them; they are never all in memory."""
    with connection.transaction(), connection.cursor(name=statement) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        yield from cursor.execute(load(f"czar/{statement}").encode(), values or None)


@contextmanager
def lock_if_free(connection: Connection, name: str) -> Iterator[bool]:
    """Hold a named lock during the block unless somebody has it; gives whether it is held."""
    row = run(connection, "try_lock", name=name).fetchone()
    if row is None or not row[0]:
        yield False
        return
    try:
        yield True
    finally:
        run(connection, "unlock", name=name)
