"""A shard run whose reader goes away: its threads must end, whatever the reader does."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from support.catalogs import catalog, plan
from support.waiting import wait_until

from qserv_py.cancelling import Cancel
from qserv_py.errors import QueryCancelledError
from qserv_py.executor.runner import QUEUE_LENGTH, ShardRun
from qserv_py.executor.turns import Priority
from qserv_py.executor.worker_queue import WorkerQueue
from qserv_py.planner.plan.query_plan import ShardStage
from qserv_py.planner.writing.written_rows import Written


class EndlessPool:
    """Answers every statement with rows without end, until it is cancelled or its reader goes."""

    def __init__(self) -> None:
        self.running = 0
        self._lock = threading.Lock()

    def run(self, sql: str, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        with self._lock:
            self.running += 1
        try:
            while True:
                cancel.raise_if_cancelled()
                yield pa.record_batch([pa.array([1.0])], names=["ra"])
        finally:
            with self._lock:
                self.running -= 1


@pytest.fixture
def pool() -> EndlessPool:
    return EndlessPool()


@pytest.fixture
def cancel() -> Cancel:
    return Cancel()


@pytest.fixture
def run(pool: EndlessPool, cancel: Cancel) -> Iterator[ShardRun]:
    [stage] = plan("SELECT ra FROM Object").stages
    assert isinstance(stage, ShardStage)
    with ThreadPoolExecutor(8) as threads:
        queue = WorkerQueue(8, threads)
        yield ShardRun(
            stage,
            catalog(),
            pools=lambda worker: pool,  # type: ignore[arg-type, return-value]
            queues=lambda worker: queue,
            priority=Priority.SCAN,
            who="q1",
            slots=2,
            written=Written({}),
            cancel=cancel,
        )


def ends(pool: EndlessPool) -> bool:
    return wait_until(lambda: pool.running == 0)


def test_leaving_the_rows_ends_the_threads(run: ShardRun, pool: EndlessPool) -> None:
    rows = run.batches()
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert ends(pool)


def test_stopping_ends_the_threads_though_the_rows_are_left_half_read(run: ShardRun, pool: EndlessPool) -> None:
    """As DuckDB leaves them when its statement fails: the iterator lives on, and nobody closes it."""
    rows = run.batches()
    next(rows)
    time.sleep(0.2)  # the queue is full, the threads wait for a reader
    run.stop()
    assert ends(pool)
    rows.close()  # type: ignore[attr-defined]


def test_cancelling_does_not_wait_for_a_reader(run: ShardRun, pool: EndlessPool, cancel: Cancel) -> None:
    rows = run.batches()
    next(rows)
    time.sleep(0.2)
    started = threading.Thread(target=cancel.cancel)
    started.start()
    started.join(10)
    assert not started.is_alive()
    assert ends(pool)
    with pytest.raises(QueryCancelledError):
        list(itertools.islice(rows, 10 * QUEUE_LENGTH))
    assert ends(pool)
