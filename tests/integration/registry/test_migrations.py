"""Migrations of the registry: together they are schema.sql, each once, and a changed one is refused."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import replace

import psycopg
import pytest
from support.postgres import TestServer

from qserv_py.errors import ClusterError
from qserv_py.registry.connection import Registry
from qserv_py.registry.migrations import Migration, apply_migrations, known_migrations
from qserv_py.sql import load, names


def dump(server: TestServer, conninfo: str) -> str:
    """Return the schema of a database as pg_dump writes it, without its random key."""
    program = server.server.programs.bin_dir / "pg_dump"
    text = subprocess.run([program, "--schema-only", conninfo], check=True, capture_output=True, text=True).stdout
    return "\n".join(line for line in text.splitlines() if "restrict" not in line)


def test_all_migrations_together_equal_the_schema(any_postgres_server: TestServer) -> None:
    migrated, written = any_postgres_server.create_database(), any_postgres_server.create_database()
    with Registry(migrated) as registry:
        assert registry.migrate() == tuple(migration.name for migration in known_migrations())
    with psycopg.connect(written) as connection:
        connection.execute(load("migrations/schema").encode())
    assert dump(any_postgres_server, migrated) == dump(any_postgres_server, written)


def test_numbers_have_no_gaps() -> None:
    assert [migration.number for migration in known_migrations()] == list(range(1, len(known_migrations()) + 1))


def test_migrating_again_does_nothing(database: str) -> None:
    with Registry(database) as registry:
        assert registry.migrate()
        assert registry.migrate() == ()
        assert registry.catalog_version() == 1


def test_two_processes_may_migrate_at_the_same_time(database: str) -> None:
    results: list[tuple[str, ...]] = []

    def migrate() -> None:
        with Registry(database) as registry:
            results.append(registry.migrate())

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, results)) == [0, 0, 0, len(known_migrations())]


def test_families_of_before_keep_their_rows(database: str) -> None:
    earlier = tuple(one for one in known_migrations() if one.name < "0014")
    with psycopg.connect(database, autocommit=True) as connection:
        apply_migrations(connection, migrations=earlier)
        connection.execute(
            "INSERT INTO family (name, target_rows, min_order, max_order, overlap_arcsec) VALUES ('old', 77, 1, 9, 5)"
        )
        apply_migrations(connection)
        kept = connection.execute("SELECT target_rows, target_bytes, min_order, max_order FROM family").fetchall()
        assert kept == [(77, None, 1, 9)]
        for rows, size in ((None, None), (5, 5), (None, 0)):
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute("UPDATE family SET target_rows = %s, target_bytes = %s", [rows, size])


FIRST = Migration(number=1, name="0001_pre_first", text="CREATE TABLE first (a integer)")
SECOND = Migration(number=2, name="0002_pre_second", text="CREATE TABLE second (a integer); SELECT 1/0")


def test_a_changed_migration_is_refused(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        apply_migrations(connection, migrations=(FIRST,))
        changed = replace(FIRST, text="CREATE TABLE first (a bigint)")
        with pytest.raises(ClusterError, match='migration "0001_pre_first" has changed since it was applied'):
            apply_migrations(connection, migrations=(changed,))


def test_a_registry_of_a_later_version_is_refused(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        apply_migrations(connection, migrations=(FIRST,))
        with pytest.raises(ClusterError, match='migration "0001_pre_first", which this version of qserv_py does not'):
            apply_migrations(connection, migrations=())


def test_a_migration_that_fails_leaves_nothing(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            apply_migrations(connection, migrations=(FIRST, SECOND))
        names = [row[0] for row in connection.execute("SELECT name FROM schema_migration")]
        tables = [row[0] for row in connection.execute("SELECT relname FROM pg_class WHERE relname = 'second'")]
    assert (names, tables) == (["0001_pre_first"], [])


def test_an_empty_registry_is_said_to_be_so(database: str) -> None:
    with Registry(database) as registry, pytest.raises(ClusterError, match="the registry has not been set up"):
        registry.describe({})


EARLIER = "DELETE FROM schema_migration WHERE number = (SELECT max(number) FROM schema_migration)"
LATER = "INSERT INTO schema_migration (number, name, sha256) VALUES (9999, '9999_pre_later', '')"


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (
            EARLIER,
            r'of an earlier version of qserv_py: it lacks migration "\d{4}_',
            "qserv cluster start",
        ),
        (
            LATER,
            'migration "9999_pre_later", which this version',
            "or a later one; start services again",
        ),
    ],
)
def test_who_comes_to_a_registry_of_another_version_is_told_what_to_do(
    database: str, change: str, message: str, hint: str
) -> None:
    with Registry(database) as living:
        living.migrate()
        assert living.databases() == ()
        with psycopg.connect(database) as connection:
            connection.execute(change.encode())
        with pytest.raises(ClusterError, match=message) as caught:
            living.catalog_version()  # which precedes every query
        assert hint in caught.value.hint
    with Registry(database) as later:
        for ask in (later.databases, later.catalog_version, lambda: later.describe({})):
            with pytest.raises(ClusterError, match=message):
                ask()  # type: ignore[operator]


def test_every_file_is_a_migration_with_a_number_of_its_own() -> None:
    files = {name.removeprefix("migrations/") for name in names("migrations")} - {"schema"}
    assert {migration.name for migration in known_migrations()} == files
    assert [migration.number for migration in known_migrations()] == list(range(1, len(files) + 1))
