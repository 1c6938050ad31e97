"""One embedded cluster for the tests of a session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from support.postgres import FAST_SETTINGS, ease_logins, private_directory

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.cluster_init import init_cluster
from qserv_py.czar.cluster_servers import stop_cluster


@contextmanager
def running_cluster(*, workers: int = 3, postgres_bin: str = "") -> Iterator[Cluster]:
    """Run a cluster in a private directory that is stopped and removed at the end.

    Parameters
    ----------
    workers
        Number of PostgreSQL servers.
    postgres_bin
        Directory of the PostgreSQL programs; empty for those of ``QSERV_PG_BIN`` or of the wheel.
    """
    directory = private_directory()
    try:
        cluster = init_cluster(
            directory / "c", workers=workers, postgres_bin=postgres_bin, settings=FAST_SETTINGS, sync=False
        )
        try:
            for conninfo in cluster.admin.values():
                ease_logins(conninfo, cluster.config.passfile)
            yield cluster
        finally:
            stop_cluster(cluster.config.directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def count_statements(cluster: Cluster) -> int:
    """Return how many statements of queries run on the servers at this moment, without their parallel workers."""
    total = 0
    for conninfo in cluster.admin.values():
        with psycopg.connect(conninfo) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'qserv_reader' AND state = 'active'"
                " AND backend_type = 'client backend'"
            ).fetchone()
            total += row[0] if row else 0
    return total
