"""A worker's server is restarted while queries run: they wait for it, and their answers are right."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.catalogues import Loaded
from support.waiting import wait_until

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.cluster_servers import cluster_status, start_cluster
from qserv_py.czar.session import Session
from qserv_py.errors import WorkerUnavailableError

QUERIES = 100


def stop_at_once(cluster: Cluster, worker: str) -> None:
    """End a server as if the machine had lost its power."""
    [pid] = [one.pid for one in cluster_status(cluster.config.directory) if one.worker == worker]
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    assert wait_until(lambda: not _answers(cluster.admin[worker]))


def _answers(conninfo: str) -> bool:
    try:
        psycopg.connect(conninfo).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_hundred_queries_while_a_worker_is_restarted(cluster: Cluster, field: Loaded) -> None:
    worker = cluster.workers[-1].name
    assert worker != cluster.config.registry, "the registry stays"
    ids = field.tables["Object"].column("objectId").to_pylist()
    expected = {"n": len(ids), "s": sum(ids)}
    begun = threading.Barrier(5)

    def ask(session: Session, number: int) -> list[dict[str, object]]:
        if number < 4:
            begun.wait(60)
        query = f"SELECT COUNT(objectId) AS n, SUM(objectId) AS s FROM field.Object WHERE objectId <> {-number}"
        return [row for batch in session.answer(query).batches() for row in batch.to_pylist()]

    with Session(cluster, connections=4) as session, ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask, session, number) for number in range(QUERIES)]
        begun.wait(60)
        stop_at_once(cluster, worker)
        start_cluster(cluster.config.directory)
        assert [one.result(60) for one in asked] == [[expected]] * QUERIES


def test_a_worker_that_stays_away_is_named(cluster: Cluster, field: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qserv_py.executor.machine.PAUSES_S", (0.1, 0.1))
    monkeypatch.setattr("qserv_py.executor.machine.MAX_ATTEMPTS", 3)
    worker = cluster.workers[-1].name
    with Session(cluster) as session:
        stop_at_once(cluster, worker)
        try:
            with pytest.raises(WorkerUnavailableError, match=worker):
                list(session.answer("SELECT COUNT(objectId) AS n FROM field.Object").batches())
        finally:
            start_cluster(cluster.config.directory)
