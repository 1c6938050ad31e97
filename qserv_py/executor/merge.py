"""Merge statements in DuckDB over the rows of earlier stages; it spills to disk beyond its memory limit."""

from __future__ import annotations

import re
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from qserv_py import sql
from qserv_py.cancelling import Cancel
from qserv_py.errors import EvaluationError, InternalError, LimitError, QservError, QueryCancelledError
from qserv_py.executor.arrow import conform, schema_of
from qserv_py.executor.shape_functions import register
from qserv_py.planner.plan.query_plan import MergeStage

TEXT_BYTES = 64
"""Bytes that a text, or a list, is taken to have, where the size of a batch is chosen."""

STATEMENT_BYTES = 24 << 20
"""Memory that a statement should find: where there is next to none, it cannot even bring blocks back from the disk."""

WAIT_S, LOOK_S = 60.0, 0.05
"""How long a statement waits for others to end, and how often it looks: a slow reader keeps none out for ever."""

MERGE_SCRIPTS = ("czar/merge_functions", "czar/merge_catalogue", "czar/merge_shapes")
"""Macros that merge statements call, in this order."""


class MergeEngine:
    """One DuckDB in memory, kept warm; each query has a connection of its own to it.

    Parameters
    ----------
    spill_dir
        Where it puts what its memory does not hold.
    memory_bytes, spill_bytes
        What all queries together may use of memory and of the disk.
    batch_bytes
        About so many bytes of rows leave a merge together.
    threads
        Threads that one statement uses.
    """

    def __init__(
        self, *, spill_dir: Path, memory_bytes: int, spill_bytes: int, batch_bytes: int = 1 << 20, threads: int = 2
    ) -> None:
        self._batch_bytes = batch_bytes
        self._places = threading.BoundedSemaphore(max(1, memory_bytes // STATEMENT_BYTES))
        spill_dir.mkdir(parents=True, exist_ok=True)
        settings = {
            "memory_limit": f"{memory_bytes}B",
            "max_temp_directory_size": f"{spill_bytes}B",
            "threads": str(threads),
            "temp_directory": str(spill_dir),
            "allocator_background_threads": "true",  # without them it keeps the most that it ever had
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        self._database = duckdb.connect(":memory:", config=settings)
        for name in MERGE_SCRIPTS:
            self._database.execute(sql.load(name))
        register(self._database)
        # A database that still knows Python's functions when the interpreter ends makes it print reports of leaks.
        self._finalizer = weakref.finalize(self, self._database.close)
        # No statement of ours reads files or the network, so none may. It comes last: it also freezes temp_directory.
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET allowed_configs = ['streaming_buffer_size']")
        self._database.execute("SET lock_configuration = true")

    def connection(self) -> MergeConnection:
        """Return a connection for one query."""
        connection = self._database.cursor()
        # By default 10 MiB of each running statement, and not of its memory_limit.
        connection.execute(f"SET streaming_buffer_size = '{self._batch_bytes}B'")
        return MergeConnection(connection, batch_bytes=self._batch_bytes)

    @contextmanager
    def place(self, cancel: Cancel) -> Iterator[None]:
        """Be one of the statements that run, as many as the memory is enough for; wait for a place until cancelled."""
        ends = time.monotonic() + WAIT_S
        has_place = self._places.acquire(blocking=False)
        while not has_place and not cancel.is_cancelled and time.monotonic() < ends:
            has_place = self._places.acquire(timeout=LOOK_S)
        try:
            cancel.raise_if_cancelled()
            yield
        finally:
            if has_place:
                self._places.release()

    def close(self) -> None:
        """Close the database."""
        self._finalizer()


class MergeConnection:
    """The stage results of one query, and the merge statements over them."""

    def __init__(self, connection: Any, *, batch_bytes: int) -> None:
        self._connection = connection
        self._batch_bytes = batch_bytes

    def add(self, name: str, rows: pa.RecordBatchReader | pa.Table) -> None:
        """Make a stage's rows known under the stage's name; a reader can be read by one statement, once."""
        self._connection.register(name, rows)

    def run(self, stage: MergeStage) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a merge stage."""
        schema = schema_of(stage.columns)
        try:
            reader = self._connection.sql(stage.sql).to_arrow_reader(self._rows_of_a_batch(schema))
            for batch in reader:
                if batch.num_rows:
                    yield conform(batch, schema)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise _translate(error) from error

    def _rows_of_a_batch(self, schema: pa.Schema) -> int:
        return max(1, self._batch_bytes // sum(_width(field.type) for field in schema))

    def interrupt(self) -> None:
        """Stop the running statement; may be called from any thread."""
        with suppress(duckdb.ConnectionException):  # the statement has ended, and the connection was closed
            self._connection.interrupt()

    def close(self) -> None:
        """Drop the stage results."""
        self._connection.close()


def _width(kind: pa.DataType) -> int:
    """Return about how many bytes a value takes."""
    return -(-kind.bit_width // 8) if pa.types.is_primitive(kind) else TEXT_BYTES


_KINDS: Mapping[type[Exception], type[QservError]] = {
    duckdb.InvalidInputException: EvaluationError,
    duckdb.ConversionException: EvaluationError,
    duckdb.OutOfRangeException: EvaluationError,
    duckdb.InterruptException: QueryCancelledError,
}


_FAILED = re.compile(r"Could not convert string '!(.*)' to INT8", re.DOTALL)
"""Finds the message that a merge statement failed with, where it called ``qserv_fail``, in DuckDB's text."""


def _translate(error: Exception) -> QservError:
    if told := _FAILED.search(str(error)):
        return EvaluationError.of_servers(told[1])
    text = str(error).strip().splitlines()[0]
    if "INT128" in text:
        return EvaluationError.of_servers("a sum is beyond the range of BIGINT")
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory Error: " in text:
        return LimitError(
            "the merges of the queries that run would need more memory or disk than they may use",
            detail=text.split("Error: ", 1)[-1],
            hint='Try again when other queries have ended; "process_bytes" and "spill_bytes" in settings.yaml set the '
            "limits.",
        )
    for kind, ours in _KINDS.items():
        if isinstance(error, kind):
            failed = EvaluationError.of_servers(text.split("Error: ", 1)[-1])
            return failed if ours is EvaluationError else ours(failed.message)
    if "Interrupt" in text:
        return QueryCancelledError("the query was cancelled")
    for marker in ("Invalid Input Error: ", "Conversion Error: ", "Out of Range Error: "):
        if marker in text:
            return EvaluationError.of_servers(text.split(marker, 1)[1])
    return InternalError(f"the merge statement failed: {text}")
