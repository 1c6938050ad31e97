"""Publishing: make loaded rows visible, then let each shard's parents and views follow.

Queries see the new snapshot after one transaction of the registry. What follows on the shards serves psql and frees
space; queries name chunk tables directly and need none of it, so it may be late, and is repeated until it is done.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Database, Table
from qserv_py.catalog.part import ChunkTable
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.loading import load_pending
from qserv_py.ingest.recovery import recover
from qserv_py.registry.transactions import (
    chunk_tables,
    count_served,
    database_lock,
    followed_snapshot,
    note_followed,
    publish_snapshot,
)
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
        dropped = reconcile(destination, found, snapshot, grace_s=grace_s)
    return PublishSummary(
        database=found.name,
        snapshot=snapshot,
        chunk_tables=count_served(destination.registry, found.name),
        superseded=dropped,
        seconds=time.monotonic() - started,
    )


def reconcile(destination: Destination, database: Database, snapshot: int, *, grace_s: float = GRACE_S) -> int:
    """Let the shards follow the registry: attach what is served, detach and later drop what is superseded.

    Each shard looks at what was published since the snapshot that it followed last, so what an interrupted call left
    undone is done by the next one.

    Returns
    -------
    dropped
        Number of relations dropped on all shards.
    """
    registry, dropped = destination.registry, 0
    for worker in destination.workers:
        followed = followed_snapshot(registry, database.name, worker.name)
        with RowStore(worker.name, destination.admin[worker.name]) as store:
            for table in database.tables:
                changed = chunk_tables(registry, database.name, tables=[table.name], worker=worker.name, since=followed)
                if changed:
                    _reconcile_table(store, database.physical, table, changed)
            dropped += _drop_superseded(store, database.physical, grace_s=grace_s)
        note_followed(registry, database.name, worker.name, snapshot)
    return dropped


def _reconcile_table(store: RowStore, schema: str, table: Table, changed: Sequence[ChunkTable]) -> None:
    """Let the relations of some chunk tables of a table follow the registry."""
    wanted = _Wanted(table)
    for target in changed:
        wanted.add(target)
    held = {one.relation: one for one in store.held_relations(schema, wanted.stems)}
    store.swap_partitions(
        schema,
        table,
        attach=[(name, c) for name, c in wanted.attached.items() if name in held and not held[name].attached],
        detach=[name for name, one in held.items() if one.attached and name not in wanted.attached],
    )
    for relation in wanted.views:
        store.show_ref_table(schema, table, relation)
    store.supersede(schema, [relation for relation in held if relation not in wanted.kept])


def _drop_superseded(store: RowStore, schema: str, *, grace_s: float) -> int:
    ripe = [name for name, seconds in store.superseded_relations(schema) if grace_s <= 0 or seconds > grace_s]
    store.drop(schema, ripe)
    return len(ripe)


@dataclass(slots=True)
class _Wanted:
    """The relations that one shard is to have of a table."""

    table: Table
    stems: list[str] = field(default_factory=list)
    """Names of the relations without their generations."""

    kept: set[str] = field(default_factory=set)
    """Relations of served and pending generations."""

    attached: dict[str, ChunkId] = field(default_factory=dict)
    """Chunk tables to be partitions of their parent."""

    views: list[str] = field(default_factory=list)
    """The relation that the view of a ref table shows."""

    def add(self, target: ChunkTable) -> None:
        self.stems += [self.table.relation(target.chunk, overlap=overlap) for overlap in (False, True)]
        for kept in (target.served, target.pending):
            if kept is not None:
                for overlap in (False, True):
                    self.kept.add(self.table.relation(target.chunk, generation=kept, overlap=overlap))
        if target.served is not None:
            relation = self.table.relation(target.chunk, generation=target.served)
            if target.chunk is None:
                self.views.append(relation)
            else:
                self.attached[relation] = target.chunk
