"""Granting databases to readers, and taking grants back. ``Database.readers`` says who has them."""

from __future__ import annotations

from qserv_py.catalog.grants import Grantee
from qserv_py.catalog.model import Database
from qserv_py.registry import catalog_reader
from qserv_py.registry.connection import Registry
from qserv_py.registry.databases import find_database
from qserv_py.registry.statements import run


def grant(registry: Registry, database: str, grantee: Grantee) -> tuple[Database, bool]:
    """Let somebody read a database.

    Returns
    -------
    database, changed
        The database as it is now; False when the grantee had the grant already.

    Raises
    ------
    NotFoundError
        If there is no such database.
    """
    return _change(registry, "insert_grant", database, grantee)


def revoke(registry: Registry, database: str, grantee: Grantee) -> tuple[Database, bool]:
    """Take a grant back; parameters, returned values and errors as for ``grant``."""
    return _change(registry, "delete_grant", database, grantee)


def _change(registry: Registry, statement: str, database: str, grantee: Grantee) -> tuple[Database, bool]:
    with registry.transaction() as connection:
        name = find_database(catalog_reader.read_databases(connection), database).name
        done = run(connection, statement, database=name, kind=grantee.kind.value, name=grantee.name).fetchone()
        if done is not None:
            run(connection, "bump_catalog_version")
        (now,) = catalog_reader.read_databases(connection, [name])
    return now, done is not None
