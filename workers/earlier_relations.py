"""Brings chunk tables that an earlier version made to what this one makes: autovacuum leaves them alone.

It is done in batches, each a transaction, so whoever is interrupted goes on where it ended. The lock that it takes lets
queries read; a relation that somebody vacuums or alters just then is left for the next start.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from qserv_py.sql import load
from qserv_py.workers.chunk_tables import leave_untouched
from qserv_py.workers.server_setup import admin_connection

AT_ONCE = 100
"""Relations of one transaction, which holds a lock or two on each."""

LOCK_TIMEOUT = "2s"
"""How long a lock is waited for; autovacuum gives its own up after ``deadlock_timeout``, a second."""


def take_from_autovacuum(conninfo: str) -> int:
    """Take the relations of a shard that hold rows of catalogues out of autovacuum's hands; return how many it took.

    Parameters
    ----------
    conninfo
        The superuser's connection string to the shard.
    """
    with admin_connection(conninfo) as connection:
        connection.execute(sql.SQL("SET lock_timeout = {}").format(LOCK_TIMEOUT))
        found = connection.execute(load("worker/vacuumed_relations").encode()).fetchall()
        return sum(_take(connection, found[start : start + AT_ONCE]) for start in range(0, len(found), AT_ONCE))


def _take(connection: psycopg.Connection, relations: Sequence[tuple[str, str]]) -> int:
    """Alter relations in one transaction, or each alone where one of them is locked; return how many were altered."""
    try:
        with connection.transaction():
            for schema, relation in relations:
                connection.execute(leave_untouched(schema, relation))
    except psycopg.errors.LockNotAvailable:
        return sum(_take(connection, [one]) for one in relations) if len(relations) > 1 else 0
    return len(relations)
