"""Ending a query that runs in any process of the cluster, as its owner or the operator wants it."""

from __future__ import annotations

import time

from qserv_py.czar.identity.identity import Identity, Proof
from qserv_py.errors import ClusterError, NotFoundError, QueryCancelledError
from qserv_py.registry.connection import Registry
from qserv_py.registry.queries import CancelOrder, QueryEntry, list_queries, tell_cancel

TELL_AGAIN_S = 0.1
"""How often the process is told until the query has ended: its connection may have been cut, and be new."""

WAIT_S = 5.0
"""Seconds after which a query that has not ended is given up."""


def queries_of(registry: Registry, identity: Identity, query_id: str | None = None) -> list[QueryEntry]:
    """Return the running queries that an identity may end: its own, all of them as the operator.

    Those who have proven nothing cannot be told apart, so they have none.
    """
    return [entry for entry in list_queries(registry, query_id) if _may_end(identity, entry)]


def cancel_query(registry: Registry, query_id: str, identity: Identity, *, wait_s: float = WAIT_S) -> None:
    """End a query, in whichever process it runs; returns when it has ended.

    A query of a process that has died is not there any more.

    Parameters
    ----------
    registry
        That of the cluster.
    query_id
        The query.
    identity
        Who wants it: the owner of the query, or the operator.
    wait_s
        Seconds that it may take.

    Raises
    ------
    NotFoundError
        If no query of this id runs, or somebody else asked for it.
    ClusterError
        If it has not ended in time.
    """
    found = queries_of(registry, identity, query_id)
    if not found:
        raise NotFoundError(
            f'no query "{query_id[:80]}" runs that you may end',
            hint="It may have ended. `qserv list queries` lists those that run.",
        )
    ends = time.monotonic() + wait_s
    while found:
        for entry in found:
            by_operator = identity.proof is Proof.OPERATOR
            tell_cancel(registry, CancelOrder(czar=entry.czar, query_id=entry.query_id, by_operator=by_operator))
        if time.monotonic() >= ends:
            raise ClusterError(
                f'query "{query_id}" has not ended within {wait_s:g} s',
                detail="Its process was told. It does not react, or its client has not taken yet what was written.",
                hint="Try again; its row goes when the process ends.",
            )
        time.sleep(TELL_AGAIN_S)
        found = queries_of(registry, identity, query_id)


def cancelled_by(order: CancelOrder) -> QueryCancelledError:
    """Return what the user of a query is told that was ended so."""
    if order.by_operator:
        return QueryCancelledError(
            "the query was cancelled by the operator", hint="Ask whoever runs the cluster before you send it again."
        )
    return QueryCancelledError("the query was cancelled by its owner")


def _may_end(identity: Identity, entry: QueryEntry) -> bool:
    if identity.proof is Proof.OPERATOR:
        return True
    asked = Identity.from_record(entry.identity)
    return bool(identity.user) and asked.user == identity.user
