"""Committed parts into row stores: everything that the segments which wait lack is loaded, whoever committed it.

The registry says which segments wait to be published and which parts they are to hold; each shard knows what it holds
already. So this may be run again at any time, and is what finishes an ingest that was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qserv_py.catalog.model import Database
from qserv_py.catalog.part import PartRole, Segment
from qserv_py.ingest.destination import Destination
from qserv_py.registry.snapshots import parts_of_segments, segments_of
from qserv_py.workers.row_loading import load_all
from qserv_py.workers.row_store import Load, PartFile, RowStore


def load_pending(
    destination: Destination,
    database: Database,
    *,
    transaction_id: int | None = None,
    loaded: Callable[[int], None] = lambda rows: None,
) -> int:
    """Load what segments lack that wait; return the rows brought. The caller holds the ``database_lock``.

    Parameters
    ----------
    transaction_id
        Look only at segments that this super-transaction has parts for; needed for those of a compaction.
    loaded
        Called after each load with its rows, from any thread.
    """
    registry, name = destination.registry, database.name
    if transaction_id is None:
        waiting = segments_of(registry, name, pending=True)
    else:
        waiting = segments_of(registry, name, transaction_id=transaction_id)
    if not waiting:
        return 0
    for worker in destination.workers:
        with RowStore(worker.name, destination.admin[worker.name]) as store:
            store.prepare(database)
    jobs = list(_jobs(destination, database, waiting))
    return load_all(database.physical, jobs, conninfos=destination.admin, loaded=loaded)


def _jobs(destination: Destination, database: Database, waiting: tuple[Segment, ...]) -> Iterator[tuple[str, Load]]:
    parts = parts_of_segments(destination.registry, waiting)
    for segment in waiting:
        held = parts[segment.segment_id]
        for is_overlap in (False, True):
            chosen = [part for part in held if (part.role is PartRole.OVERLAP) == is_overlap]
            for worker in segment.workers if chosen else ():
                files = [
                    PartFile(part_id=part.part_id, path=destination.file_of(part, worker=worker)) for part in chosen
                ]
                load = Load(
                    table=database.table(segment.table),
                    chunk=segment.chunk,
                    generation=segment.generation,
                    overlap=is_overlap,
                    parts=tuple(files),
                )
                yield worker, load
