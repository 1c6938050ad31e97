"""What queries run on, kept between them: connections, threads, scratch relations, the merge engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qserv_py.catalog.snapshot import Worker
from qserv_py.config import MOVE_BYTES, SCRATCH_BYTES
from qserv_py.executor.worker_queue import WorkerQueue
from qserv_py.workers.query import QueryPool
from qserv_py.workers.scratch import ScratchStore, new_number

if TYPE_CHECKING:
    from qserv_py.executor.merge import MergeEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerAddress:
    """How one worker is reached."""

    worker: Worker
    """Name and address of the worker; its connection string is that of the role which can only read."""

    admin: str
    """The superuser's connection string: scratch relations are made with it."""


class Engines:
    """What queries run on: a pool of connections to each worker, threads, and the merge engine.

    Parameters
    ----------
    address_of
        Tells of a name of a worker how to reach it; raises if there is no such worker. Connections are made when a
        query first names the worker.
    workers
        About how many workers there are; the number of threads follows from it.
    spill_dir
        Where the merge engine puts what its memory does not hold.
    slots
        Statements that one worker runs at a time for one query.
    connections
        Those for all queries; None for ``slots``.
    kept_bytes
        Bytes of one stage's rows that are kept in memory.
    merge_bytes, merge_spill_bytes
        Memory and disk that the merges of all queries may use.
    batch_bytes
        Bytes of the rows that travel together, from a worker or from a merge.
    scratch_bytes
        Bytes that may stand in the scratch relations of one worker at a time.
    """

    def __init__(
        self,
        address_of: Callable[[str], WorkerAddress],
        *,
        workers: int,
        spill_dir: Path,
        slots: int = 2,
        connections: int | None = None,
        kept_bytes: int = MOVE_BYTES,
        scratch_bytes: int = SCRATCH_BYTES,
        merge_bytes: int,
        merge_spill_bytes: int,
        batch_bytes: int,
    ) -> None:
        self.slots = slots
        self.kept_bytes = kept_bytes
        self.scratch_number = new_number()
        self._address_of = address_of
        self._scratch_bytes = scratch_bytes
        self._most = max(slots, connections or slots)
        self._pools: dict[str, QueryPool] = {}
        self._queues: dict[str, WorkerQueue] = {}
        self._stores: dict[str, ScratchStore] = {}
        self._threads: Executor = ThreadPoolExecutor(
            max_workers=max(1, workers) * self._most * 2, thread_name_prefix="qserv-chunk"
        )
        # Apart from the chunk queries, which may wait for their readers: what they read must not wait for them.
        self.copying: Executor = ThreadPoolExecutor(max(2, workers), thread_name_prefix="qserv-copy")
        self.spill_dir = spill_dir
        self._merge_bytes = merge_bytes
        self._merge_spill_bytes = merge_spill_bytes
        self._batch_bytes = batch_bytes
        self._merge: MergeEngine | None = None
        self._lock = threading.Lock()
        self._tidying: set[threading.Thread] = set()

    def pool(self, worker: str) -> QueryPool:
        """Return the connections to a worker, by its name; ClusterError if the cluster has no such worker."""
        with self._lock:
            if worker not in self._pools:
                self._pools[worker] = QueryPool(self._address_of(worker).worker, batch_bytes=self._batch_bytes)
            return self._pools[worker]

    def queue(self, worker: str) -> WorkerQueue:
        """Return where statements wait for their turn on a worker, by its name."""
        with self._lock:
            if worker not in self._queues:
                self._queues[worker] = WorkerQueue(self._most, self._threads)
            return self._queues[worker]

    def store(self, worker: str) -> ScratchStore:
        """Return the scratch relations of a worker, by its name; ClusterError if the cluster has no such worker."""
        with self._lock:
            if worker not in self._stores:
                admin = self._address_of(worker).admin
                self._stores[worker] = ScratchStore(
                    worker, admin, number=self.scratch_number, most_bytes=self._scratch_bytes
                )
            return self._stores[worker]

    @property
    def merge(self) -> MergeEngine:
        """The merge engine, made when it is first needed."""
        with self._lock:
            if self._merge is None:
                from qserv_py.executor.merge import MergeEngine  # it loads DuckDB, which many answers do without

                self._merge = MergeEngine(
                    spill_dir=self.spill_dir,
                    memory_bytes=self._merge_bytes,
                    spill_bytes=self._merge_spill_bytes,
                    batch_bytes=self._batch_bytes,
                )
            return self._merge

    def tidying(self, work: Callable[[], object]) -> threading.Thread:
        """Return a thread that sees the end of a query that was left early; ``close`` waits for it."""

        def tidy() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._tidying.discard(thread)

        thread = threading.Thread(target=tidy, name="qserv-tidy", daemon=True)
        with self._lock:
            self._tidying.add(thread)
        thread.start()
        return thread

    def close(self) -> None:
        """Close all connections; no query may be running, those that end are waited for."""
        with self._lock:
            tidying = list(self._tidying)
        for thread in tidying:
            thread.join()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.copying.shutdown(wait=True)
        for pool in self._pools.values():
            pool.close()
        for store in self._stores.values():
            store.close()
        with self._lock:
            if self._merge is not None:
                self._merge.close()
