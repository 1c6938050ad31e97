"""Chunk queries on one worker's PostgreSQL: a pool of connections whose answers stream as Arrow.

ADBC runs every chunk query, small or large: 0.2 ms for a few rows (asyncpg 0.15), 2 M rows/s for many. Connections are
the reader role's, which can only read. A statement can be cancelled from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa

from qserv_py.cancelling import Cancel
from qserv_py.catalog.snapshot import Worker
from qserv_py.errors import (
    ChunkQueryError,
    EvaluationError,
    QservError,
    QueryCancelledError,
    WorkerUnavailableError,
)
from qserv_py.workers.adbc_connections import AdbcConnections

_MORE_ROWS_THAN_ONE = "21000"
"""SQLSTATE of a sub-query that stands for one value and gives several rows."""


class _Statement:
    """A statement that a server works on; it can be ended from any thread as long as it runs."""

    def __init__(self, cursor: Any) -> None:
        self._lock = threading.Lock()
        self._cursor = cursor

    def end(self) -> None:
        """Ask the server to stop."""
        with self._lock:
            if self._cursor is not None:
                self._cursor.adbc_cancel()

    def detach(self) -> None:
        """Note that the statement has ended: a late ``end`` must not hit the next statement of the same connection."""
        with self._lock:
            self._cursor = None


class QueryPool:
    """Connections to one worker, as many as statements run at a time; thread-safe.

    Parameters
    ----------
    worker
        Name and address.
    batch_bytes
        Bytes of an Arrow batch; some batches of each running statement are in memory.
    """

    def __init__(self, worker: Worker, *, batch_bytes: int) -> None:
        self.worker = worker
        self._batch_bytes = batch_bytes
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._connections = AdbcConnections(worker.conninfo)

    def run(self, sql: str, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """Run one statement and yield its rows.

        Parameters
        ----------
        sql
            The statement.
        cancel
            Ends it.

        Raises
        ------
        EvaluationError
            If the data made an expression fail.
        QueryCancelledError
            If the statement was cancelled.
        WorkerUnavailableError
            If the worker cannot be reached or broke the connection.
        ChunkQueryError
            If the worker refused the statement.
        """
        cancel.raise_if_cancelled()
        connection, fresh = self._take()
        try:
            yield from self._stream(connection, sql, cancel)
        except BaseException as error:
            failure = self._translate(error, cancel)
            # A connection that broke, or whose result was not read to the end, is not used again.
            _close(connection)
            if isinstance(failure, WorkerUnavailableError) and not fresh:
                self._forget_idle()
            raise failure from error
        if cancel.is_cancelled:  # the request may reach the server during the next statement
            _close(connection)
        else:
            self._give_back(connection)

    def close(self) -> None:
        """Close the idle connections."""
        self._forget_idle()
        self._connections.close()

    def _stream(self, connection: Any, sql: str, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        from adbc_driver_manager import _reader

        with closing(connection.cursor()) as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(self._batch_bytes)})
            statement = _Statement(cursor)
            with cancel.calling(statement.end):
                try:
                    cancel.raise_if_cancelled()
                    cursor.execute(sql)
                    # fetch_record_batch() would lose the SQLSTATE of an error in the middle of the rows
                    handle = cursor.fetch_arrow()
                    yield from _reader.AdbcRecordBatchReader._import_from_c(handle.address)
                finally:
                    statement.detach()

    def _take(self) -> tuple[Any, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        from adbc_driver_postgresql import dbapi

        try:
            return self._connections.open(), True
        except dbapi.Error as error:
            raise WorkerUnavailableError(
                f'worker "{self.worker.name}" cannot be reached',
                detail=_first_line(error),
                hint="qserv cluster status shows the servers; qserv cluster start starts them.",
            ) from error

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            self._idle.append(connection)

    def _forget_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            _close(connection)

    def _translate(self, error: BaseException, cancel: Cancel) -> BaseException:
        if isinstance(error, (QservError, GeneratorExit, KeyboardInterrupt)):
            return error
        state = getattr(error, "sqlstate", None) or ""
        text = _first_line(error)
        if cancel.is_cancelled or state == "57014":
            return QueryCancelledError("the query was cancelled", detail=text)
        if state.startswith("22") or state == _MORE_ROWS_THAN_ONE:
            return EvaluationError.of_servers(text)
        if not state or state.startswith(("08", "57P")):
            return WorkerUnavailableError(f'worker "{self.worker.name}" broke the connection', detail=text)
        return ChunkQueryError(f'worker "{self.worker.name}" refused a chunk query: {text}', detail=f"SQLSTATE {state}")


def _close(connection: Any) -> None:
    from adbc_driver_postgresql import dbapi

    try:
        connection.close()
    except (dbapi.Error, RuntimeError):
        # The connection is broken or still busy with a result; it is dropped either way.
        return


def _first_line(error: BaseException) -> str:
    """Return PostgreSQL's own message out of the driver's text."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "ERROR:  " in line:
        return line.split("ERROR:  ", 1)[1]
    return line.split("FATAL:  ", 1)[-1]
