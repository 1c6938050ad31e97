"""Connections of the ADBC driver: to the database that was named, without learning about its tables."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from adbc_driver_postgresql import dbapi
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from qserv_py.workers import adbc_connections
from qserv_py.workers.adbc_connections import AdbcConnections

TYPES = "SELECT current_database()::text, 1::int8, 1.5::float8, 't'::text, true, ARRAY[1.5, 2]::float8[], 2.5::real"


def rows(connection: dbapi.Connection, query: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        found: list[tuple[object, ...]] = [tuple(row) for row in cursor.fetchall()]
    return found


@pytest.mark.parametrize("maintenance", ["postgres", "there_is_none"])
def test_they_lead_to_the_database_that_was_named(
    database: str, maintenance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adbc_connections, "MAINTENANCE_DATABASE", maintenance)
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("CREATE TABLE t (a bigint, b double precision)")
        admin.execute("INSERT INTO t VALUES (1, 0.5)")
    with closing(AdbcConnections(database)) as connections:
        with connections.open() as one, connections.open() as two:
            assert rows(one, TYPES) == [(name, 1, 1.5, "t", True, [1.5, 2.0], 2.5)]
            assert rows(two, "SELECT a, b FROM t") == [(1, 0.5)]
        with connections.open() as again:
            assert rows(again, "SELECT 1::int8") == [(1,)]
            connections.close()
            assert rows(again, "SELECT 2::int8") == [(2,)]
        with connections.open() as new:
            assert rows(new, "SELECT 3::int8") == [(3,)]


def test_nothing_stays_connected_to_the_maintenance_database(database: str) -> None:
    """Otherwise nobody could make a database from it."""
    with (
        psycopg.connect(database, autocommit=True) as admin,
        closing(AdbcConnections(make_conninfo(database, application_name="adbc_test"))) as connections,
        connections.open(),
    ):
        there = admin.execute("SELECT datname FROM pg_stat_activity WHERE application_name = 'adbc_test'").fetchall()
    assert there == [(conninfo_to_dict(database)["dbname"],)]


def test_a_server_that_is_away_is_an_error_of_the_driver(database: str) -> None:
    away = make_conninfo(database, port=1, host="127.0.0.1")
    with pytest.raises(dbapi.Error):
        AdbcConnections(away).open()
