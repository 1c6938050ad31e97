"""Runs a plan: its stages in order. A stage that is read once is streamed, one that is read more often is kept.

For example, ``SELECT band, COUNT(*) FROM Source GROUP BY band`` has two stages: chunk queries count the rows of each
chunk, and a merge adds the counts up while they come in.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from qserv_py.cancelling import Cancel
from qserv_py.errors import LimitError, QservError
from qserv_py.executor.arrow import Gathered, answer_schema, check_times, conform, schema_of
from qserv_py.executor.background import BackgroundRows
from qserv_py.executor.budget import Account
from qserv_py.executor.engines import Engines
from qserv_py.executor.placed_rows import CellsOfIds
from qserv_py.executor.runner import TELL_AGAIN_S, Progress, ShardRun
from qserv_py.executor.sent_rows import SentRows
from qserv_py.executor.turns import Priority
from qserv_py.planner.plan.query_plan import CzarStage, MergeStage, QueryPlan, ShardStage, Stage

if TYPE_CHECKING:
    from qserv_py.executor.merge import MergeConnection

LEAVE_S = 0.3
"""Seconds that a query that ends early waits for those who work for it; they may take longer, in the background."""


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
    """How many of the plan's chunks were not asked, because no row of an earlier stage belongs to them."""

    account: Account = field(kw_only=True)
    """Counts the bytes of the rows that the query holds in memory."""

    priority: Priority = Priority.SCAN
    """How urgent its statements are among those of others."""

    who: str = ""
    """Name of the query, whose statements share places with those of others."""

    cancel: Cancel = field(default_factory=Cancel)
    """Says when the query is to end."""

    schema: pa.Schema = field(init=False)
    """Schema of the answer."""

    _runs: list[ShardRun] = field(default_factory=list)
    _merge: MergeConnection | None = None
    _kept: dict[str, pa.Table] = field(default_factory=dict)
    _held_bytes: int = 0
    """What it took of its account."""

    _failure: BaseException | None = None
    _ending: Cancel = field(init=False)
    """Ends everything that works for the execution, when the query is cancelled and when its reader leaves early."""

    _sent: SentRows = field(init=False)

    def __post_init__(self) -> None:
        self.schema = answer_schema(self.plan.columns)
        self._ending = Cancel(self.cancel)
        self._sent = SentRows(
            self.engines.store,
            number=self.engines.scratch_number,
            threads=self.engines.copying,
            cells_of_ids=self.cells_of_ids,
            account=self.account,
            cancel=self._ending,
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the answer; leaving early stops the servers."""
        background = BackgroundRows(self._answer, self._ending) if len(self.plan.stages) > 1 else None
        source = self._answer() if background is None else background.batches()
        schema = self.schema
        is_whole = False
        try:
            for batch in source:
                yield check_times(conform(batch, schema))
            is_whole = True
        except BaseException as error:
            _forget_rows(error)
            raise
        finally:
            if is_whole:
                self._tidy(background)
            else:
                self._ending.cancel()
                source.close()  # type: ignore[attr-defined]
                self.engines.tidying(lambda: self._tidy(background)).join(LEAVE_S)

    def _tidy(self, background: BackgroundRows | None) -> None:
        """Wait until nobody works for the query any more, and drop what it made."""
        while background is not None and not background.join(TELL_AGAIN_S):
            self._ending.cancel()
        for run in self._runs:
            run.join()
        self._sent.drop()
        if self._merge is not None:
            self._merge.close()
        self._kept.clear()
        self.held, self._failure = {}, None
        self.account.give_back(self._held_bytes)
        self._held_bytes = 0

    def _stop_running(self) -> None:
        for run in self._runs:
            if not run.has_ended:
                run.stop()

    def _answer(self) -> Iterator[pa.RecordBatch]:
        readers = Counter(name for stage in self.plan.stages for name in stage.reads)
        for stage in self.plan.stages[:-1]:
            if not self._is_streamed(stage, readers):
                self._keep(stage)
        self.account.settle()
        try:
            yield from self._stream(self.plan.result)
        except QservError as error:
            if isinstance(self._failure, BaseException):
                raise self._failure from error
            raise

    def _is_streamed(self, stage: Stage, readers: Counter[str]) -> bool:
        """Whether one merge stage reads this stage and no other: then its rows need not be kept.

        A statement of two streamed inputs could wait for ever: the threads that fill the one would all be taken by the
        other, which DuckDB does not read yet.
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
        kept = Gathered(schema_of(stage.columns))
        size = 0
        for batch in self._stream(stage):
            size += batch.nbytes
            if size > self.engines.kept_bytes:
                raise _too_much(stage, self.engines.kept_bytes)
            self.account.take(batch.nbytes, cancel=self._ending)
            self._held_bytes += batch.nbytes
            kept.add(batch)
        self._kept[stage.name] = kept.table()

    def _stream(self, stage: Stage) -> Iterator[pa.RecordBatch]:
        self._ending.raise_if_cancelled()
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
            with self.engines.merge.place(self._ending), self._ending.calling(self._merge.interrupt):
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
            pools=self.engines.pool,
            queues=self.engines.queue,
            priority=self.priority,
            who=self.who,
            slots=self.engines.slots,
            written=written,
            cancel=self._ending,
            on_progress=self.on_progress,
        )
        self._runs.append(run)
        yield from run.batches()

    def _input(self, name: str) -> pa.RecordBatchReader | pa.Table:
        """Return an earlier stage's rows for a merge statement: the table that was kept, or a stream of what comes."""
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


def _forget_rows(error: BaseException) -> None:
    """Clear the frames that an error came through: its traceback would keep their rows as long as somebody has it."""
    told: BaseException | None = error
    while told is not None:
        traceback.clear_frames(told.__traceback__)
        told = told.__cause__ or told.__context__


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
