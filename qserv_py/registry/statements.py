"""Running a statement of ``sql/czar`` by its name."""

from __future__ import annotations

from collections.abc import Iterator
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
