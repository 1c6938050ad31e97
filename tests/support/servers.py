"""The made-up catalogues twice: on a cluster, and in one plain PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyarrow as pa
from support.catalogues import ALL, load_catalogues
from support.plain import make_plain
from support.postgres import TestServer
from support.uploads import made_upload, upload_name

import qserv_py
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.tables.czar_tables import uploaded_tables


@dataclass(frozen=True)
class Servers:
    """Connections to both."""

    sharded: qserv_py.Connection
    plain: psycopg.Connection
    uploads: dict[str, pa.Table]
    """One for each catalogue, ``NAME_u``; the plain server has them in the schema ``TAP_UPLOAD``."""


@contextmanager
def both_servers(cluster: Cluster, postgres_server: TestServer, scratch: Path, *, turn: int = 0) -> Iterator[Servers]:
    """Load the catalogues on both sides; the plain database has our SQL functions, too.

    ``turn`` is that of ``load_catalogues``.
    """
    databases = load_catalogues(cluster, scratch, turn=turn)
    conninfo = postgres_server.create_shard()
    for made in databases:
        make_plain(conninfo, made.database, made.tables)
    uploads = {upload_name(name): made_upload(name) for name in ALL}
    make_plain(conninfo, uploaded_tables(uploads).database, uploads)
    with qserv_py.connect(cluster.config.directory) as sharded, psycopg.connect(conninfo, autocommit=True) as plain:
        yield Servers(sharded, plain, uploads)
    postgres_server.drop_database(conninfo)
