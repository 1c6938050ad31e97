"""Parts, segments and snapshots: what is stored of a table's rows, what queries see of it, and who may still read it.

A part is in the snapshots from the one that published it until the one that retired it, and so is a segment, the
relation that holds its rows. For example, snapshot 1 has the segment ``star_0_0``; an append and a publish bring
``star_0_0_g2`` in snapshot 2; a compaction writes the rows of both into ``star_0_0_g3``, which snapshot 3 has in place
of the other two. They are dropped when no process reads snapshot 1 or 2 any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.part import Part, PartRole, Segment
from qserv_py.errors import TransactionStateError
from qserv_py.registry.connection import Registry
from qserv_py.registry.databases import no_database
from qserv_py.registry.queries import sweep_czars
from qserv_py.registry.statements import Connection, run, stream

Row = tuple[Any, ...]


def parts_of(
    registry: Registry,
    database: str,
    *,
    tables: Collection[str] | None = None,
    roles: Collection[PartRole] | None = None,
    chunks: Collection[ChunkId] | None = None,
    transaction_id: int | None = None,
    published: bool | None = None,
) -> tuple[Part, ...]:
    """Return the parts of a database that hold each committed row once, oldest first; every keyword narrows them.

    ``published=True`` keeps the parts of the published snapshot, False those that await publishing.
    """
    with registry.connection() as connection:
        rows = stream(
            connection,
            "parts",
            database=database,
            tables=None if tables is None else list(tables),
            roles=None if roles is None else [role.value for role in roles],
            firsts=None if chunks is None else [chunk.first for chunk in chunks],
            transaction_id=transaction_id,
            published=published,
        )
        found = tuple(part_of(row) for row in rows)
    if chunks is None:
        return found
    wanted = set(chunks)  # two chunks of different order may share their first cell
    return tuple(part for part in found if part.chunk in wanted)


def segments_of(
    registry: Registry,
    database: str,
    *,
    tables: Collection[str] | None = None,
    transaction_id: int | None = None,
    pending: bool | None = None,
    worker: str | None = None,
    since: int | None = None,
) -> tuple[Segment, ...]:
    """Return the segments of a database; every keyword narrows them.

    ``transaction_id`` keeps those that hold parts of the transaction, ``pending=True`` those of appended rows that wait
    to be published, False those that queries read now, ``worker`` those of one worker, ``since`` those of appended rows
    that came with a snapshot after that one.
    """
    with registry.connection() as connection:
        rows = stream(
            connection,
            "segments",
            database=database,
            tables=None if tables is None else list(tables),
            transaction_id=transaction_id,
            pending=pending,
            worker=worker,
            since=since,
        )
        return tuple(segment_of(row) for row in rows)


def parts_of_segments(registry: Registry, segments: Iterable[Segment]) -> Mapping[int, Sequence[Part]]:
    """Return the parts of some segments, by the segment's id, oldest first."""
    found: dict[int, list[Part]] = defaultdict(list)
    with registry.connection() as connection:
        for row in stream(connection, "segment_parts", segment_ids=[segment.segment_id for segment in segments]):
            found[row[0]].append(part_of(row[1:]))
    return found


def publish_snapshot(registry: Registry, database: str) -> int:
    """Make all LOADED parts visible, compactions among them; return the snapshot's number.

    The database's state becomes PUBLISHED. With nothing to publish the number of the present snapshot is returned.

    Raises
    ------
    TransactionStateError
        If a transaction of the database is COMMITTED and not LOADED: load it first.
    """
    with registry.transaction() as connection:
        database_id, present = _hold_database(registry, connection, database)
        unloaded = run(connection, "unloaded_transactions", database_id=database_id).fetchall()
        if unloaded:
            raise TransactionStateError(
                f'{len(unloaded)} super-transactions of database "{database}" are committed and not loaded, '
                f"the first is {unloaded[0][0]}",
                hint="Another ingest may be loading them; try again when it has ended.",
            )
        waiting = run(connection, "unpublished_parts", database_id=database_id).fetchone()
        if present is not None and waiting is not None and not waiting[0]:
            return int(present)
        number = (present or 0) + 1
        tables = _publish_parts(connection, database_id, number, compactions=False)
        run(connection, "publish_datasets", database_id=database_id, number=number)
        run(connection, "publish_images", database_id=database_id, number=number)
        _write_snapshot(connection, database_id, number, tables)
    return number


def publish_compactions(registry: Registry, database: str) -> int:
    """Let queries read compacted segments in place of those that they replace; rows that wait go on to wait.

    Returns
    -------
    number
        Of the snapshot that queries see now; the present one when nothing was compacted.
    """
    with registry.transaction() as connection:
        database_id, present = _hold_database(registry, connection, database)
        number = (present or 0) + 1
        tables = _publish_parts(connection, database_id, number, compactions=True)
        if not tables:
            return int(present or 0)
        _write_snapshot(connection, database_id, number, tables)
    return number


def count_served(registry: Registry, database: str) -> int:
    """Return how many chunk tables (and ref tables) of a database are served."""
    return int(registry.look_up("count_served", database=database)[0][0])


def followed_snapshot(registry: Registry, database: str, worker: str) -> int:
    """Return the last snapshot whose appended segments psql sees on a shard; 0 without one."""
    rows = registry.look_up("followed_snapshot", database=database, worker=worker)
    return int(rows[0][0]) if rows else 0


def note_followed(registry: Registry, database: str, worker: str, snapshot: int) -> None:
    """Write down that psql sees the appended segments of a snapshot on a shard."""
    with registry.connection() as connection:
        run(connection, "note_followed", database=database, worker=worker, number=snapshot)


def snapshots_read(registry: Registry, database: str) -> tuple[int, int]:
    """Return the oldest snapshot of a database that a process may read, and the present one; 0 when there is none."""
    sweep_czars(registry)
    rows = registry.look_up("snapshots_read", database=database)
    oldest, present = rows[0] if rows else (0, 0)
    return int(oldest or 0), int(present or 0)


def retired_segments(
    registry: Registry, database: str, *, number: int, worker: str | None = None
) -> tuple[Segment, ...]:
    """Return the segments that neither a snapshot nor a later one has; of one worker, or of all."""
    with registry.connection() as connection:
        rows = stream(connection, "retired_segments", database=database, number=number, worker=worker)
        return tuple(segment_of(row) for row in rows)


def crowded_segments(registry: Registry, database: str, *, few: int) -> tuple[Segment, ...]:
    """Return what queries read of the chunks and ref tables that have so many segments."""
    with registry.connection() as connection:
        return tuple(segment_of(row) for row in stream(connection, "crowded_segments", database=database, few=few))


def segments_in_place_of(registry: Registry, segments: Iterable[Segment], *, number: int) -> tuple[Segment, ...]:
    """Return what queries of a snapshot read of the chunks (or ref tables) of some segments; workers are not named."""
    ids = [segment.segment_id for segment in segments]
    return tuple(segment_of(row) for row in registry.look_up("segments_at", segment_ids=ids, number=number))


def retired_parts(registry: Registry, database: str, *, number: int) -> tuple[Part, ...]:
    """Return the parts that neither a snapshot nor a later one has, and that no ingest that runs may be reading."""
    with registry.connection() as connection:
        rows = stream(connection, "retired_parts", database=database, number=number)
        return tuple(part_of(row) for row in rows)


def forget_parts(registry: Registry, part_ids: Sequence[int]) -> None:
    """Forget retired parts whose files are gone, with the segments that held them."""
    with registry.transaction() as connection:
        run(connection, "forget_parts", part_ids=list(part_ids))
        run(connection, "forget_segments")


def _hold_database(registry: Registry, connection: Connection, database: str) -> tuple[int, int | None]:
    row = run(connection, "hold_database", name=database).fetchone()
    if row is None:
        raise no_database(database, [known.name for known in registry.databases()])
    return row[0], row[1]


def _publish_parts(connection: Connection, database_id: int, number: int, *, compactions: bool) -> list[int]:
    rows = run(connection, "publish_parts", database_id=database_id, number=number, compactions=compactions)
    return [row[0] for row in rows]


def _write_snapshot(connection: Connection, database_id: int, number: int, tables: Iterable[int]) -> None:
    for table_id in tables:
        run(connection, "write_table_snapshot", table_id=table_id)
    run(connection, "insert_snapshot", database_id=database_id, number=number)
    run(connection, "bump_database_version", database_id=database_id)


def part_of(row: Row) -> Part:
    """Return the part of a row of ``czar/parts``."""
    return Part(
        part_id=row[0],
        table=row[1],
        role=PartRole(row[2]),
        chunk=_chunk(row[3], row[4]),
        worker=row[5],
        path=row[6],
        rows=row[7],
        bytes=row[8],
        sha256=row[9],
        transaction_id=row[10],
        snapshot=row[11],
        farthest_pair_deg=row[12],
    )


def segment_of(row: Row) -> Segment:
    """Return the segment of a row of ``czar/segments``."""
    return Segment(
        segment_id=row[0],
        table=row[1],
        chunk=_chunk(row[2], row[3]),
        workers=tuple(row[4]),
        generation=row[5],
        since=row[6],
        retired=row[7],
        rows=row[8],
        has_overlap=row[9],
    )


def _chunk(order: int | None, pixel: int | None) -> ChunkId | None:
    return None if order is None or pixel is None else ChunkId(order, pixel)
