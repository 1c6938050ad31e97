"""The running queries of this process as rows of the registry, which any process of the cluster can read.

A process has a name, which stands in its rows, and holds an advisory lock of that name while it lives. Whoever gets the
lock knows that the process has died, and sweeps its rows: as with the runners of jobs. On the same connection the
process hears which of its queries another one wants to end.

The snapshots that the process reads are written down, too, before a query reads one: whoever would drop what only they
have looks there. For example, the first query of ``dr1`` since it was published as 4 writes the row (dr1, 4) and looks
whether 4 is still the newest; those that follow find the row there. It goes when no query has needed it for a while.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from qserv_py.czar.identity.identity import Proof
from qserv_py.czar.queries.running import QueryPhase, RunningQuery
from qserv_py.errors import ClusterError, QservError
from qserv_py.registry import queries
from qserv_py.registry.connection import Registry
from qserv_py.registry.queries import CancelOrder
from qserv_py.registry.statements import Connection, run

LOOK_S = 1.0
"""How often it is looked at whether the lock is still held, while there are rows."""

IDLE_S = 2.0
"""Seconds that the row of a snapshot stays after its last query: one written for each look-up would double its time."""

SnapshotKey = tuple[int, int]
"""A database's id, and the number of the snapshot."""


@dataclass(slots=True)
class _Read:
    """How a snapshot is read."""

    queries: int = 0
    idle_since: float = 0.0


class QueryRegister:
    """Writes what runs and what it reads; thread-safe.

    Parameters
    ----------
    registry
        A connection of its own, which ``close`` closes.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._czar = secrets.token_hex(8)
        self._locked_on: Connection | None = None
        self._written: dict[str, QueryPhase] = {}
        """The rows that stand, by the query's id."""

        self._looked_at = 0.0
        self._writing = threading.RLock()
        self._counting = threading.RLock()  # a collected query lets go of its snapshots in any thread
        self._read: dict[SnapshotKey, _Read] = {}
        """The snapshots whose rows stand; changed with both locks held, but for the counts."""

    @property
    def is_empty(self) -> bool:
        """Whether no row of this process stands."""
        return not self._written and not self._read

    def begin_reading(self, snapshots: Collection[SnapshotKey]) -> bool:
        """Have a row for each of some snapshots until ``end_reading``; True when one had to be written.

        Then the snapshots may have been replaced, and what they had dropped, before the row stood.

        Raises
        ------
        ClusterError
            If the registry does not answer.
        """
        if self._counted(snapshots):
            return False
        with self._writing:
            new = [key for key in snapshots if key not in self._read]
            try:
                self._put_readers(new)
            except ClusterError:  # the connection broke while nothing was asked
                self._put_readers(new)
            with self._counting:
                self._read.update((key, _Read()) for key in new)
                self._counted(snapshots)
        return bool(new)

    def _put_readers(self, snapshots: Collection[SnapshotKey]) -> None:
        self._hold_lock()
        for database_id, number in snapshots:
            queries.put_reader(self._registry, czar=self._czar, database_id=database_id, number=number)

    def _counted(self, snapshots: Collection[SnapshotKey]) -> bool:
        """Count a query of snapshots whose rows all stand."""
        with self._counting:
            if any(key not in self._read for key in snapshots):
                return False
            for key in snapshots:
                self._read[key].queries += 1
        return True

    def end_reading(self, snapshots: Collection[SnapshotKey]) -> None:
        """Say that a query reads some snapshots no more; asks the registry nothing."""
        with self._counting:
            for key in snapshots:
                read = self._read[key]
                read.queries -= 1
                read.idle_since = time.monotonic()

    def write(self, running: Sequence[RunningQuery]) -> None:
        """Let the rows say what runs: nothing is asked of the registry when they do.

        Raises
        ------
        ClusterError
            If the registry does not answer; the next call tries again.
        """
        with self._writing:
            self._write(running)
            self._forget_idle()

    def _write(self, running: Sequence[RunningQuery]) -> None:
        known = {query.id: query for query in running}
        gone = set(self._written) - set(known)
        changed = [query for query in running if self._written.get(query.id) is not query.phase]
        is_due = not self.is_empty and time.monotonic() - self._looked_at >= LOOK_S
        if not gone and not changed and not is_due:
            return
        if self._hold_lock():
            gone, changed = set(), list(running)
        if gone:
            queries.delete_queries(self._registry, czar=self._czar, ids=sorted(gone))
            for query_id in gone:
                del self._written[query_id]
        for query in changed:
            phase = query.phase
            queries.put_query(
                self._registry,
                query_id=query.id,
                czar=self._czar,
                kind=query.kind,
                priority=query.priority,
                phase=phase,
                owner="operator" if query.identity.proof is Proof.OPERATOR else query.identity.owner,
                identity=query.identity.as_record(),
                text=query.text,
                started_at=query.started_at,
                snapshots=query.snapshots,
            )
            self._written[query.id] = phase

    def _forget_idle(self, idle_s: float = IDLE_S) -> None:
        """Take away the rows of snapshots that nobody has read for a while."""
        now = time.monotonic()
        with self._counting:
            idle = [key for key, read in self._read.items() if not read.queries and now - read.idle_since >= idle_s]
            for key in idle:
                del self._read[key]
        if idle:
            queries.delete_readers(self._registry, czar=self._czar, snapshots=idle)

    def orders(self) -> list[CancelOrder]:
        """Return which of the queries that stand in the rows others want to end; asks the registry nothing.

        Raises
        ------
        ClusterError
            If the connection has broken; what was told meanwhile is told again by whoever wants it.
        """
        if self._locked_on is None or not self._written:
            return []
        with self._registry.connection() as connection:
            return queries.cancels_heard(connection, czar=self._czar) if connection is self._locked_on else []

    def close(self) -> None:
        """Take the rows away; the lock goes with the connection."""
        try:
            with self._writing:
                self._write([])
                self._forget_idle(0.0)
        except QservError:
            return  # they are found by the lock that is not held any more
        finally:
            self._registry.close()

    def _hold_lock(self) -> bool:
        """Hold the lock that says that this process lives; True when it was taken anew, and no row stands.

        It goes with the connection when that breaks, and others sweep the rows then.
        """
        self._looked_at = time.monotonic()
        with self._registry.connection() as connection:
            connection.execute("SELECT 1")
            if connection is self._locked_on:
                return False
            run(connection, "lock", name=queries.lock_name(self._czar))
            queries.hear_cancels(connection)
            self._locked_on = connection
        queries.sweep_czars(self._registry, besides=self._czar)
        queries.delete_queries(self._registry, czar=self._czar, ids=None)
        self._written.clear()
        for database_id, number in list(self._read):
            queries.put_reader(self._registry, czar=self._czar, database_id=database_id, number=number)
        return True
