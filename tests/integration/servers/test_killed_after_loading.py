"""Rows that were loaded outlive a server that is killed: most of them never were in its log."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.cluster import running_cluster
from support.ingested import Shards, add_small, followers, ingest, objects
from support.waiting import wait_until

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.cluster_servers import cluster_status, start_cluster
from qserv_py.czar.ingest_destination import open_destination

COLUMNS = {
    "Object": ("objectId", "ra", "dec", "gFlux", "label"),
    "Source": ("sourceId", "objectId", "mjd", "visit"),
    "Visit": ("visit", "band"),
}


@pytest.fixture
def mortal() -> Iterator[Cluster]:
    with running_cluster(workers=1) as made:
        for conninfo in made.admin.values():
            with psycopg.connect(conninfo, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET synchronous_commit = 'on'")  # as it is for users
                connection.execute("SELECT pg_reload_conf()")
        yield made


def pages_logged(cluster: Cluster) -> int:
    """Return how many whole pages the servers have written to their logs."""
    total = 0
    for conninfo in cluster.admin.values():
        with psycopg.connect(conninfo, autocommit=True) as connection:
            row = connection.execute("SELECT wal_fpi FROM pg_stat_wal").fetchone()
            total += int(row[0]) if row else 0
    return total


def kill(cluster: Cluster) -> None:
    """Kill all processes of a cluster's server at once."""
    [server] = cluster_status(cluster.config.directory)
    assert server.pid is not None
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in [server.pid, *map(int, children)]:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not any(one.running for one in cluster_status(cluster.config.directory)))


def test_all_rows_are_there_after_a_crash(mortal: Cluster, tmp_path: Path) -> None:
    database = add_small(mortal, tmp_path, "crashed")
    rows = objects(3000, seed=3)
    tables = {"Object": rows, **followers(rows, seed=4)}
    shards = Shards(mortal, database)
    logged = pages_logged(mortal)
    with open_destination(mortal, sync=False) as destination:
        for table in COLUMNS:
            ingest(destination, tmp_path, "crashed", table, tables[table])
    before = shards.relations()
    assert pages_logged(mortal) - logged < len(before), "each relation has a page at least, and each of its indexes"
    kill(mortal)
    start_cluster(mortal.config.directory)
    assert shards.relations() == before
    own = dict.fromkeys(COLUMNS, 0)
    for (_, relation), count in before.items():
        if "_overlap_" not in relation:
            own[next(name for name in COLUMNS if relation.startswith(name.lower()))] += count
    assert own == {name: tables[name].num_rows for name in COLUMNS}
    [conninfo] = mortal.admin.values()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        # through the indexes, which were not in the log either
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_bitmapscan = off")
        found = 0
        for _, relation in before:
            if relation.startswith("object_") and "_overlap_" not in relation:
                query = f"SELECT count(*) FROM crashed.{relation} WHERE objectid >= 0"
                row = connection.execute(query.encode()).fetchone()
                found += row[0] if row else 0
    assert found == rows.num_rows
