"""What follows a publishing on the shards: psql sees what queries see, and what nobody reads any more is dropped.

Both may be late: queries name the relations that they read, and the registry says who reads which snapshot. So it is
done by whoever comes by (publishing, a service every half minute, ``qserv cluster start``), it is no error when
something is in the way, and what an interrupted call left undone is done by the next one.

For example, snapshot 3 has the segment ``star_0_0_g3`` in place of ``star_0_0`` and ``star_0_0_g2``. As long as a
query that began with snapshot 2 runs, all three are there, and the parent ``star`` shows the first two. When it has
ended, one PostgreSQL transaction drops these two and shows the third, so psql counts each row once at any time.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Database, Table
from qserv_py.catalog.part import Part, PartRole, Segment
from qserv_py.errors import WorkerError
from qserv_py.ingest.destination import Destination
from qserv_py.registry.snapshots import (
    followed_snapshot,
    forget_parts,
    note_followed,
    retired_parts,
    retired_segments,
    segments_in_place_of,
    segments_of,
    snapshots_read,
)
from qserv_py.workers.row_store import RowStore

CHUNKS_AT_ONCE = 50
"""Chunks of a table whose relations change in one PostgreSQL transaction of a shard."""

RELATIONS_AT_ONCE = 500
"""Relations that a parent begins to show in one PostgreSQL transaction of a shard."""

PARTS_AT_ONCE = 1000
"""Parts whose files are removed before the registry forgets them."""

Item = TypeVar("Item")

log = logging.getLogger("qserv.upkeep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """What was done, and where something was in the way."""

    dropped: int = 0
    """Segments that were dropped, on all workers."""

    behind: tuple[str, ...] = ()
    """Workers on which psql sees an older state, or space was not freed; a later call looks again."""


def keep_up(destination: Destination, database: Database) -> Upkeep:
    """Let the shards follow what queries see, and drop what nobody reads.

    Parameters
    ----------
    destination
        The cluster.
    database
        The database.
    """
    registry = destination.registry
    with registry.lock(f"qserv upkeep of {database.name}"):
        oldest, present = snapshots_read(registry, database.name)
        retired = retired_segments(registry, database.name, number=oldest)
        in_place = segments_in_place_of(registry, retired, number=oldest)
        work = _Work(destination, database, present, _by_place(retired), _by_place(in_place))
        names = [worker.name for worker in destination.workers]
        with ThreadPoolExecutor(max(1, len(names)), thread_name_prefix="upkeep") as pool:
            left = dict(zip(names, pool.map(work.on, names), strict=True))
        _remove_files(destination, database, oldest, kept=_Kept(left))
    kept = set().union(*(places for places in left.values() if places))
    dropped = 0 if None in left.values() else sum(_place(one) not in kept for one in retired)
    return Upkeep(dropped=dropped, behind=tuple(name for name in names if left[name] is None or left[name]))


Place = tuple[str, ChunkId | None]
"""A table and a chunk of it; None for a ref table."""


def _place(segment: Segment) -> Place:
    return segment.table, segment.chunk


def _by_place(segments: Iterable[Segment]) -> dict[Place, list[Segment]]:
    found: dict[Place, list[Segment]] = defaultdict(list)
    for segment in segments:
        found[_place(segment)].append(segment)
    return found


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done on the shards."""

    destination: Destination
    database: Database
    present: int
    """Number of the snapshot that queries see."""

    retired: dict[Place, list[Segment]]
    """Segments that nobody reads any more."""

    in_place: dict[Place, list[Segment]]
    """What the oldest queries read in their places: later ones are shown in place of it when these retire, too."""

    def on(self, worker: str) -> set[Place] | None:
        """Do it on one shard; return the places that are left for later, None when all is."""
        followed = followed_snapshot(self.destination.registry, self.database.name, worker)
        places = list(self._places(worker))
        if followed >= self.present and not places:
            return set()
        try:
            with RowStore(worker, self.destination.admin[worker]) as store:
                store.prepare(self.database)
                store.convert_parents(self.database)
                if followed < self.present:
                    self._show_appended(store, worker, followed)
                return {place for some in places for place in self._replace(store, some)}
        except WorkerError as error:
            log.info("what was published is to follow on a shard later: %s", error.message)
            return None

    def _show_appended(self, store: RowStore, worker: str, followed: int) -> None:
        """Let psql see what has been appended since the snapshot that the shard followed last."""
        registry, schema = self.destination.registry, self.database.physical
        if not followed:
            self._drop_strangers(store)
        tables: dict[str, list[Segment]] = defaultdict(list)
        for segment in segments_of(registry, self.database.name, worker=worker, since=followed, pending=False):
            tables[segment.table].append(segment)
        for name, segments in tables.items():
            table = self.database.table(name)
            if table.is_partitioned:
                for some in _batches(_relations(table, segments), RELATIONS_AT_ONCE):
                    store.show(schema, table, some)
            else:
                store.show_ref_table(schema, table, _relations(table, self._of_ref(name)))
        note_followed(registry, self.database.name, worker, self.present)

    def _of_ref(self, table: str) -> Sequence[Segment]:
        return segments_of(self.destination.registry, self.database.name, tables=[table], pending=False)

    def _drop_strangers(self, store: RowStore) -> None:
        """Drop relations that no segment names: an earlier version left them for queries that ended with it."""
        registry, schema = self.destination.registry, self.database.physical
        named = {
            relation
            for segment in segments_of(registry, self.database.name)
            for overlap in (False, True)
            for relation in _relations(self.database.table(segment.table), [segment], overlap=overlap)
        }
        strangers = [held.relation for held in store.held_relations(schema) if held.relation not in named]
        for some in _batches(strangers, RELATIONS_AT_ONCE):
            store.show(schema, self.database.tables[0], (), drop=some)

    def _places(self, worker: str) -> Iterator[list[Place]]:
        """Yield the places of the worker where something is retired, some at once, all of one table."""
        tables: dict[str, list[Place]] = defaultdict(list)
        for place, segments in self.retired.items():
            if worker in segments[0].workers:
                tables[place[0]].append(place)
        for places in tables.values():
            yield from _batches(places, CHUNKS_AT_ONCE)

    def _replace(self, store: RowStore, places: Sequence[Place]) -> Sequence[Place]:
        """Drop what is retired and show what queries read in its place; return the places if that must wait."""
        schema, table = self.database.physical, self.database.table(places[0][0])
        gone = [segment for place in places for segment in self.retired[place]]
        shown = [segment for place in places for segment in self.in_place.get(place, ())]
        drop = [*_relations(table, gone), *_relations(table, gone, overlap=True)]
        try:
            if table.is_partitioned:
                store.show(schema, table, _relations(table, shown), drop=drop)
            else:
                store.show_ref_table(schema, table, _relations(table, shown), drop=drop)
        except WorkerError as error:
            log.info("retired relations are dropped later: %s", error.message)
            return places
        return ()


def _relations(table: Table, segments: Iterable[Segment], *, overlap: bool = False) -> list[str]:
    return [table.relation(one.chunk, generation=one.generation, overlap=overlap) for one in segments]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Places whose relations are still there, by worker; None for a worker that was not reached."""

    left: dict[str, set[Place] | None]

    def has(self, part: Part) -> bool:
        """Whether a relation that holds a part is still there."""
        if part.role is PartRole.INDEX:
            return False
        workers = self.left if part.worker is None else [part.worker]
        places = [self.left.get(worker) for worker in workers]
        return any(found is None or (part.table, part.chunk) in found for found in places)


def _remove_files(destination: Destination, database: Database, number: int, *, kept: _Kept) -> None:
    """Remove the files of retired parts, then forget the parts."""
    parts = [part for part in retired_parts(destination.registry, database.name, number=number) if not kept.has(part)]
    for some in _batches(parts, PARTS_AT_ONCE):
        for part in some:
            for worker in [part.worker] if part.role is not PartRole.REF else [w.name for w in destination.workers]:
                with suppress(FileNotFoundError):
                    destination.file_of(part, worker=worker).unlink()
        forget_parts(destination.registry, [part.part_id for part in some])


def _batches(items: Collection[Item], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
