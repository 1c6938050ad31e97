"""The running queries of all processes of the cluster, and the snapshots that each process reads.

A row belongs to one process, the *czar*, whose name stands in it and which holds an advisory lock of that name while it
lives. Rows of processes that died are swept before anybody reads: a while after it was first seen that nobody holds the
lock, as a process whose connection was cut takes it anew.

A query of another process is ended by a notification, which PostgreSQL sends to every connection that listens: the one
that a process writes its rows with. Nothing is asked of the registry to hear it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from qserv_py.registry.connection import Registry
from qserv_py.registry.statements import Connection, lock_if_free, run

GRACE_S = 3.0
"""Seconds without a lock after which a process is dead; one that lives sees sooner that its connection broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryEntry:
    """A running query as the registry shows it."""

    query_id: str
    czar: str
    """Name of the process that the query runs in."""

    kind: str
    priority: int
    phase: str
    owner: str
    """Name of who asks; ``operator`` on the cluster's machine, ``anonymous`` where nothing was proven."""

    identity: Mapping[str, Any]
    """Who asks, as ``Identity.as_record`` writes it."""

    text: str
    started_at: datetime
    snapshots: Mapping[str, int]
    """Numbers of the snapshots that it reads, by the database's name."""


def put_query(
    registry: Registry,
    *,
    query_id: str,
    czar: str,
    kind: str,
    priority: int,
    phase: str,
    owner: str,
    identity: Mapping[str, Any],
    text: str,
    started_at: datetime,
    snapshots: Mapping[str, int],
) -> None:
    """Write down that a query runs, or how far it is."""
    with registry.connection() as connection:
        run(
            connection,
            "put_query",
            query_id=query_id,
            czar=czar,
            kind=kind,
            priority=priority,
            phase=phase,
            owner=owner,
            identity=Jsonb(dict(identity)),
            text=text.replace("\x00", ""),
            started_at=started_at,
            snapshots=Jsonb(dict(snapshots)),
        )


def put_reader(registry: Registry, *, czar: str, database_id: int, number: int) -> None:
    """Write down that a process reads a snapshot of a database: nothing of it is dropped from now on."""
    with registry.connection() as connection:
        run(connection, "put_snapshot_reader", czar=czar, database_id=database_id, number=number)


def delete_readers(registry: Registry, *, czar: str, snapshots: Collection[tuple[int, int]]) -> None:
    """Write down that a process reads some snapshots no more; each a database's id and a number."""
    ids, numbers = [one for one, _ in snapshots], [number for _, number in snapshots]
    with registry.connection() as connection:
        run(connection, "delete_snapshot_readers", czar=czar, database_ids=ids, numbers=numbers)


def delete_queries(registry: Registry, *, czar: str, ids: Sequence[str] | None) -> None:
    """Take away rows of a process, those of some ids or all."""
    with registry.connection() as connection:
        run(connection, "delete_queries", czar=czar, ids=None if ids is None else list(ids))


def lock_name(czar: str) -> str:
    """Return the name of the advisory lock that a process holds."""
    return f"qserv czar {czar}"


def sweep_czars(registry: Registry, *, besides: str = "", grace_s: float = GRACE_S) -> int:
    """Remove the rows of processes that died; return the number of these processes.

    Parameters
    ----------
    registry
        That of the cluster.
    besides
        A process that is left alone.
    grace_s
        Seconds for which nobody may have held the lock of a process before its rows go.
    """
    with registry.connection() as connection:
        czars = [row[0] for row in run(connection, "query_czars") if row[0] != besides]
    swept = 0
    for czar in czars:
        with registry.connection() as connection, lock_if_free(connection, lock_name(czar)) as is_dead:
            if is_dead:
                [(left,)] = run(connection, "sweep_czar", czar=czar, grace_s=grace_s)
                swept += left == 0
    return swept


def list_queries(registry: Registry, query_id: str | None = None) -> list[QueryEntry]:
    """Return what runs on the cluster, the oldest first; with an id only the query of that id."""
    sweep_czars(registry)
    with registry.connection() as connection:
        rows = run(connection, "list_queries", query_id=query_id).fetchall()
    return [
        QueryEntry(
            query_id=query_id,
            czar=czar,
            kind=kind,
            priority=priority,
            phase=phase,
            owner=owner,
            identity=identity,
            text=text,
            started_at=started_at,
            snapshots=snapshots,
        )
        for query_id, czar, kind, priority, phase, owner, identity, text, started_at, snapshots in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """What a process is told that runs a query that is to end."""

    czar: str
    """Name of the process."""

    query_id: str
    by_operator: bool
    """Whether the operator wants it; else the owner of the query."""


def tell_cancel(registry: Registry, order: CancelOrder) -> None:
    """Tell a process to end a query; nobody answers, but the row goes when the query has ended."""
    told = {"czar": order.czar, "query": order.query_id, "by_operator": order.by_operator}
    with registry.connection() as connection:
        run(connection, "tell_cancel", told=json.dumps(told))


def hear_cancels(connection: Connection) -> None:
    """Let a connection be told which queries are to end; ``cancels_heard`` reads what it was told."""
    run(connection, "hear_cancels")


def cancels_heard(connection: Connection, *, czar: str) -> list[CancelOrder]:
    """Return what a process was told since the last call; the registry is asked nothing.

    What nobody of ours can have said is left out: one such message must not hide those that came with it.
    """
    orders = [_order(heard.payload) for heard in connection.notifies(timeout=0)]
    return [order for order in orders if order is not None and order.czar == czar]


def _order(payload: str) -> CancelOrder | None:
    try:
        told = json.loads(payload)
    except ValueError:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("by_operator"), bool):
        return None
    return CancelOrder(czar=str(told.get("czar")), query_id=str(told.get("query")), by_operator=told["by_operator"])
