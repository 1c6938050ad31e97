"""The made-up catalogues twice: on a cluster, and in one plain PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from support.catalogues import load_catalogues
from support.plain import make_plain
from support.postgres import TestServer

import qserv_py
from qserv_py.czar.cluster import Cluster


@dataclass(frozen=True)
class Servers:
    """Connections to both."""

    sharded: qserv_py.Connection
    plain: psycopg.Connection


@contextmanager
def both_servers(cluster: Cluster, postgres_server: TestServer, scratch: Path) -> Iterator[Servers]:
    """Load the catalogues on both sides; the plain database has our SQL functions, too."""
    databases = load_catalogues(cluster, scratch)
    conninfo = postgres_server.create_shard()
    for made in databases:
        make_plain(conninfo, made.database, made.tables)
    with qserv_py.connect(cluster.config.directory) as sharded, psycopg.connect(conninfo, autocommit=True) as plain:
        yield Servers(sharded, plain)
    postgres_server.drop_database(conninfo)
