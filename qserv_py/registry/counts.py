"""What tables and workers hold, from counts that the registry keeps: no part is read for them."""

from __future__ import annotations

from dataclasses import dataclass

from qserv_py.catalog.object_bytes import TableCount
from qserv_py.registry.connection import Registry
from qserv_py.registry.statements import run


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBytes:
    """What a worker holds, bytes of its chunk and overlap parts that are committed."""

    worker: str
    family: int = 0
    """Of the databases of one family."""

    total: int = 0
    """Of all databases."""


def table_counts(registry: Registry, database: str) -> dict[str, TableCount]:
    """Return what is published of each table of a database, by its name; tables that are not published are missing."""
    with registry.connection() as connection:
        return {
            name: TableCount(rows=rows, bytes=size, chunks=chunks)
            for name, rows, size, chunks in run(connection, "table_counts", database=database)
        }


def worker_bytes(registry: Registry, family: str) -> tuple[HeldBytes, ...]:
    """Return what each worker holds, in the order in which they were added."""
    with registry.connection() as connection:
        return tuple(
            HeldBytes(worker=name, family=of_family, total=total)
            for name, of_family, total in run(connection, "worker_bytes", family=family)
        )
