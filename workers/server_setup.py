"""What a PostgreSQL server needs to be a shard: the database, the reader's role, our schema, functions and tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from qserv_py.errors import ClusterError
from qserv_py.sql import load, names
from qserv_py.workers.server import SUPERUSER

SHARD_DATABASE = "qserv"
READER = "qserv_reader"

SETUP_SCRIPTS = (
    "worker/schema",
    "worker/bookkeeping",
    "worker/functions",
    "worker/catalogue_functions",
    "worker/shape_functions",
    "worker/scratch",
)
"""Scripts applied at every start, in this order; each may run again and again."""


def server_conninfo(
    *, host: str, port: int, passfile: str, user: str = SUPERUSER, dbname: str = SHARD_DATABASE, **further: str
) -> str:
    """Return a libpq connection string for an embedded server; it holds no password.

    Settings that a PG* variable of the caller could break, such as TLS, are written out.
    """
    return make_conninfo(
        host=host,
        port=port,
        user=user,
        dbname=dbname,
        passfile=passfile,
        connect_timeout=10,
        sslmode="disable",
        gssencmode="disable",
        application_name="qserv",
        **further,
    )


def prepare_server(conninfo: str, *, reader_password: str, databases: tuple[str, ...] = (SHARD_DATABASE,)) -> None:
    """Make the databases and the reader's role, for a server that was just initialised.

    Parameters
    ----------
    conninfo
        The superuser's connection string to any database of the server.
    reader_password
        Leaves this process only as a SCRAM verifier.
    databases
        Databases to make where they are missing.
    """
    with admin_connection(conninfo, dbname="postgres") as connection:
        connection.execute(load("worker/reader").encode())
        verifier = connection.pgconn.encrypt_password(reader_password.encode(), READER.encode(), b"scram-sha-256")
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(READER), verifier.decode())
        connection.execute(statement)
        known = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name in databases:
            if name not in known:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(SHARD_DATABASE), sql.Identifier(READER))
        )


def apply_scripts(conninfo: str) -> None:
    """Bring our schema, functions and book-keeping tables on a shard up to date, in one PostgreSQL transaction."""
    present = set(names("worker"))
    with admin_connection(conninfo) as connection, connection.transaction():
        # two processes may apply the scripts at the same moment
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('qserv worker scripts', 0))")
        for name in SETUP_SCRIPTS:
            if name in present:
                connection.execute(load(name).encode())
        connection.execute(load("worker/sweep_scratch").encode())


@contextmanager
def admin_connection(conninfo: str, *, dbname: str | None = None) -> Iterator[psycopg.Connection]:
    """Open an autocommit connection for administration; PostgreSQL's errors come out as ClusterError."""
    address = conninfo_to_dict(conninfo)
    place = f"{address.get('host')}, port {address.get('port')}"
    try:
        chosen = make_conninfo(conninfo, dbname=dbname) if dbname else conninfo
        with psycopg.connect(chosen, autocommit=True) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise ClusterError(f"the PostgreSQL server at {place} does not answer", detail=str(error).strip()) from error
    except psycopg.Error as error:
        raise ClusterError(
            f"the PostgreSQL server at {place} refused a statement", detail=str(error).strip()
        ) from error
