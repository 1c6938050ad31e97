"""Committed parts into row stores: everything a pending generation lacks is loaded, whoever committed it.

The registry says which generation of which chunk table is pending and which parts it is to hold; each shard knows what
it holds already. So this may be run again at any time, and is what finishes an ingest that was killed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Database
from qserv_py.catalog.part import ChunkTable, Part, PartRole
from qserv_py.ingest.destination import Destination
from qserv_py.registry.transactions import chunk_tables, parts_of
from qserv_py.workers.row_loading import load_all
from qserv_py.workers.row_store import Load, PartFile, RowStore

_OWN_ROLES = (PartRole.CHUNK, PartRole.REF)

PartsOf = dict[tuple[str, ChunkId | None], list[Part]]


def load_pending(
    destination: Destination,
    database: Database,
    *,
    transaction_id: int | None = None,
    loaded: Callable[[int], None] = lambda rows: None,
) -> int:
    """Load what pending generations lack; return the rows brought. The caller holds the ``database_lock``.

    Parameters
    ----------
    transaction_id
        Look only at chunk tables that this super-transaction has parts for.
    loaded
        Called after each load with its rows, from any thread.
    """
    pending = chunk_tables(destination.registry, database.name, transaction_id=transaction_id, pending=True)
    if not pending:
        return 0
    for worker in destination.workers:
        with RowStore(worker.name, destination.admin[worker.name]) as store:
            store.prepare(database)
    jobs = list(_jobs(destination, database, pending))
    return load_all(database.physical, jobs, conninfos=destination.admin, loaded=loaded)


def _jobs(destination: Destination, database: Database, pending: tuple[ChunkTable, ...]) -> Iterator[tuple[str, Load]]:
    parts = _parts(destination, database, pending)
    for target in pending:
        assert target.pending is not None
        found = parts[target.table, target.chunk]
        own = [part for part in found if part.role in _OWN_ROLES]
        overlap = [part for part in found if part.role is PartRole.OVERLAP]
        for worker in target.workers:
            for chosen, is_overlap in ((own, False), (overlap, True)):
                if chosen:
                    files = [
                        PartFile(part_id=part.part_id, path=destination.file_of(part, worker=worker)) for part in chosen
                    ]
                    yield (
                        worker,
                        Load(
                            table=database.table(target.table),
                            chunk=target.chunk,
                            generation=target.pending,
                            overlap=is_overlap,
                            parts=tuple(files),
                        ),
                    )


def _parts(destination: Destination, database: Database, pending: tuple[ChunkTable, ...]) -> PartsOf:
    """Return all parts that the chunk tables are to hold, and hardly any other."""
    found: PartsOf = defaultdict(list)
    chunks = {target.chunk for target in pending if target.chunk is not None}
    tables = {target.table for target in pending if target.chunk is not None}
    refs = {target.table for target in pending if target.chunk is None}
    registry, name = destination.registry, database.name
    if chunks:
        roles = (PartRole.CHUNK, PartRole.OVERLAP)
        for part in parts_of(registry, name, tables=tables, roles=roles, chunks=chunks):
            found[part.table, part.chunk].append(part)
    if refs:
        for part in parts_of(registry, name, tables=refs, roles=(PartRole.REF,)):
            found[part.table, None].append(part)
    return found
