"""Publishing: make loaded rows visible.

Queries see the new snapshot after one transaction of the registry. What follows (``upkeep``) serves psql and frees
space; queries name chunk tables directly and need none of it, so it may be late, and it never fails a publishing.
Segments are compacted by a service. Where none runs, publishing does so for chunks that have many.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from qserv_py.errors import QservError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.loading import load_pending
from qserv_py.ingest.recovery import recover
from qserv_py.ingest.storage.compaction import compact_database, merge_index_runs
from qserv_py.ingest.storage.upkeep import Upkeep, keep_up
from qserv_py.registry.snapshots import count_served, publish_snapshot
from qserv_py.registry.transactions import database_lock

MANY = 16
"""Segments of a chunk at which publishing compacts it; a service does so long before."""

log = logging.getLogger("qserv.publishing")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSummary:
    """What publishing a database did."""

    database: str
    snapshot: int
    chunk_tables: int
    """Chunk tables (and ref tables) that are served now."""

    upkeep: Upkeep
    """What followed on the shards."""

    seconds: float


def publish_database(destination: Destination, database: str) -> PublishSummary:
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
    merge_index_runs(destination, found)
    with database_lock(destination.registry, found.name):
        load_pending(destination, found)
        snapshot = publish_snapshot(destination.registry, found.name)
    upkeep = keep_up(destination, found)
    _compact_where_many(destination, found.name)
    return PublishSummary(
        database=found.name,
        snapshot=snapshot,
        chunk_tables=count_served(destination.registry, found.name),
        upkeep=upkeep,
        seconds=time.monotonic() - started,
    )


def _compact_where_many(destination: Destination, database: str) -> None:
    """Compact chunks that have many segments; what is in the way (a full disk, a damaged part) fails no publishing."""
    try:
        compact_database(destination, database, few=MANY)
    except (QservError, OSError) as error:
        log.warning("segments are compacted later: %s", error)
