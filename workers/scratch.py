"""Scratch relations: rows that a query brings to a worker, in a table of their own for the time of the query.

For example, 100,000 uploaded positions that are joined with ``Object`` are copied to each worker once; the statements
of the query read them there, and the table is dropped when the query ends.

``put`` copies an Arrow table into an unlogged table of the schema ``qserv_scratch`` and commits, so every connection
of the reader sees it; ``drop`` removes it. Names are never used twice. Whoever makes scratch relations on a worker
holds an advisory lock there, under the number that begins their names. When the process dies PostgreSQL frees the lock,
and the next czar (or the next start of the cluster) drops the relations that the process left. The bytes that
stand on a worker at a time are bounded.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from qserv_py.cancelling import Cancel
from qserv_py.errors import LimitError, QueryCancelledError, WorkerError, WorkerUnavailableError
from qserv_py.sql import load
from qserv_py.workers.copy_binary import CopyColumn, encode_copy

SCRATCH_SCHEMA = "qserv_scratch"

LOCK_TIMEOUT = "10s"
"""How long dropping waits for a cancelled statement that still reads the relation."""

AGAIN_TIMEOUT = "20ms"
"""How long dropping waits that is tried again: another query waits for it."""

CANCEL_S = 5.0
"""How long a server may take to hear that a statement is to end."""

_STATISTICS = 30
"""PostgreSQL's statistics target for a scratch relation; this one takes a sample of 9,000 rows."""

Connection = psycopg.Connection[tuple[Any, ...]]


def new_number() -> int:
    """Return a number for a process that makes scratch relations."""
    return secrets.randbits(31)


def new_name(number: int) -> str:
    """Return a name for a scratch relation of the process with this number."""
    return f"q{number:08x}_{secrets.token_hex(8)}"


class ScratchStore:
    """The scratch relations of one process on one worker; thread-safe.

    Parameters
    ----------
    worker
        Name of the worker, for messages.
    conninfo
        libpq connection string of the shard's superuser.
    number
        Number of this process from ``new_number``; it is the same on all workers.
    most_bytes
        Bytes that may stand here at a time.
    """

    def __init__(self, worker: str, conninfo: str, *, number: int, most_bytes: int) -> None:
        self.worker = worker
        self._conninfo = conninfo
        self._number = number
        self._most_bytes = most_bytes
        self._bytes: dict[str, int] = {}
        self._unwanted: set[str] = set()
        """Relations that could not be dropped; they count until they have gone."""

        self._idle: list[Connection] = []
        self._keeper: Connection | None = None
        self._lock = threading.Lock()

    def put(
        self,
        name: str,
        rows: pa.Table,
        columns: Sequence[CopyColumn],
        *,
        index: str | None = None,
        cancel: Cancel,
    ) -> None:
        """Make a scratch relation and fill it.

        Parameters
        ----------
        name
            Name of the relation, from ``new_name``.
        rows
            Rows to copy; they have the Arrow types of ``columns``.
        columns
            Names and types of the relation's columns.
        index
            Column to index; the rows are sorted by it.
        cancel
            Says when the query is to end.

        Raises
        ------
        LimitError
            If more bytes would stand on the worker than are allowed, or the rows are wider than PostgreSQL's can be.
        QueryCancelledError
            If the query is to end; nothing is left then.
        WorkerUnavailableError, WorkerError
            If the server does not answer or refuses the rows.
        """
        with self._lock:
            unwanted = list(self._unwanted)
        self._drop(unwanted, AGAIN_TIMEOUT)
        self._reserve(name, rows.nbytes)
        try:
            self._hold_lock()
            with self._connection() as connection, _ended_by(cancel, connection), connection.transaction():
                self._fill(connection, name, rows, columns, index, cancel)
        except BaseException:
            with self._lock:
                del self._bytes[name]
            raise

    def drop(self, names: Sequence[str]) -> None:
        """Drop scratch relations; what cannot be dropped now is tried again before the next ones, and by ``close``."""
        with self._lock:
            known = [name for name in names if name in self._bytes]
        self._drop(known, LOCK_TIMEOUT)

    def _drop(self, names: Sequence[str], lock_timeout: str) -> None:
        if not names:
            return
        try:
            with self._connection() as connection, connection.transaction():
                connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(lock_timeout))
                relations = sql.SQL(", ").join([_identifier(name) for name in names])
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(relations))
        except (WorkerError, LimitError):
            with self._lock:
                self._unwanted.update(names)
            return
        with self._lock:
            self._unwanted.difference_update(names)
            for name in names:
                self._bytes.pop(name, None)

    def close(self) -> None:
        """Drop what is left and close the connections; no query may be running."""
        self.drop(list(self._bytes))
        with self._lock:
            connections, self._idle = [*self._idle, *([self._keeper] if self._keeper else [])], []
            self._keeper = None
        for connection in connections:
            connection.close()

    def _reserve(self, name: str, size: int) -> None:
        with self._lock:
            standing = sum(self._bytes.values())
            if standing + size > self._most_bytes:
                others = f", beside {_mebibytes(standing)} of other queries" if standing else ""
                raise LimitError(
                    f"{_mebibytes(size)} of rows would have to be brought to worker "
                    f'"{self.worker}"{others}; {_mebibytes(self._most_bytes)} may stand there at a time',
                    hint="Bring fewer rows or columns"
                    + (", or try again when the other queries have ended." if standing else ".")
                    + ' "scratch_bytes" in cluster.json sets the limit.',
                )
            self._bytes[name] = size

    def _fill(
        self,
        connection: Connection,
        name: str,
        rows: pa.Table,
        columns: Sequence[CopyColumn],
        index: str | None,
        cancel: Cancel,
    ) -> None:
        relation = _identifier(name)
        kinds = [(sql.Identifier(column.name), sql.SQL(column.datatype.names.postgres)) for column in columns]
        definitions = sql.SQL(", ").join([sql.SQL("{} {}").format(*kind) for kind in kinds])
        create = sql.SQL("CREATE UNLOGGED TABLE {} ({}) WITH (autovacuum_enabled = false)")
        connection.execute(create.format(relation, definitions))
        copying = sql.SQL("COPY {} FROM STDIN (FORMAT binary, FREEZE true)").format(relation)
        with connection.cursor() as cursor, cursor.copy(copying) as copy:
            for block in encode_copy(rows, columns):
                cancel.raise_if_cancelled()
                copy.write(block)
        if index is not None:
            connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(relation, sql.Identifier(index)))
        connection.execute(sql.SQL("SET LOCAL default_statistics_target = {}").format(_STATISTICS))
        connection.execute(sql.SQL("ANALYZE {}").format(relation))

    def _hold_lock(self) -> None:
        """Make sure that we hold the lock of our number; when it must be taken, sweep what dead processes left."""
        with self._lock:
            if self._keeper is not None:
                try:
                    self._keeper.execute("SELECT 1")
                    return
                except psycopg.Error:
                    self._keeper.close()
                    self._keeper = None
            with self._translated_errors():
                keeper = psycopg.connect(self._conninfo, autocommit=True)
                held = keeper.execute(load("worker/hold_scratch").encode(), {"czar": self._number}).fetchone()
                if held == (True,):
                    self._keeper = keeper
                else:  # the server has not seen yet that our former connection is cut: it still holds the lock
                    keeper.close()
        # By another session: PostgreSQL gives one its own lock again, so the keeper would sweep what our queries read.
        with self._connection() as connection:
            connection.execute(load("worker/sweep_scratch").encode())

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Yield a connection that nobody else uses at the moment."""
        with self._translated_errors():
            connection = self._take()
            try:
                yield connection
            finally:
                with self._lock:
                    self._idle.append(connection)

    def _take(self) -> Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return psycopg.connect(self._conninfo, autocommit=True)
            try:
                connection.execute("SELECT 1")
                return connection
            except psycopg.Error:  # the server was restarted, or the connection was cut
                connection.close()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise QueryCancelledError("the query was cancelled", detail=str(error).strip()) from error
        except psycopg.errors.ProgramLimitExceeded as error:
            raise LimitError(
                f'worker "{self.worker}" cannot hold the rows of the query: {str(error).strip()}',
                hint="Let the query read fewer columns of what it brings along.",
            ) from error
        except psycopg.OperationalError as error:
            raise WorkerUnavailableError(
                f'worker "{self.worker}" does not take the rows of the query', detail=str(error).strip()
            ) from error
        except psycopg.Error as error:
            raise WorkerError(
                f'worker "{self.worker}" refused the rows of the query', detail=str(error).strip()
            ) from error


@contextmanager
def _ended_by(cancel: Cancel, connection: Connection) -> Iterator[None]:
    """End the statements of a connection when the query is cancelled; ``cancel()`` does not wait for the server.

    A connection whose statement was cancelled is closed: the request might reach it during the next query.
    """
    lock = threading.Lock()
    used = [connection]

    def end() -> None:
        with lock, suppress(psycopg.Error):  # the statement has ended, or its server is away
            for one in used:
                one.cancel_safe(timeout=CANCEL_S)

    try:
        with cancel.calling(lambda: threading.Thread(target=end, name="qserv-end-copy", daemon=True).start()):
            yield
    finally:
        with lock:
            used.clear()
        if cancel.is_cancelled:
            connection.close()


def _identifier(name: str) -> sql.Identifier:
    return sql.Identifier(SCRATCH_SCHEMA, name)


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
