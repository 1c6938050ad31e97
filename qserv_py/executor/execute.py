"""A plan to rows: its stages in order, each as a stream where it is read once, else kept."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from qserv_py.catalog.snapshot import Worker
from qserv_py.config import MOVE_BYTES, SCRATCH_BYTES
from qserv_py.errors import InternalError, LimitError, QservError, QueryCancelledError
from qserv_py.executor.arrow import answer_schema, conform, schema_of
from qserv_py.executor.merge import MergeConnection, MergeEngine
from qserv_py.executor.placed_rows import CellsOfIds
from qserv_py.executor.runner import Progress, ShardRun
from qserv_py.executor.sent_rows import SentRows
from qserv_py.planner.plan import CzarStage, MergeStage, QueryPlan, ShardStage, Stage
from qserv_py.workers.query import QueryPool
from qserv_py.workers.scratch import ScratchStore, new_number

_PATIENCE_S = 0.05


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


@dataclass(slots=True)
class Execution:
    """One run of a plan. ``batches`` may be iterated once."""

    plan: QueryPlan
    engines: Engines
    on_progress: Callable[[Progress], None] | None = None
    cells_of_ids: CellsOfIds = lambda database, director, ids, catalog: None
    """Asks the director index for the places of ids."""

    held: Mapping[str, pa.Table] = field(default_factory=dict)
    """Rows of the tables that the czar holds, by their qualified names; columns have the physical names."""

    chunks_spared: int = 0
    """Chunks of the plan that the rows of earlier stages showed not to be needed."""

    _running: list[ShardRun] = field(default_factory=list)
    _merge: MergeConnection | None = None
    _kept: dict[str, pa.Table] = field(default_factory=dict)
    _failure: BaseException | None = None
    _cancelled: bool = False
    _sent: SentRows = field(init=False)

    def __post_init__(self) -> None:
        self._sent = SentRows(
            self.engines.scratch,
            number=self.engines.scratch_number,
            threads=self.engines.copying,
            cells_of_ids=self.cells_of_ids,
            cancelled=lambda: self._cancelled,
        )

    @property
    def schema(self) -> pa.Schema:
        """Schema of the answer."""
        return answer_schema(self.plan.columns)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the rows of stages that the czar has kept so far."""
        return sum(rows.nbytes for rows in self._kept.values())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the answer; leaving early stops the servers."""
        source = self._answer() if len(self.plan.stages) == 1 else _in_background(self._answer, self.cancel)
        schema = self.schema
        try:
            for batch in source:
                yield conform(batch, schema)
        finally:
            source.close()  # type: ignore[attr-defined]
            self._stop_running()
            self._sent.drop()
            if self._merge is not None:
                self._merge.close()

    def _stop_running(self) -> None:
        for run in list(self._running):
            run.stop()

    def cancel(self) -> None:
        """Stop; may be called from any thread."""
        self._cancelled = True
        for run in list(self._running):
            run.cancel()
        if self._merge is not None:
            self._merge.interrupt()

    def _answer(self) -> Iterator[pa.RecordBatch]:
        readers = Counter(name for stage in self.plan.stages for name in stage.reads)
        for stage in self.plan.stages[:-1]:
            if not self._is_streamed(stage, readers):
                self._keep(stage)
        try:
            yield from self._stream(self.plan.result)
        except QservError as error:
            if isinstance(self._failure, BaseException):
                raise self._failure from error
            raise

    def _is_streamed(self, stage: Stage, readers: Counter[str]) -> bool:
        """Whether one merge stage reads this stage and no other: then its rows need not be kept.

        Two streams into one statement could wait for each other, as they share the threads.
        """
        users = [user for user in self.plan.stages if stage.name in user.reads]
        return (
            isinstance(stage, ShardStage)
            and readers[stage.name] == 1
            and isinstance(users[0], MergeStage)
            and len(users[0].reads) == 1
        )

    def _keep(self, stage: Stage) -> None:
        if isinstance(stage, CzarStage):
            self._kept[stage.name] = self.held[stage.table.qualified]
            return
        kept, size = [], 0
        for batch in self._stream(stage):
            kept.append(batch)
            size += batch.nbytes
            if size > self.engines.kept_bytes:
                raise _too_much(stage, self.engines.kept_bytes)
        self._kept[stage.name] = pa.Table.from_batches(kept, schema=schema_of(stage.columns))

    def _stream(self, stage: Stage) -> Iterator[pa.RecordBatch]:
        if self._cancelled:
            raise QueryCancelledError("the query was cancelled")
        if isinstance(stage, ShardStage):
            yield from self._run_shards(stage)
            return
        if isinstance(stage, CzarStage):
            yield from self.held[stage.table.qualified].to_batches()
            return
        if self._merge is None:
            self._merge = self.engines.merge.connection()
        for name in dict.fromkeys(stage.reads):
            self._merge.add(name, self._input(name))
        try:
            yield from self._merge.run(stage)
        finally:
            # The statement may have needed a part of its input only (LIMIT), and nobody tells those who send the rest.
            self._stop_running()

    def _run_shards(self, stage: ShardStage) -> Iterator[pa.RecordBatch]:
        chunks = len(stage.chunks)
        stage, written = self._sent.send(stage, self.plan.catalog, self._kept)
        self.chunks_spared += chunks - len(stage.chunks)
        run = ShardRun(
            stage,
            self.plan.catalog,
            pools=self.engines.pools,
            threads=self.engines.threads,
            slots=self.engines.slots,
            written=written,
            on_progress=self.on_progress,
        )
        self._running.append(run)
        try:
            yield from run.batches()
        finally:
            self._running.remove(run)

    def _input(self, name: str) -> pa.RecordBatchReader | pa.Table:
        """Return an earlier stage's rows for a merge statement: kept, or as they come."""
        if name in self._kept:
            return self._kept[name]
        stage = next(stage for stage in self.plan.stages if stage.name == name)
        return pa.RecordBatchReader.from_batches(schema_of(stage.columns), self._remembering(stage))

    def _remembering(self, stage: Stage) -> Iterator[pa.RecordBatch]:
        """Yield a stage's rows, and keep its error: DuckDB would report one of its own instead."""
        try:
            yield from self._stream(stage)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._failure = error
            raise


def _too_much(stage: Stage, most: int) -> LimitError:
    what = f"more than {most >> 20} MiB of {_rows_of(stage)} would have to be moved"
    exchange = stage.exchange if isinstance(stage, ShardStage) else None
    if exchange is None:
        return LimitError(
            what,
            detail="No chunk alone can answer this part of the query, so its rows are brought together.",
            hint="Restrict it by place or by id, or join its tables by the director's key; "
            '"move_bytes" in cluster.json sets the limit.',
        )
    return LimitError(
        what,
        detail=f"Chunks exchange the rows that have neighbours within {exchange.radius:.3g} deg in other chunks.",
        hint="Take a smaller radius, restrict one side by place, or read fewer columns; up to the family's overlap "
        "nothing is exchanged.",
    )


def _rows_of(stage: Stage) -> str:
    table = stage.moves if isinstance(stage, ShardStage) else ""
    return f'rows of "{table}"' if table else "rows of a sub-query"


def _in_background(
    make: Callable[[], Iterator[pa.RecordBatch]], cancel: Callable[[], None]
) -> Iterator[pa.RecordBatch]:
    """Yield from an iterator that runs in a thread of its own.

    A merge statement holds its thread inside DuckDB until it ends; the caller's thread stays free for Ctrl-C.
    """
    waiting: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(4)
    gone = threading.Event()

    def put(item: pa.RecordBatch | BaseException | None) -> bool:
        while not gone.is_set():
            try:
                waiting.put(item, timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for batch in make():
                if not put(batch):
                    return
            put(None)
        except QservError as error:
            put(error)
        except Exception as error:
            failure = InternalError(f"the query failed in an unforeseen way: {error}")
            failure.__cause__ = error
            put(failure)

    thread = threading.Thread(target=work, name="qserv-merge", daemon=True)
    thread.start()
    finished = False
    try:
        while True:
            item = waiting.get()
            if item is None or isinstance(item, BaseException):
                finished = True
                if item is not None:
                    raise item
                return
            yield item
    finally:
        if not finished:
            gone.set()
            cancel()
        thread.join()
