"""The queue of one worker: places are given to work that waits, and to no work that was cancelled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

import pytest
from support.waiting import wait_until

from qserv_py.executor.turns import Priority, Ticket
from qserv_py.executor.worker_queue import WorkerQueue


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_the_more_urgent_begins_first(threads: ThreadPoolExecutor) -> None:
    queue, begun, go = WorkerQueue(1, threads), [], threading.Event()
    queue.submit(Ticket(Priority.SCAN, "holder"), lambda: bool(go.wait(10)) and None)
    waiting = [
        queue.submit(Ticket(priority, priority.name), partial(begun.append, priority))
        for priority in (Priority.JOB, Priority.SCAN, Priority.LOOK_UP)
    ]
    go.set()
    for future in waiting:
        future.result(10)
    assert begun == [Priority.LOOK_UP, Priority.SCAN, Priority.JOB]


def test_cancelled_work_never_begins_and_holds_no_place(threads: ThreadPoolExecutor) -> None:
    queue, begun, go = WorkerQueue(2, threads), [], threading.Event()
    holders = [queue.submit(Ticket(Priority.SCAN, "holder"), lambda: bool(go.wait(10)) and None) for _ in range(2)]
    leaving = [queue.submit(Ticket(Priority.LOOK_UP, "gone"), partial(begun.append, "gone")) for _ in range(5)]
    staying = [queue.submit(Ticket(Priority.SCAN, "here"), partial(begun.append, "here")) for _ in range(5)]
    assert all(future.cancel() for future in leaving)
    go.set()
    for future in holders + staying:
        future.result(10)
    assert begun == ["here"] * 5
    assert not holders[0].cancel()
    assert is_empty(queue)


def test_comings_and_goings_of_many_threads_leave_no_place_taken(threads: ThreadPoolExecutor) -> None:
    queue, done = WorkerQueue(3, threads), []
    staying: list[Future[None]] = []

    def ask(number: int) -> None:
        for step in range(200):
            future = queue.submit(Ticket(Priority(step % 3), str(number)), lambda: done.append(number))
            if step % 2 and future.cancel():
                done.append(number)
            else:
                staying.append(future)

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(60)
    assert not wait(staying, 60).not_done
    assert len(done) == 1600
    assert is_empty(queue)


def is_empty(queue: WorkerQueue) -> bool:
    """Whether all places become free; the last is given back a moment after its work has ended."""
    return wait_until(lambda: queue._turns.held == queue._turns.waiting == 0)
