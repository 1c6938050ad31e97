"""The table of running queries: what any process of the cluster sees, and what becomes of the rows."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from support.catalogues import Loaded
from support.slow_queries import SLOW
from support.waiting import wait_until

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.queries.register import QueryRegister
from qserv_py.czar.session import Session
from qserv_py.errors import QueryCancelledError
from qserv_py.registry.connection import Registry
from qserv_py.registry.queries import (
    GRACE_S,
    QueryEntry,
    delete_queries,
    list_queries,
    lock_name,
    put_query,
    sweep_czars,
)
from qserv_py.registry.statements import run


@pytest.fixture
def registry(cluster: Cluster) -> Iterator[Registry]:
    with cluster.registry() as opened:
        yield opened


@contextmanager
def answering(session: Session, adql: str) -> Iterator[None]:
    """Have a query read by a thread."""
    answer = session.answer(adql)

    def read() -> None:
        with pytest.raises(QueryCancelledError):
            list(answer.batches())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        answer.cancel()
        reader.join(20)


def seen(registry: Registry, text: str) -> list[QueryEntry]:
    return [entry for entry in list_queries(registry) if entry.text == text]


def test_a_running_query_is_seen_by_others_until_it_ends(session: Session, registry: Registry) -> None:
    with answering(session, SLOW):
        assert wait_until(lambda: seen(registry, SLOW))
        [entry] = seen(registry, SLOW)
        assert (entry.kind, entry.phase, entry.priority, entry.owner) == ("LOCAL", "RUNNING", 1, "operator")
        assert entry.snapshots == {"field": session.catalog().published["field"]}
    assert wait_until(lambda: not seen(registry, SLOW))


def test_rows_of_a_process_that_was_killed_are_swept(cluster: Cluster, field: Loaded, registry: Registry) -> None:
    command = [sys.executable, "-m", "qserv_py.cli.main", "--cluster", str(cluster.config.directory), "query", SLOW]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            assert wait_until(lambda: seen(registry, SLOW), seconds=60)
        finally:
            process.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not seen(registry, SLOW))


def test_rows_of_a_process_that_lives_stay(registry: Registry, cluster: Cluster) -> None:
    czar = "0123456789abcdef"
    with cluster.registry() as other:
        with other.connection() as connection:
            run(connection, "lock", name=lock_name(czar))
        with cluster.registry() as third:
            _put(third, czar)
            assert sweep_czars(registry, grace_s=0) == 0
            assert [entry.czar for entry in seen(registry, "SELECT 1")] == [czar]
    assert [entry.czar for entry in seen(registry, "SELECT 1")] == [czar]  # it may come back
    assert wait_until(lambda: sweep_czars(registry, grace_s=0) == 1)
    assert seen(registry, "SELECT 1") == []
    _put(registry, czar)
    delete_queries(registry, czar=czar, ids=["another"])
    delete_queries(registry, czar=czar, ids=["q1"])
    assert sweep_czars(registry) == 0


def _put(registry: Registry, czar: str) -> None:
    from datetime import UTC, datetime

    put_query(
        registry,
        query_id="q1",
        czar=czar,
        kind="SYNC",
        priority=0,
        phase="WAITING",
        owner="ada",
        identity={"user": "ada"},
        text="SELECT 1",
        started_at=datetime.now(UTC),
        snapshots={},
    )


def test_a_snapshot_is_read_though_the_connection_was_cut_meanwhile(cluster: Cluster, registry: Registry) -> None:
    register = QueryRegister(cluster.registry())
    try:
        assert register.begin_reading([(-1, 1)]), "the row is new"
        assert not register.begin_reading([(-1, 1)]), "it is there"
        with psycopg.connect(registry.conninfo, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND pid ="
                " (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted ORDER BY pid DESC LIMIT 1)"
            )
        assert register.begin_reading([(-1, 2)])
        with registry.connection() as connection:
            rows = connection.execute("SELECT number FROM snapshot_reader WHERE database_id = -1 ORDER BY 1").fetchall()
        assert rows == [(1,), (2,)]
    finally:
        register.close()


def test_rows_come_back_when_the_connection_was_cut(cluster: Cluster, session: Session, registry: Registry) -> None:
    """With it goes the lock; whoever looks in between still sees the rows, as nothing has ended."""
    with answering(session, SLOW):
        assert wait_until(lambda: seen(registry, SLOW))
        with psycopg.connect(registry.conninfo, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid IN"
                " (SELECT pid FROM pg_stat_activity WHERE query = 'SELECT 1' AND datname = current_database())"
            )
        watched = time.monotonic() + GRACE_S + 1
        while time.monotonic() < watched:
            assert seen(registry, SLOW)
