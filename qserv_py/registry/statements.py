"""Running a statement of ``sql/czar`` by its name."""

from __future__ import annotations

from typing import Any

import psycopg

from qserv_py.sql import load

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]


def run(connection: Connection, statement: str, **values: object) -> Cursor:
    """Run the text of this name below ``sql/czar`` with values bound by name; the cursor iterates over its rows."""
    return connection.execute(load(f"czar/{statement}").encode(), values or None)
