"""Publishing: make loaded rows visible, then let each shard's parents and views follow.

The flip is one transaction of the registry. What follows on the shards serves psql and frees space; queries name
chunk tables directly and need none of it, so it may be late, and is repeated until it is done.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Database, Table
from qserv_py.catalog.part import ChunkTable
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.loading import load_pending
from qserv_py.ingest.recovery import recover
from qserv_py.registry.transactions import chunk_tables, database_lock, publish_snapshot
from qserv_py.workers.row_store import RowStore

GRACE_S = 600.0
"""Seconds for which superseded chunk tables stay, for queries that began before the new snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSummary:
    """What publishing a database did."""

    database: str
    snapshot: int
    chunk_tables: int
    """Chunk tables (and ref tables) that are served now."""

    superseded: int
    """Older generations that were dropped."""

    seconds: float


def publish_database(destination: Destination, database: str, *, grace_s: float = GRACE_S) -> PublishSummary:
    """Make everything that is ingested into a database visible to queries.

    Raises
    ------
    NotFoundError
        If there is no such database.
    TransactionStateError
        If an ingest into it is still loading.
    """
    started = time.monotonic()
    found = destination.registry.database(database)
    recover(destination, database=found.name)
    with database_lock(destination.registry, found.name):
        load_pending(destination, found)
        snapshot = publish_snapshot(destination.registry, found.name)
        dropped = reconcile(destination, found, grace_s=grace_s)
    served = [table for table in chunk_tables(destination.registry, found.name) if table.served is not None]
    return PublishSummary(
        database=found.name,
        snapshot=snapshot,
        chunk_tables=len(served),
        superseded=dropped,
        seconds=time.monotonic() - started,
    )


def reconcile(destination: Destination, database: Database, *, grace_s: float = GRACE_S) -> int:
    """Let the shards follow the registry: attach what is served, detach and later drop what is superseded.

    Returns
    -------
    dropped
        Number of relations dropped on all shards.
    """
    targets = chunk_tables(destination.registry, database.name)
    dropped = 0
    for worker in destination.workers:
        wanted = _Wanted(database)
        for target in targets:
            if worker.name in target.workers:
                wanted.add(target)
        with RowStore(worker.name, destination.admin[worker.name]) as store:
            dropped += _reconcile_shard(store, database, wanted, grace_s=grace_s)
    return dropped


@dataclass(slots=True)
class _Wanted:
    """What one shard is to have."""

    database: Database
    kept: set[str] = field(default_factory=set)
    """Relations of served and pending generations."""

    attached: dict[str, ChunkId] = field(default_factory=dict)
    """Chunk tables to be partitions of their parent."""

    views: list[tuple[Table, str]] = field(default_factory=list)
    """Ref tables and the relation that they show."""

    table_of: dict[str, Table] = field(default_factory=dict)
    """Table of every relation that there may be, superseded generations among them."""

    def add(self, target: ChunkTable) -> None:
        table = self.database.table(target.table)
        for generation in range(1, max(target.served or 0, target.pending or 0) + 1):
            self.table_of[table.relation(target.chunk, generation=generation)] = table
        for kept in (target.served, target.pending):
            if kept is not None:
                for overlap in (False, True):
                    self.kept.add(table.relation(target.chunk, generation=kept, overlap=overlap))
        if target.served is not None:
            relation = table.relation(target.chunk, generation=target.served)
            if target.chunk is None:
                self.views.append((table, relation))
            else:
                self.attached[relation] = target.chunk


def _reconcile_shard(store: RowStore, database: Database, wanted: _Wanted, *, grace_s: float) -> int:
    schema = database.physical
    held = {held.relation: held for held in store.held_relations(schema)}
    attach: dict[str, list[tuple[str, ChunkId]]] = defaultdict(list)
    detach: dict[str, list[str]] = defaultdict(list)
    for relation, chunk in wanted.attached.items():
        if relation in held and not held[relation].attached:
            attach[wanted.table_of[relation].name].append((relation, chunk))
    for relation, state in held.items():
        if state.attached and relation not in wanted.attached:
            detach[wanted.table_of[relation].name].append(relation)
    for name in attach.keys() | detach.keys():
        store.swap_partitions(schema, database.table(name), attach=attach[name], detach=detach[name])
    for table, relation in wanted.views:
        store.show_ref_table(schema, table, relation)
    superseded = [relation for relation in held if relation not in wanted.kept]
    store.supersede(schema, superseded)
    ripe = [relation for relation in superseded if grace_s <= 0 or (held[relation].superseded_s or 0.0) > grace_s]
    store.drop(schema, ripe)
    return len(ripe)
