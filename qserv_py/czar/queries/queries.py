"""The queries that run in this process: the one place where they are made, watched and known.

Two threads, the keepers, look at them ten times a second: one ends those whose time is up, the other writes them into
the registry's table of running queries and ends those that another process wants to end. A registry that does not
answer holds up the second one alone. Both sleep while nothing runs: a query of a few milliseconds meets them rarely,
and never waits for them.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from weakref import finalize

from qserv_py.cancelling import Cancel
from qserv_py.closing import Closing
from qserv_py.czar.identity.identity import Identity
from qserv_py.czar.queries.cancel_orders import cancelled_by
from qserv_py.czar.queries.register import QueryRegister, SnapshotKey
from qserv_py.czar.queries.running import QueryKind, RunningQuery
from qserv_py.czar.queries.shares import Shares
from qserv_py.errors import LimitError, QservError, QueryCancelledError, UserError
from qserv_py.executor.budget import Budget
from qserv_py.registry.connection import Registry

LOOK_S = 0.1
"""How often the keeper looks."""

REGISTERED_S = 0.1
"""Age at which a query is written into the registry.

Younger ones are not: a look-up by id takes some milliseconds, and writing its row and removing it would cost as much.
"""

log = logging.getLogger("qserv.queries")


class Queries(Closing):
    """The running queries of one process; thread-safe.

    Parameters
    ----------
    registry
        A connection of its own, which ``close`` closes.
    shares
        What the queries may use of memory and disk.
    """

    def __init__(self, registry: Registry, shares: Shares) -> None:
        self.rows_held = Budget(
            "rows",
            shares.rows,
            setting="process_bytes",
            each=shares.query_rows,
            each_setting="query_bytes",
            why="No chunk alone can answer this query, so rows are brought together; uploaded tables count, too.",
            cure="Restrict it by place or by id, join its tables by the director's key, or read fewer columns",
        )
        """Rows in memory: of stages, of tables that come along, of tables of users that are written."""

        self.spilled = Budget("results", shares.reply_spill, setting="spill_bytes")
        """Results on the disk: those of slow clients, of jobs of a connection, of FITS while it is written."""

        self.replies = Budget("results", shares.replies, setting="process_bytes")
        """Results in memory that wait for their clients."""

        self._register = QueryRegister(registry)
        self._running: dict[str, RunningQuery] = {}
        self._has_freed = False
        """Whether a query has ended, or runs, since somebody asked."""

        self._news = threading.Condition()
        self._closing = threading.Event()
        self._keepers: list[threading.Thread] = []
        """One holds time limits, which must not wait for the registry; one lets the registry know and hears of it."""

    def make(
        self,
        *,
        kind: QueryKind,
        identity: Identity,
        text: str,
        id: str = "",
        longest_s: float | None = None,
        late: LimitError | None = None,
    ) -> RunningQuery:
        """Return a new query; it runs within ``running``. UserError if all has been closed.

        Parameters
        ----------
        kind, identity, text
            Which way it came, who asks, and what.
        id
            Its name, if it has one already.
        longest_s, late
            Seconds that it may run, and what it ends with then.
        """
        if self._closing.is_set():
            raise closed_error()
        cancel = Cancel()
        return RunningQuery(
            id=id or secrets.token_hex(8),
            identity=identity,
            kind=kind,
            text=text,
            rows_held=self.rows_held.account(cancel),
            cancel=cancel,
            longest_s=longest_s,
            late=late,
        )

    @contextmanager
    def running(self, query: RunningQuery) -> Iterator[None]:
        """Have a query among those that run; one that is there already stays until its outer block ends.

        Raises
        ------
        UserError
            If all has been closed since the query was made.
        """
        with self._news:
            if self._closing.is_set():
                raise closed_error()
            is_new = query.id not in self._running
            if is_new:
                self._running[query.id] = query
                self._has_freed = True
            self._start_keepers()
            self._news.notify_all()
        try:
            yield
        finally:
            if is_new:
                with self._news:
                    self._running.pop(query.id, None)
                query.forget_uploads()
                query.end_reading()

    def begin_reading(self, query: RunningQuery, snapshots: Collection[SnapshotKey]) -> bool:
        """Keep what some snapshots have until a query has ended; True when they may have been replaced before that.

        Raises
        ------
        ClusterError
            If the registry does not answer.
        """
        query.end_reading()
        is_new = self._register.begin_reading(snapshots)
        query.end_reading = finalize(query, self._register.end_reading, tuple(snapshots))
        if is_new:
            with self._news:
                self._start_keepers()
                self._news.notify_all()
        return is_new

    def have_freed(self) -> bool:
        """Return whether queries have run since the last call: their memory may be free now."""
        with self._news:
            had, self._has_freed = self._has_freed, bool(self._running)
            return had

    def of_kind(self, kind: QueryKind) -> list[RunningQuery]:
        """Return the queries of a kind that run."""
        with self._news:
            return [query for query in self._running.values() if query.kind is kind]

    def close(self) -> None:
        """End the queries that run, and forget them."""
        with self._news:
            self._closing.set()
            self._news.notify_all()
            running = list(self._running.values())
        for query in running:
            query.cancel.cancel(QueryCancelledError("the connection was closed while the query ran"))
        for keeper in self._keepers:
            keeper.join()
        self._register.close()

    def _start_keepers(self) -> None:
        """Start the threads, at the first query; the lock of ``_news`` is held."""
        if not self._keepers and not self._closing.is_set():
            self._keepers = [
                threading.Thread(target=self._keep, args=(work,), name="qserv-queries", daemon=True)
                for work in (self._hold_limits, self._tell_and_hear)
            ]
            for keeper in self._keepers:
                keeper.start()

    def _keep(self, work: Callable[[list[RunningQuery]], None]) -> None:
        """Do some work with what runs, again and again until the end; a keeper's thread."""
        while not self._closing.wait(LOOK_S):
            with self._news:
                while not self._running and self._register.is_empty and not self._closing.is_set():
                    self._news.wait()
                running = list(self._running.values())
            work(running)

    def _hold_limits(self, running: list[RunningQuery]) -> None:
        """End the queries whose time is up."""
        now = time.monotonic()
        for query in running:
            if query.longest_s is not None and now - query.begun >= query.longest_s:
                query.cancel.cancel(query.late)

    def _tell_and_hear(self, running: list[RunningQuery]) -> None:
        """Let the registry know what runs, and end what another process wants to end."""
        now = time.monotonic()
        running = [query for query in running if now - query.begun >= REGISTERED_S]
        known = {query.id: query for query in running}
        try:
            self._register.write(running)
            for order in self._register.orders():
                if order.query_id in known:
                    known[order.query_id].cancel.cancel(cancelled_by(order))
        except QservError as error:  # the registry is away: the rows are written when it is back
            log.debug("running queries cannot be written down: %s", error.message)
        except Exception:
            log.exception("the keeper of queries met a defect")


def closed_error() -> UserError:
    """Return what somebody is told who asks through a connection that has been closed."""
    return UserError("the connection has been closed", hint="Open another with qserv_py.connect().")
