"""Does what ``machine`` says: sends batches of chunk queries to the workers and collects their rows.

Each statement waits in its worker's queue for its turn, and has a thread then; rows wait in a bounded queue, so a slow
reader slows the servers down instead of filling the memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from qserv_py.cancelling import Cancel
from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import InternalError, QservError, QueryCancelledError
from qserv_py.executor import machine
from qserv_py.executor.arrow import conform, schema_of
from qserv_py.executor.handover import Handover
from qserv_py.executor.turns import Priority, Ticket
from qserv_py.executor.worker_queue import WorkerQueue
from qserv_py.planner.estimate import kept_rows
from qserv_py.planner.plan.query_plan import ShardStage
from qserv_py.planner.writing.fill import statement_of
from qserv_py.planner.writing.written_rows import Written
from qserv_py.workers.query import QueryPool

MOST_CHUNKS = 64
"""Chunk queries in one statement at the most."""

MOST_KEPT_ROWS = 200_000
"""Rows that one statement makes a server keep in memory, about: chunks that were read keep theirs until it ends."""

QUEUE_LENGTH = 8
"""Arrow batches that may wait for the reader."""

TELL_AGAIN_S = 0.05
"""Pause before a running statement is told once more to end: a server that has not begun with it does not hear it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is."""

    stage: str
    chunks_done: int
    chunks: int
    rows: int


class ShardRun:
    """One run of a shard stage. ``batches`` may be iterated once; ``stop`` may be called from any thread.

    Parameters
    ----------
    stage, catalog
        What is asked, and of which tables.
    pools
        Connections to a worker, by its name.
    queues
        Where the statements wait for their turn on a worker, by its name.
    priority, who
        How urgent the query is, and a name of it.
    slots
        Statements that one worker runs at a time for this stage.
    written
        Rows that go with the statements.
    cancel
        Says when the query is to end.
    on_progress
        Called whenever chunks are done.
    """

    def __init__(
        self,
        stage: ShardStage,
        catalog: Catalog,
        *,
        pools: Callable[[str], QueryPool],
        queues: Callable[[str], WorkerQueue],
        priority: Priority,
        who: str,
        slots: int,
        written: Written,
        cancel: Cancel,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._stage = stage
        self._catalog = catalog
        self._pools = pools
        self._queues = queues
        self._priority = priority
        self._who = who
        self._written = written
        self._on_progress = on_progress
        self._schema = schema_of(stage.columns)
        self._cancel = cancel
        self._statements = Cancel()
        """Ends the statements of this stage when the query is cancelled, or needs no more rows of the stage."""

        self._coming: Handover[pa.RecordBatch | machine.Event] = Handover(QUEUE_LENGTH)
        self._running: dict[int, Future[None]] = {}
        self._lock = threading.Lock()
        self._leaving: threading.Thread | None = None
        self._machine = machine.StageMachine(self._make_batches(slots), slots=slots)
        self._rows = 0
        self._chunks_done = 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the stage, in no order; stops the servers when it is left early."""
        with self._cancel.calling(self.stop):
            try:
                self._follow(self._machine.start())
                while not self._machine.ended:
                    received = self._coming.get()
                    if received is None:
                        self._cancel.raise_if_cancelled()
                        raise QueryCancelledError("the query was cancelled")
                    if isinstance(received, pa.RecordBatch):
                        self._rows += received.num_rows
                        yield received
                        limit = self._stage.row_limit
                        if limit is not None and self._rows >= limit:
                            return
                    else:
                        self._follow(self._machine.handle(received))
                        self._report(received)
            finally:
                if self._machine.on_the_way:
                    self.stop()

    @property
    def has_ended(self) -> bool:
        """Whether every batch that was sent to a worker has finished or failed."""
        return self._machine.ended and not self._machine.on_the_way

    def stop(self) -> None:
        """End the statements, without waiting for them; ``batches`` then ends with the reason.

        When a statement of DuckDB ends or fails, those who fill its input stream do not hear of it; the threads
        would wait for a reader, and hold connections that later queries need.
        """
        self._coming.close()
        with self._lock:
            if self._leaving is None:
                self._leaving = threading.Thread(target=self._see_off, name="qserv-leaving", daemon=True)
                self._leaving.start()

    def join(self) -> None:
        """Wait until no thread works for a run that was stopped."""
        if self._leaving is not None:
            self._leaving.join()

    def _see_off(self) -> None:
        """End the statements: those that wait for their turn never begin, the others are told until they hear it."""
        with self._lock:
            running = list(self._running.values())
        waiting = [future for future in running if not future.cancel()]
        while waiting:
            self._statements.cancel()
            waiting = list(wait(waiting, timeout=TELL_AGAIN_S).not_done)

    def _follow(self, instructions: Sequence[machine.Instruction]) -> None:
        """Carry instructions out; a failure is raised."""
        for instruction in instructions:
            match instruction:
                case machine.SendBatch(batch=batch, after_s=after_s):
                    with self._lock:
                        if self._leaving is None:
                            queue, ticket = self._queues(batch.worker), Ticket(self._priority, self._who)
                            self._running[batch.number] = queue.submit(ticket, partial(self._run, batch, after_s))
                case machine.Fail(error=error):
                    raise error

    def _run(self, batch: machine.Batch, after_s: float) -> None:
        """Run one batch, in a thread of its worker's queue; one that is sent again waits before."""
        rows = 0
        if after_s:
            self._statements.wait(after_s)
        event: machine.Event
        try:
            for received in self._pools(batch.worker).run(self._statement(batch), self._statements):
                rows += received.num_rows
                if received.num_rows and not self._coming.put(conform(received, self._schema)):
                    break
            event = machine.BatchFinished(batch)
        except QservError as error:
            event = machine.BatchFailed(batch, error, rows)
        except Exception as error:
            failure = InternalError(f"a chunk query failed in an unforeseen way: {error}")
            failure.__cause__ = error
            event = machine.BatchFailed(batch, failure, rows)
        self._coming.put(event)

    def _statement(self, batch: machine.Batch) -> str:
        stage = self._stage
        if stage.family is not None:
            stage = replace(stage, chunks=np.array(batch.chunks, dtype=np.int64))
        return statement_of(stage, self._catalog, self._written)

    def _make_batches(self, slots: int) -> list[machine.Batch]:
        stage = self._stage
        if stage.family is None:
            return [machine.Batch(0, self._catalog.any_worker, ())]
        found = self._catalog.families[stage.family].by_worker(stage.chunks)
        return machine.make_batches(
            {worker: chunks.tolist() for worker, chunks in found.items()},
            slots=slots,
            most=MOST_CHUNKS,
            few_rows=stage.row_limit is not None,
            kept_rows=dict(zip(stage.chunks.tolist(), kept_rows(stage, self._catalog).tolist(), strict=True)),
            most_rows=MOST_KEPT_ROWS,
        )

    def _report(self, event: machine.Event) -> None:
        if isinstance(event, machine.BatchFinished):
            self._chunks_done += max(1, len(event.batch.chunks))
            if self._on_progress is not None:
                total = max(1, len(self._stage.chunks))
                self._on_progress(Progress(self._stage.name, self._chunks_done, total, self._rows))
