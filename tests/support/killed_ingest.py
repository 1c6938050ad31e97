"""Ingests that are killed at a chosen moment, each in a process of its own; run as a program by the tests.

Commands come on standard input: ``CLUSTER DATABASE TABLE FILE POINT DELAY_MS``. The process kills itself at the
POINT-th of the moments below (0: never), or its parent does after DELAY_MS (0: never). The answer is one line: how the
process ended (``killed``, or its exit status), and how many moments it passed.
"""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest import prefetch, recovery, run, staging, table_staging
from qserv_py.ingest.spool import Spool
from qserv_py.registry import transaction_steps, transactions
from qserv_py.workers.row_store import RowStore

MOMENTS: tuple[tuple[Any, str], ...] = (
    (run, "begin_transaction"),
    (run, "_stage"),
    (run, "record_contribution"),
    (run, "commit_transaction"),
    (run, "finish_transaction"),
    (table_staging, "read_files"),
    (table_staging, "plan_chunks"),
    (staging, "write_part"),
    (staging, "write_index_run"),
    (transaction_steps, "add_chunks"),
    (transaction_steps, "add_parts"),
    (transaction_steps, "set_state"),
    (transactions, "begin_transaction"),
    (recovery, "load_pending"),
    (recovery, "mark_loaded"),
    (Spool, "add"),
    (Spool, "close"),
    (RowStore, "prepare"),
    (RowStore, "load"),
    (RowStore, "_create"),
    (RowStore, "_copy"),
    (RowStore, "_analyze"),
    (prefetch, "read_ahead"),
)
"""Before and after each call of these a process may be killed."""


def watch(place: Any, name: str, reached: Callable[[], None]) -> None:
    """Call ``reached`` before and after a function."""
    function = getattr(place, name)

    @functools.wraps(function)
    def watched(*arguments: Any, **further: Any) -> Any:
        reached()
        result = function(*arguments, **further)
        reached()
        return result

    setattr(place, name, watched)


def ingest(cluster: str, database: str, table: str, file: str, *, point: int, passed: int) -> None:
    """Ingest a file, watched."""
    watch_all(MOMENTS, point=point, passed=passed)
    with open_destination(open_cluster(cluster), sync=False) as destination:
        path = Path(file)
        run.run_ingest(destination, database=database, table=table, files=[path], rejects_dir=path.parent)


def watch_all(moments: Sequence[tuple[Any, str]], *, point: int, passed: int) -> None:
    """Kill this process at the ``point``-th moment; the number of moments passed goes to a file."""
    counter = itertools.count(1)

    def reached() -> None:
        number = next(counter)
        os.pwrite(passed, f"{number:8}".encode(), 0)
        if number == point:
            os.kill(os.getpid(), signal.SIGKILL)

    for place, name in moments:
        watch(place, name, reached)


def serve(work: Callable[..., None]) -> None:
    """Serve commands: words for ``work``, then POINT and DELAY_MS."""
    for line in sys.stdin:
        *words, point, delay_ms = line.split()
        passed = os.memfd_create("passed")
        os.pwrite(passed, b"       0", 0)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(*words, point=int(point), passed=passed)
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        if int(delay_ms):
            time.sleep(int(delay_ms) / 1000)
            os.kill(child, signal.SIGKILL)
        _, raw = os.waitpid(child, 0)
        ended = "killed" if os.WIFSIGNALED(raw) else str(os.waitstatus_to_exitcode(raw))
        print(ended, int(os.pread(passed, 8, 0)), flush=True)
        os.close(passed)


if __name__ == "__main__":
    serve(ingest)
