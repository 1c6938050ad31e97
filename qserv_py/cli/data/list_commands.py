"""``qserv list``: what a cluster holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qserv_py.cli.options import cluster_option, format_option
from qserv_py.cli.rows import print_rows

if TYPE_CHECKING:
    from qserv_py.registry.queries import QueryEntry
    from qserv_py.remote.queries import QueryView


@click.group("list")
def list_group() -> None:
    """List databases, tables, chunks, workers and running queries."""


@list_group.command()
@cluster_option
@format_option
def databases(cluster_dir: Path, row_format: str) -> None:
    """List the databases; rows are the published ones, waiting the ingested ones that are not."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.registry.listing import list_tables

    with open_cluster(cluster_dir).registry() as registry:
        found, lines = registry.databases(), list_tables(registry)
    rows = []
    for database in found:
        own = [line for line in lines if line.database == database.name]
        total, waiting = sum(line.rows for line in own), sum(line.waiting for line in own)
        size = sum(line.bytes for line in own)
        rows.append((database.name, database.state.value, database.family.name, len(own), total, waiting, size))
    print_rows(("database", "state", "family", "tables", "rows", "waiting", "bytes"), rows, row_format)


@list_group.command()
@click.argument("database", metavar="[DB]", required=False)
@cluster_option
@format_option
def tables(database: str | None, cluster_dir: Path, row_format: str) -> None:
    """List the tables of DB, or of all databases."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.registry.listing import list_tables

    with open_cluster(cluster_dir).registry() as registry:
        if database is not None:
            database = registry.database(database).name
        lines = list_tables(registry, database=database)
    rows = [
        (line.database, line.table, line.kind, line.rows, line.waiting, line.chunks or None, line.bytes)
        for line in lines
    ]
    print_rows(("database", "table", "kind", "rows", "waiting", "chunks", "bytes"), rows, row_format)


@list_group.command()
@click.argument("name", metavar="[DB[.TABLE]]", required=False)
@cluster_option
@format_option
def chunks(name: str | None, cluster_dir: Path, row_format: str) -> None:
    """List the chunks of a table, of a database, or of all, and where they are."""
    from qserv_py.cli.data.schema_commands import find_table
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.registry.listing import list_chunks

    with open_cluster(cluster_dir).registry() as registry:
        database, _, table = (name or "").partition(".")
        if database:
            found = registry.database(database)
            database, table = found.name, find_table(found, table).name if table else ""
        lines = list_chunks(registry, database=database or None, table=table or None)
    names = ("database", "table", "chunk", "worker", "rows", "overlap", "parts", "bytes")
    rows = [
        (line.database, line.table, str(line.chunk), line.worker, line.rows, line.overlap_rows, line.parts, line.bytes)
        for line in lines
    ]
    print_rows(names, rows, row_format)


@list_group.command()
@cluster_option
@format_option
def workers(cluster_dir: Path, row_format: str) -> None:
    """List the workers, where their servers listen and what they hold."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.cluster_servers import cluster_status
    from qserv_py.registry.listing import list_workers

    running = {server.worker: server.running for server in cluster_status(cluster_dir)}
    with open_cluster(cluster_dir).registry() as registry:
        lines = list_workers(registry)
    names = ("worker", "state", "host", "port", "chunks", "rows", "parts", "bytes")
    rows = [
        (
            line.worker,
            "running" if running.get(line.worker) else "stopped",
            line.host,
            str(line.port),
            line.chunks,
            line.rows,
            line.parts,
            line.bytes,
        )
        for line in lines
    ]
    print_rows(names, rows, row_format)


@list_group.command()
@cluster_option
@format_option
@click.option("--url", default="", is_eager=True, metavar="URL", help="Yours at this service; QSERV_TOKEN says whose.")
def queries(cluster_dir: Path, row_format: str, url: str) -> None:
    """List the queries that run, in any process of the cluster, and the snapshots that they read."""
    found: Sequence[QueryEntry | QueryView]
    if url:
        from qserv_py.cli.queries.service_option import queries_at

        found = queries_at(url).list()
    else:
        from qserv_py.czar.cluster import open_cluster
        from qserv_py.registry.queries import list_queries

        with open_cluster(cluster_dir).registry() as registry:
            found = list_queries(registry)
    rows = [
        (
            entry.query_id,
            entry.kind,
            entry.priority,
            entry.phase,
            entry.owner,
            entry.started_at.isoformat(timespec="seconds"),
            ", ".join(f"{name} {number}" for name, number in entry.snapshots.items()),
            " ".join(entry.text.split()),
        )
        for entry in found
    ]
    print_rows(("query", "kind", "priority", "phase", "owner", "started", "snapshots", "text"), rows, row_format)
