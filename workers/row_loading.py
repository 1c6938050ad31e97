"""Many loads at once: some threads, each with a connection of its own to the workers that it meets.

Encoding and COPY overlap that way, and several servers are busy at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack

from qserv_py.workers.row_store import Load, RowStore

LOADING_THREADS = 4
"""Loads at a time. Each COPY keeps a core of a server busy, so more threads than this only take memory."""


def load_all(
    schema: str,
    jobs: Iterable[tuple[str, Load]],
    *,
    conninfos: Mapping[str, str],
    threads: int = LOADING_THREADS,
    loaded: Callable[[int], None] = lambda rows: None,
) -> int:
    """Run loads, each given with the name of its worker; return the rows brought.

    After the first error no further load begins. Loads that were committed stay; a second call loads the rest.

    Parameters
    ----------
    schema
        Physical name of the database.
    conninfos
        Connection string of the superuser of each worker's shard.
    loaded
        Called after each load with its rows, from any thread.
    """
    local = threading.local()
    with ExitStack() as connections, ThreadPoolExecutor(threads, thread_name_prefix="load") as pool:
        opening = threading.Lock()

        def run(worker: str, job: Load) -> int:
            stores: dict[str, RowStore] = local.__dict__.setdefault("stores", {})
            if worker not in stores:
                store = RowStore(worker, conninfos[worker])
                with opening:
                    stores[worker] = connections.enter_context(store)
            rows = stores[worker].load(schema, job)
            loaded(rows)
            return rows

        futures = [pool.submit(run, worker, job) for worker, job in jobs]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                future.cancel()
            return sum(future.result() for future in futures if not future.cancelled())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
