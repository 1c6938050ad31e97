"""The answer of a query: its rows as a stream, cut off at a number of rows, and the figures of the query.

Where it was cancelled, the reason is what the user is told: PostgreSQL and DuckDB only say that a statement was.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from weakref import WeakSet

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn
from qserv_py.czar.formats.stream import ResultStream, why_cut
from qserv_py.czar.queries.queries import Queries
from qserv_py.czar.queries.running import QueryStats, RunningQuery
from qserv_py.errors import QueryCancelledError
from qserv_py.executor.execute import Execution
from qserv_py.planner.plan.query_plan import QueryPlan


@dataclass(slots=True)
class Answer:
    """The answer of a query; nothing runs until its rows are read. ``batches`` may be iterated once."""

    plan: QueryPlan
    query: RunningQuery
    queries: Queries
    """The running queries of this process; the query is among them while its rows are read."""

    execution: Execution
    maxrec: int | None
    started: float
    open_rows: WeakSet[Generator[pa.RecordBatch, None, None]] = field(default_factory=WeakSet, repr=False)
    """Streams of all answers of the session that are being read; closing the session closes them."""

    @property
    def stats(self) -> QueryStats:
        """Figures of the query."""
        return self.query.stats

    @property
    def text(self) -> str:
        """The query's text, as it was asked."""
        return self.plan.text

    @property
    def columns(self) -> tuple[OutputColumn, ...]:
        """The columns of the answer."""
        return self.plan.columns

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the answer."""
        return self.execution.schema

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows, at most ``maxrec``; leaving early stops the servers. With a ``maxrec`` of 0 nothing runs."""
        rows = self._rows()
        self.open_rows.add(rows)
        return rows

    def _rows(self) -> Generator[pa.RecordBatch, None, None]:
        with self.queries.running(self.query):
            yield from self._counted()

    def _counted(self) -> Generator[pa.RecordBatch, None, None]:
        if self.maxrec == 0:  # DALI 1.1, section 3.4.4: metadata, no rows, and overflow, whether or not there are rows
            self.query.cancel.raise_if_cancelled()
            self.stats.overflow, self.stats.chunks = True, 0
            self.stats.seconds = time.perf_counter() - self.started
            return
        rows = self.execution.batches()
        try:
            for batch in rows:
                left = None if self.maxrec is None else self.maxrec - self.stats.rows
                if left is not None and batch.num_rows > left:
                    self.stats.overflow = True
                    batch = batch.slice(0, left)
                self.stats.rows += batch.num_rows
                if batch.num_rows:
                    yield batch
                if self.stats.overflow:
                    break
        except QueryCancelledError as error:
            raise self.query.cancel.reason if self.query.cancel.is_cancelled else error from error
        finally:
            rows.close()  # type: ignore[attr-defined]
            self.stats.chunks = self.plan.chunks - self.execution.chunks_spared
            self.stats.seconds = time.perf_counter() - self.started

    def stream(self, *infos: tuple[str, str]) -> ResultStream:
        """Return the rows for a writer of ``czar.formats``.

        Parameters
        ----------
        *infos
            Names and values that the document says beside the rows.
        """
        return ResultStream(
            columns=self.columns,
            schema=self.schema,
            batches=self.batches(),
            infos=infos,
            why_cut=lambda: why_cut(is_cut=self.stats.overflow, maxrec=self.maxrec),
            spool_dir=self.execution.engines.spill_dir,
            spilled=self.queries.spilled.account(),
        )

    def cancel(self) -> None:
        """Stop the query; may be called from any thread."""
        self.query.cancel.cancel()
