"""The database of a registry on PostgreSQL: its URL, and a schema that is whole or known to be unfinished.

The Butler makes its tables in several transactions. Until they are all there, the schema carries a comment; a schema
with the comment is dropped and made again. An advisory lock keeps two that make the same repository apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg import sql

from qserv_py.errors import ConfigError, RepositoryError

NAMESPACE = "butler"
"""Schema of the registry where nobody names one."""

UNFINISHED = "qserv pipeline: this Butler registry is being made"
"""Comment on a schema whose tables are not all there."""
_LOCK = 0x71736572
_LOGIN_HINT = "As for psql, the password comes from ~/.pgpass, PGPASSFILE or PGPASSWORD; LSST_DB_AUTH is read, too."


def registry_url(given: str) -> str:
    """Return the URL of a registry as SQLAlchemy takes it.

    Raises
    ------
    ConfigError
        If it is of another database or holds a password, which every reader of the repository could see.
    """
    parts = urlsplit(given)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in ("postgresql", "postgres"):
        raise ConfigError(
            f'a registry can be on PostgreSQL, not "{parts.scheme or given}"',
            hint="For example postgresql://user@host/database; without --registry it is a file of SQLite.",
        )
    if parts.password is not None or any(key.lower() == "password" for key, _ in parse_qsl(parts.query)):
        raise ConfigError("the URL of a registry is stored where others read it: no password in it", hint=_LOGIN_HINT)
    return parts._replace(scheme="postgresql+psycopg").geturl()


def check_namespace(namespace: str) -> str:
    """Return the name of a schema.

    Raises
    ------
    ConfigError
        If the Butler cannot use it: it does not quote names everywhere.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", namespace) or namespace.startswith("pg_"):
        raise ConfigError(f'a registry in a schema "{namespace}"', hint="Use small letters, digits and underscores.")
    return namespace


@contextmanager
def schema_to_fill(url: str, namespace: str, *, known: bool) -> Iterator[bool]:
    """Yield whether the tables of a registry must be made, in a schema that is ready for them.

    Parameters
    ----------
    url
        As ``registry_url`` returns it.
    namespace
        The schema.
    known
        Whether a repository names the schema; the tables in it are its own then.

    Raises
    ------
    RepositoryError
        If the database does not answer or refuses, or other tables are in the schema.
    """
    try:
        connection = psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True, connect_timeout=20)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        raise RepositoryError(
            "the database of the registry does not answer", detail=reason, hint=_LOGIN_HINT
        ) from error
    with connection:
        connection.execute("SELECT pg_advisory_lock(%s::int, hashtext(%s::text))", (_LOCK, namespace))
        try:
            must_make = _prepare(connection, namespace, known=known)
        except psycopg.errors.InsufficientPrivilege as error:
            raise RepositoryError(
                f"the database of the registry refuses: {str(error).splitlines()[0]}",
                hint=f'Ask its administrator for CREATE EXTENSION btree_gist and for a schema "{namespace}" of yours.',
            ) from error
        yield must_make
        if must_make:
            connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS NULL").format(sql.Identifier(namespace)))


def _prepare(connection: psycopg.Connection[tuple[object, ...]], namespace: str, *, known: bool) -> bool:
    present = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'btree_gist'").fetchone()
    if present is None:
        connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    found = connection.execute(
        "SELECT obj_description(oid, 'pg_namespace'), EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = n.oid)"
        "  FROM pg_namespace n WHERE nspname = %s::text",
        (namespace,),
    ).fetchone()
    name = sql.Identifier(namespace)
    if found is not None and found[0] == UNFINISHED:
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(name))
        found = None
    if found is not None and found[1]:
        if known:
            return False
        raise RepositoryError(
            f'schema "{namespace}" of the registry\'s database has tables, but not of this repository',
            hint="Give another --namespace, one for each repository.",
        )
    with connection.transaction():
        if found is None:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(name, UNFINISHED))
    return True
