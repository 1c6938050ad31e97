"""Autovacuum leaves the rows of catalogues alone: what the loader found out about them stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support.ingested import add_small, followers, ingest, objects
from support.waiting import wait_until

from qserv_py.catalog.model import Database
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.workers import earlier_relations
from qserv_py.workers.earlier_relations import take_from_autovacuum
from qserv_py.workers.row_store import KEY_STATISTICS, ROUGH_STATISTICS

RELATIONS = """
SELECT c.relname, coalesce(c.reloptions, '{}'), coalesce(t.reloptions, '{}'),
       pg_stat_get_autovacuum_count(c.oid) + pg_stat_get_autoanalyze_count(c.oid)
  FROM pg_class c
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
 WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r'
   AND position('_' IN c.relname) > 0  -- parents have no rows
"""

HISTOGRAMS = """
SELECT c.relname, a.attname, coalesce(array_length(s.histogram_bounds::text::text[], 1), 0) - 1
  FROM pg_stats s
  JOIN pg_class c ON c.relname = s.tablename AND c.relnamespace = s.schemaname::regnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname
 WHERE s.schemaname = %s AND c.reltuples > 50 AND c.relname LIKE 'object%%'
   AND a.attname IN ('objectid', 'gflux')
"""

ZEALOUS = {
    "autovacuum_naptime": "1s",
    "autovacuum_analyze_threshold": "0",
    "autovacuum_analyze_scale_factor": "0",
    "autovacuum_vacuum_insert_threshold": "0",
    "autovacuum_vacuum_insert_scale_factor": "0",
}


def fill(cluster: Cluster, directory: Path, name: str) -> Database:
    """Ingest 3,000 objects with what belongs to them."""
    database = add_small(cluster, directory, name)
    rows = objects(3000, seed=8)
    with open_destination(cluster, sync=False) as destination:
        ingest(destination, directory, name, "Object", rows)
        for table, followed in followers(rows, seed=9).items():
            if table in ("Source", "Visit"):
                ingest(destination, directory, name, table, followed)
    return database


@contextmanager
def zealous(connection: psycopg.Connection) -> Iterator[None]:
    """Let autovacuum look at every table that was touched, each second."""
    for name, value in ZEALOUS.items():
        connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
    connection.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        for name in ZEALOUS:
            connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
        connection.execute("SELECT pg_reload_conf()")


def let_it_come(connection: psycopg.Connection) -> None:
    """Wait until autovacuum has looked at two tables that were made now, one after the other."""
    for name in ("qserv.seen_first", "qserv.seen_last"):
        connection.execute(f"CREATE TABLE {name} AS SELECT generate_series(1, 1000) AS a".encode())
        counted = f"SELECT pg_stat_get_autoanalyze_count('{name}'::regclass)".encode()
        assert wait_until(lambda counted=counted: connection.execute(counted).fetchone() != (0,), seconds=60)  # type: ignore[misc]
        connection.execute(f"DROP TABLE {name}".encode())


def test_statistics_are_the_loaders_after_autovacuum_came(cluster: Cluster, tmp_path: Path) -> None:
    with psycopg.connect(cluster.admin["w1"], autocommit=True) as connection, zealous(connection):
        database = fill(cluster, tmp_path, "untouched")
        let_it_come(connection)
        found = connection.execute(RELATIONS, [database.physical]).fetchall()
        histograms = connection.execute(HISTOGRAMS, [database.physical]).fetchall()
    assert {name.partition("_")[0] for name, *_ in found} == {"object", "source", "visit"}
    assert {touched for *_, touched in found} == {0}
    assert histograms
    for relation, column, bars in histograms:
        assert bars == (ROUGH_STATISTICS if column == "gflux" else KEY_STATISTICS), (relation, column)


def made_earlier(connection: psycopg.Connection, schema: str) -> list[str]:
    """Give the relations of a schema the storage parameters of an earlier version, which are none; their names."""
    names = [name for name, *_ in connection.execute(RELATIONS, [schema])]
    for name in names:
        reset = sql.SQL("ALTER TABLE {} RESET (autovacuum_enabled, toast.autovacuum_enabled)")
        connection.execute(reset.format(sql.Identifier(schema, name)))
    return names


def left_over(connection: psycopg.Connection, schema: str) -> set[str]:
    """Return the relations that autovacuum may touch, or whose long values it may."""
    off = ["autovacuum_enabled=false"]
    rows = connection.execute(RELATIONS, [schema])
    return {name for name, own, toast, _ in rows if own != off or toast not in ([], off)}


def test_earlier_relations_are_taken_from_autovacuum(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier_relations, "AT_ONCE", 5)
    monkeypatch.setattr(earlier_relations, "LOCK_TIMEOUT", "100ms")
    database = fill(cluster, tmp_path, "earlier")
    schema, conninfo = database.physical, cluster.admin["w1"]
    with (
        psycopg.connect(conninfo, autocommit=True) as connection,
        psycopg.connect(conninfo) as reader,
        psycopg.connect(conninfo) as holder,
    ):
        names = made_earlier(connection, schema)
        assert len(names) > 10
        assert left_over(connection, schema) == set(names)
        reader.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(schema, names[0])))
        locked = sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(sql.Identifier(schema, names[1]))
        holder.execute(locked)
        assert take_from_autovacuum(conninfo) == len(names) - 1
        assert left_over(connection, schema) == {names[1]}
        holder.rollback()
        assert take_from_autovacuum(conninfo) == 1
        assert left_over(connection, schema) == set()
        assert take_from_autovacuum(conninfo) == 0
