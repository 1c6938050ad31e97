"""What queries run on, kept between them: connections, threads, scratch relations, the merge engine."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from qserv_py.catalog.snapshot import Worker
from qserv_py.config import MOVE_BYTES, SCRATCH_BYTES
from qserv_py.executor.merge import MergeEngine
from qserv_py.workers.query import QueryPool
from qserv_py.workers.scratch import ScratchStore, new_number


class Engines:
    """What queries run on: a pool of connections to each worker, threads, and the merge engine.

    Parameters
    ----------
    workers
        The workers, with the reader's connection strings.
    admin
        Connection strings of the superuser, by the worker's name: scratch relations are made with them.
    spill_dir
        Where the merge engine puts what its memory does not hold.
    slots
        Statements that one worker runs at a time.
    kept_bytes
        Bytes of one stage's rows that are kept in memory.
    scratch_bytes
        Bytes that may stand in the scratch relations of one worker at a time.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        *,
        admin: Mapping[str, str],
        spill_dir: Path,
        slots: int = 2,
        connections: int | None = None,
        kept_bytes: int = MOVE_BYTES,
        scratch_bytes: int = SCRATCH_BYTES,
    ) -> None:
        self.slots = slots
        self.kept_bytes = kept_bytes
        most = max(slots, connections or slots)
        self.pools = [QueryPool(worker, slots=most) for worker in workers]
        self.scratch_number = new_number()
        self.scratch = [
            ScratchStore(worker.name, admin[worker.name], number=self.scratch_number, most_bytes=scratch_bytes)
            for worker in workers
        ]
        self.threads: Executor = ThreadPoolExecutor(
            max_workers=max(1, len(workers)) * most * 4, thread_name_prefix="qserv-chunk"
        )
        # Apart from the chunk queries, which may wait for their readers: what they read must not wait for them.
        self.copying: Executor = ThreadPoolExecutor(max(2, len(workers)), thread_name_prefix="qserv-copy")
        self.spill_dir = spill_dir
        self._merge: MergeEngine | None = None
        self._lock = threading.Lock()

    @property
    def merge(self) -> MergeEngine:
        """The merge engine, made when it is first needed."""
        with self._lock:
            if self._merge is None:
                self._merge = MergeEngine(spill_dir=self.spill_dir)
            return self._merge

    def close(self) -> None:
        """Close all connections; no query may be running."""
        self.threads.shutdown(wait=True, cancel_futures=True)
        self.copying.shutdown(wait=True)
        for pool in self.pools:
            pool.close()
        for store in self.scratch:
            store.close()
        with self._lock:
            if self._merge is not None:
                self._merge.close()
