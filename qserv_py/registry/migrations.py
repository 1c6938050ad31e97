"""Numbered migrations of the registry: each applied once, in order, in one PostgreSQL transaction with its record.

All of them run before the new version does anything else: `qserv cluster start` applies them, and programs of another
version stop (``check_version``). The first ones have ``pre`` in their names, which the registries' records repeat.
A file that was applied never changes: its checksum is recorded and compared at every start.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache

import psycopg

from qserv_py.errors import ClusterError
from qserv_py.registry.statements import run
from qserv_py.sql import load, names

LOCK = "qserv registry migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file of ``sql/migrations``."""

    number: int
    name: str
    """Name of the file without its ending, such as ``0001_pre_registry``."""

    text: str

    @property
    def sha256(self) -> str:
        """Checksum of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@cache
def known_migrations() -> tuple[Migration, ...]:
    """Return the migrations of this program, in order."""
    found = []
    for path in names("migrations"):
        name = path.removeprefix("migrations/")
        if match := re.match(r"(\d{4})_", name):
            found.append(Migration(number=int(match[1]), name=name, text=load(path)))
    return tuple(sorted(found, key=lambda migration: migration.number))


def apply_migrations(
    connection: psycopg.Connection, *, migrations: tuple[Migration, ...] | None = None
) -> tuple[str, ...]:
    """Apply what the registry lacks; return the names of the migrations applied.

    Parameters
    ----------
    connection
        Connection to the registry, in autocommit mode.
    migrations
        Migrations to apply; None for ``known_migrations()``.

    Raises
    ------
    ClusterError
        If an applied migration has changed since, or the registry is of a later version of qserv_py.
    """
    wanted = known_migrations() if migrations is None else migrations
    run(connection, "lock", name=LOCK)
    try:
        run(connection, "migration_table")
        applied = _check_applied(connection, wanted)
        missing = [migration for migration in wanted if migration.number not in applied]
        for migration in missing:
            with connection.transaction():
                connection.execute(migration.text.encode())
                record = {"number": migration.number, "name": migration.name, "sha256": migration.sha256}
                run(connection, "insert_migration", **record)
    finally:
        run(connection, "unlock", name=LOCK)
    return tuple(migration.name for migration in missing)


def check_version(connection: psycopg.Connection) -> None:
    """Raise unless a registry has exactly the migrations of this program.

    Raises
    ------
    ClusterError
        If the registry is of an earlier or a later version of qserv_py; the hint says what to do.
    """
    wanted = known_migrations()
    applied = _check_applied(connection, wanted)
    missing = [migration.name for migration in wanted if migration.number not in applied]
    if missing:
        raise ClusterError(
            f'the registry is of an earlier version of qserv_py: it lacks migration "{missing[0]}"',
            hint="qserv cluster start brings it up to date; it keeps what is there.",
        )


def _check_applied(connection: psycopg.Connection, wanted: tuple[Migration, ...]) -> set[int]:
    by_number = {migration.number: migration for migration in wanted}
    applied = set()
    for number, name, sha256 in run(connection, "applied_migrations"):
        known = by_number.get(number)
        if known is None:
            raise ClusterError(
                f'the registry has migration "{name}", which this version of qserv_py does not know',
                hint="Use the version of qserv_py that made it, or a later one; start services again with it.",
            )
        if known.sha256 != sha256:
            raise ClusterError(
                f'migration "{known.name}" has changed since it was applied to this registry',
                detail=f"Checksum {sha256[:12]}... when applied, {known.sha256[:12]}... now.",
                hint="Restore the file; further changes of the registry go into a new migration.",
            )
        applied.add(number)
    return applied
