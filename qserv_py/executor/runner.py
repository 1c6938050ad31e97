"""Does what ``machine`` says: sends batches of chunk queries to the workers and collects their rows.

One thread of a shared pool for each statement on its way; rows wait in a bounded queue, so a slow reader slows the
servers down instead of filling the memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import InternalError, QservError, QueryCancelledError
from qserv_py.executor import machine
from qserv_py.executor.arrow import conform, schema_of
from qserv_py.planner.plan.query_plan import ShardStage
from qserv_py.planner.writing.fill import chunk_queries
from qserv_py.planner.writing.written_rows import Written
from qserv_py.workers.query import QueryPool, RunningStatement

MOST_CHUNKS = 64
"""Chunk queries in one statement at the most."""

QUEUE_LENGTH = 8
"""Arrow batches that may wait for the reader."""

_PATIENCE_S = 0.05
"""How often a waiting thread looks whether the query has ended."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is."""

    stage: str
    chunks_done: int
    chunks: int
    rows: int


class ShardRun:
    """One run of a shard stage. ``batches`` may be iterated once; ``cancel`` may be called from any thread."""

    def __init__(
        self,
        stage: ShardStage,
        catalog: Catalog,
        *,
        pools: Callable[[str], QueryPool],
        threads: Executor,
        slots: int,
        written: Written,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._stage = stage
        self._catalog = catalog
        self._pools = pools
        self._threads = threads
        self._written = written
        self._on_progress = on_progress
        self._schema = schema_of(stage.columns)
        self._queue: queue.Queue[pa.RecordBatch | machine.Event] = queue.Queue(QUEUE_LENGTH)
        self._running: dict[int, RunningStatement] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._cancelled = threading.Event()
        self._cancel_told = False
        self._machine = machine.StageMachine(self._make_batches(slots), slots=slots)
        self._rows = 0
        self._chunks_done = 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the stage, in no order; stops the servers when it is left early."""
        try:
            self._follow(self._machine.start())
            while not self._machine.ended:
                received = self._next()
                if isinstance(received, pa.RecordBatch):
                    self._rows += received.num_rows
                    yield received
                    limit = self._stage.row_limit
                    if limit is not None and self._rows >= limit:
                        self._follow(self._machine.handle(machine.EnoughRows()))
                else:
                    self._follow(self._machine.handle(received))
                    self._report(received)
        finally:
            self._abandon()
            self._closed.set()

    def cancel(self) -> None:
        """Stop the servers; ``batches`` then ends with QueryCancelledError. It never waits."""
        self._cancelled.set()
        self._cancel_running()

    def stop(self) -> None:
        """End a run that nobody will read further, and let its threads go.

        DuckDB leaves a stream where its statement ended or failed, without a word to whoever fills it; the threads
        would wait for a reader, and hold connections that later queries need.
        """
        self._closed.set()
        self._cancel_running()

    def _next(self) -> pa.RecordBatch | machine.Event:
        """Return what comes next: rows, or an event for the machine."""
        while True:
            if self._cancelled.is_set() and not self._cancel_told:
                self._cancel_told = True
                return machine.CancelRequested()
            if self._closed.is_set():
                raise QueryCancelledError("the query was cancelled")
            try:
                return self._queue.get(timeout=_PATIENCE_S)
            except queue.Empty:
                continue

    def _abandon(self) -> None:
        """Stop the servers and wait until no thread works for this run."""
        if self._closed.is_set():
            return
        self._follow(self._machine.handle(machine.CancelRequested()), failing=False)
        while not self._machine.ended and not self._closed.is_set():
            received = self._next()
            if not isinstance(received, pa.RecordBatch):
                self._follow(self._machine.handle(received), failing=False)

    def _follow(self, instructions: Sequence[machine.Instruction], *, failing: bool = True) -> None:
        """Carry instructions out; with ``failing`` a failure is raised."""
        for instruction in instructions:
            match instruction:
                case machine.SendBatch(batch=batch):
                    statement = RunningStatement()
                    if self._cancelled.is_set():
                        statement.cancel()
                    with self._lock:
                        self._running[batch.number] = statement
                    self._threads.submit(self._run, batch, statement)
                case machine.CancelRunning():
                    self._cancel_running()
                case machine.Fail(error=error) if failing:
                    raise error

    def _cancel_running(self) -> None:
        with self._lock:
            statements = list(self._running.values())
        for statement in statements:
            statement.cancel()

    def _run(self, batch: machine.Batch, statement: RunningStatement) -> None:
        """Run one batch, in a thread of the pool."""
        rows = 0
        event: machine.Event
        try:
            for received in self._pools(batch.worker).run(self._statement(batch), statement):
                rows += received.num_rows
                if received.num_rows and not self._put(conform(received, self._schema)):
                    break
            event = machine.BatchFinished(batch)
        except QservError as error:
            event = machine.BatchFailed(batch, error, rows)
        except Exception as error:
            failure = InternalError(f"a chunk query failed in an unforeseen way: {error}")
            failure.__cause__ = error
            event = machine.BatchFailed(batch, failure, rows)
        with self._lock:
            self._running.pop(batch.number, None)
        self._put(event)

    def _put(self, item: pa.RecordBatch | machine.Event) -> bool:
        """Hand something to the reader; False when the reader has gone."""
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return True
        return False

    def _statement(self, batch: machine.Batch) -> str:
        stage = self._stage
        if stage.family is not None:
            stage = replace(stage, chunks=np.array(batch.chunks, dtype=np.int64))
        texts = [query.sql for query in chunk_queries(stage, self._catalog, self._written)]
        text = texts[0] if len(texts) == 1 else " UNION ALL ".join(f"({text})" for text in texts)
        return self._written.prefix + text

    def _make_batches(self, slots: int) -> list[machine.Batch]:
        stage = self._stage
        if stage.family is None:
            return [machine.Batch(0, self._catalog.any_worker, ())]
        found = self._catalog.families[stage.family].by_worker(stage.chunks)
        by_worker = {worker: chunks.tolist() for worker, chunks in found.items()}
        return machine.make_batches(by_worker, slots=slots, most=MOST_CHUNKS, few_rows=stage.row_limit is not None)

    def _report(self, event: machine.Event) -> None:
        if isinstance(event, machine.BatchFinished):
            self._chunks_done += max(1, len(event.batch.chunks))
            if self._on_progress is not None:
                total = max(1, len(self._stage.chunks))
                self._on_progress(Progress(self._stage.name, self._chunks_done, total, self._rows))
