"""The running queries of this process as rows of the registry, which any process of the cluster can read.

A process has a name, which stands in its rows, and holds an advisory lock of that name while it lives. Whoever gets the
lock knows that the process has died, and sweeps its rows: as with the runners of jobs. On the same connection the
process hears which of its queries another one wants to end.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from qserv_py.czar.identity.identity import Proof
from qserv_py.czar.queries.running import QueryPhase, RunningQuery
from qserv_py.errors import QservError
from qserv_py.registry import queries
from qserv_py.registry.connection import Registry
from qserv_py.registry.queries import CancelOrder
from qserv_py.registry.statements import Connection, run

LOOK_S = 1.0
"""How often it is looked at whether the lock is still held, while there are rows."""


class QueryRegister:
    """Writes what runs; used by one thread at a time.

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

    @property
    def is_empty(self) -> bool:
        """Whether no row of this process stands."""
        return not self._written

    def write(self, running: Sequence[RunningQuery]) -> None:
        """Let the rows say what runs: nothing is asked of the registry when they do.

        Raises
        ------
        ClusterError
            If the registry does not answer; the next call tries again.
        """
        known = {query.id: query for query in running}
        gone = set(self._written) - set(known)
        changed = [query for query in running if self._written.get(query.id) is not query.phase]
        is_due = bool(self._written) and time.monotonic() - self._looked_at >= LOOK_S
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
            self.write([])
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
        queries.sweep_queries(self._registry, besides=self._czar)
        queries.delete_queries(self._registry, czar=self._czar, ids=None)
        self._written.clear()
        return True
