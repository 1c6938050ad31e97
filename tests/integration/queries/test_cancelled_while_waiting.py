"""A query ends as soon as it is told to, whatever it waits for: here, for another query's place on a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.catalogues import Loaded
from support.cluster import count_statements
from support.slow_queries import SLOW
from support.waiting import AT_ONCE_S, wait_until

from qserv_py.czar.answer import Answer
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.session import Session
from qserv_py.errors import QueryCancelledError

SHARDS_ALONE = "SELECT objectId FROM field.Object"
MERGED = "SELECT COUNT(*) AS n FROM field.Object GROUP BY k ORDER BY n"
MANY_STAGES = "SELECT TOP 5 a.objectId FROM field.Object a, field.Object b WHERE a.k = b.k"


class Reader(threading.Thread):
    """Reads an answer to its end, in a thread; notes when and how it ended."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(daemon=True)
        self.answer = answer
        self.failure: BaseException | None = None
        self.ended_at = 0.0
        self.start()

    def run(self) -> None:
        try:
            list(self.answer.batches())
        except BaseException as error:
            self.failure = error
        self.ended_at = time.monotonic()


def all_places_are_taken(cluster: Cluster, session: Session) -> bool:
    """Wait until the slow query has the only place on each worker that has rows of it."""
    workers = set(session.catalog_with_chunks(["field"]).families["field"].workers.tolist())
    return wait_until(lambda: count_statements(cluster) == len(workers))


@pytest.fixture
def busy(cluster: Cluster, field: Loaded) -> Iterator[Session]:
    """A session whose only place on each worker is taken for minutes."""
    with Session(cluster, slots=1, connections=1) as session:
        holding = Reader(session.answer(SLOW))
        assert all_places_are_taken(cluster, session)
        yield session
        assert holding.is_alive()
        holding.answer.cancel()
        holding.join(20)
        assert isinstance(holding.failure, QueryCancelledError)


@pytest.mark.parametrize("adql", [SHARDS_ALONE, MERGED, MANY_STAGES])
def test_a_cancelled_query_that_waits_for_a_place_ends_at_once(busy: Session, adql: str) -> None:
    waiting = Reader(busy.answer(adql))
    time.sleep(0.3)
    cancelled_at = time.monotonic()
    waiting.answer.cancel()
    waiting.join(20)
    assert waiting.ended_at - cancelled_at < AT_ONCE_S
    assert isinstance(waiting.failure, QueryCancelledError)


def test_queries_that_wait_for_a_thread_end_at_once(busy: Session) -> None:
    """More queries than the session has threads."""
    waiting = [Reader(busy.answer(SHARDS_ALONE)) for _ in range(16)]
    time.sleep(0.5)
    cancelled_at = time.monotonic()
    for reader in reversed(waiting):
        reader.answer.cancel()
    for reader in waiting:
        reader.join(20)
        assert reader.ended_at - cancelled_at < AT_ONCE_S
        assert isinstance(reader.failure, QueryCancelledError)


@pytest.mark.parametrize("adql", [SHARDS_ALONE, MERGED])
def test_control_c_ends_a_query_that_waits_for_a_place(busy: Session, adql: str) -> None:
    rows = busy.answer(adql).batches()
    sent: list[float] = []

    def press() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.3, press).start()
    with pytest.raises(KeyboardInterrupt):
        list(rows)
    assert time.monotonic() - sent[0] < AT_ONCE_S


def test_a_place_goes_to_the_next_when_one_who_waited_was_cancelled(cluster: Cluster, field: Loaded) -> None:
    with Session(cluster, slots=1, connections=1) as session:
        holding = Reader(session.answer(SLOW))
        assert all_places_are_taken(cluster, session)
        leaving, staying = Reader(session.answer(SHARDS_ALONE)), Reader(session.answer(SHARDS_ALONE))
        time.sleep(0.3)
        leaving.answer.cancel()
        holding.answer.cancel()
        staying.join(20)
        assert (staying.is_alive(), staying.failure) == (False, None)


@contextmanager
def standing_still(cluster: Cluster) -> Iterator[None]:
    """Stop the processes of a worker, whose connections stay open."""
    place = cluster.config.worker_dir(cluster.workers[-1].name) / "pg" / "postmaster.pid"
    main = place.read_text().split()[0]
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", main], capture_output=True, text=True, check=True).stdout
    processes = [int(main), *map(int, listed.split())]
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_a_query_ends_though_a_server_does_not_answer(cluster: Cluster, field: Loaded) -> None:
    with Session(cluster) as session:
        reader = Reader(session.answer(SLOW))
        assert wait_until(lambda: count_statements(cluster) > 0)
        with standing_still(cluster):
            cancelled_at = time.monotonic()
            reader.answer.cancel()
            reader.join(20)
            assert reader.ended_at - cancelled_at < AT_ONCE_S
        assert isinstance(reader.failure, QueryCancelledError)
    assert wait_until(lambda: count_statements(cluster) == 0)


def test_control_c_ends_the_command_and_its_statements(cluster: Cluster, field: Loaded) -> None:
    command = [sys.executable, "-m", "qserv_py.cli.main", "--cluster", str(cluster.config.directory), "query", SLOW]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert wait_until(lambda: count_statements(cluster) > 0, seconds=60)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=AT_ONCE_S) == 130
    assert wait_until(lambda: count_statements(cluster) == 0)
