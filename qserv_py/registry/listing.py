"""What there is, for people and for placing chunks: databases, tables, chunks, workers, by counts that are kept."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.conninfo import conninfo_to_dict

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.object_bytes import TableCount
from qserv_py.registry.connection import Registry
from qserv_py.registry.statements import run, stream


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLine:
    """One table, by the counts that are kept when it is published."""

    database: str
    table: str
    kind: str
    state: str
    rows: int
    """Rows that are published."""

    waiting: int
    """Rows that are ingested and wait to be published."""

    chunks: int
    """Published."""

    bytes: int
    """Of the files of rows, published or waiting, without those of overlaps and of director indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkLine:
    """One chunk of one table on one worker."""

    database: str
    table: str
    chunk: ChunkId
    worker: str
    rows: int
    overlap_rows: int
    parts: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLine:
    """One worker and what it holds."""

    worker: str
    host: str
    port: int
    parts_dir: str
    chunks: int
    rows: int
    parts: int
    bytes: int


def list_tables(registry: Registry, *, database: str | None = None) -> tuple[TableLine, ...]:
    """Return the tables of a database, or of all; in the order of the schemas."""
    names = ("database", "table", "kind", "state", "rows", "waiting", "chunks", "bytes")
    with registry.connection() as connection:
        rows = run(connection, "list_tables", database=database).fetchall()
    return tuple(TableLine(**dict(zip(names, row, strict=True))) for row in rows)


def list_chunks(registry: Registry, *, database: str | None = None, table: str | None = None) -> tuple[ChunkLine, ...]:
    """Return the chunks of one table or database, or of all, in the order of the sky."""
    with registry.connection() as connection:
        rows = stream(connection, "list_chunks", database=database, table=table)
        return tuple(
            ChunkLine(
                database=row[0],
                table=row[1],
                chunk=ChunkId(row[2], row[3]),
                worker=row[4],
                rows=row[5],
                overlap_rows=row[6],
                parts=row[7],
                bytes=row[8],
            )
            for row in rows
        )


def list_workers(registry: Registry) -> tuple[WorkerLine, ...]:
    """Return the workers in the order in which they were added."""
    with registry.connection() as connection:
        rows = run(connection, "list_workers").fetchall()
    found = []
    for name, conninfo, parts_dir, chunks, count, parts, size in rows:
        address = conninfo_to_dict(conninfo)
        found.append(
            WorkerLine(
                worker=name,
                host=str(address.get("host", "")),
                port=int(address.get("port") or 5432),
                parts_dir=parts_dir,
                chunks=chunks,
                rows=count,
                parts=parts,
                bytes=size,
            )
        )
    return tuple(found)


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
