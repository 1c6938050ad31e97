"""Compaction: segments that appends have left are written as one, and so are runs of director indexes.

It is a super-transaction like an ingest, whose parts hold rows again that are published already, so that a kill at any
moment loses and doubles nothing: until its snapshot is published queries read the old segments, from then on the new
one. One process at a time compacts a database; a full disk ends it, and the next call begins anew.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import pyarrow as pa

from qserv_py.catalog.model import HEALPIX_COLUMN, Database, Table
from qserv_py.catalog.part import NewPart, Part, PartRole, Segment
from qserv_py.errors import QservError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.recovery import (
    break_off_compaction,
    finish_transaction,
    process_context,
    recover,
    remove_staged,
)
from qserv_py.ingest.staging import copy_file, file_prefix
from qserv_py.ingest.storage.tiers import FEW, merged_tail
from qserv_py.ingest.storage.upkeep import keep_up
from qserv_py.partitioner.director_index import IndexRun
from qserv_py.registry.snapshots import crowded_segments, parts_of, parts_of_segments, publish_compactions
from qserv_py.registry.transactions import abort_transaction, begin_transaction, commit_transaction
from qserv_py.workers.index_files import index_path, open_index_run, write_index_run
from qserv_py.workers.parts import WrittenFile, part_path, read_part, verify_file, write_part
from qserv_py.workers.row_store import RowStore

MOST_ROWS = 2_000_000
"""Rows that a compacted segment may have: they are in memory while it is written."""

MOST_INDEX_ROWS = 50_000_000
"""Entries that a merged run of an index may have, 16 bytes each in memory."""

ROWS_AT_ONCE = 5_000_000
"""Rows of the segments of one super-transaction, about; what it frees is dropped before the next one begins."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionSummary:
    """What compacting a database did."""

    database: str
    segments: int
    """Segments that were written."""

    replaced: int
    """Segments that they take the place of."""

    rows: int
    """Rows that were written again, overlap among them."""

    is_busy: bool = False
    """Whether another process compacts the database, so nothing was done."""


def compact_database(
    destination: Destination,
    database: str,
    *,
    few: int = FEW,
    compacted: Callable[[int], None] = lambda rows: None,
    closing: threading.Event | None = None,
) -> CompactionSummary:
    """Write the segments of chunks that have several as one, where `merged_tail` says so; queries see no difference.

    Parameters
    ----------
    few
        Chunks that have fewer segments are left as they are.
    compacted
        Called after each super-transaction with the rows that it wrote.
    closing
        Ends it before the next super-transaction when set.

    Raises
    ------
    NotFoundError
        If there is no such database.
    WorkerError
        If a part is damaged or a shard refuses rows; what is done stays done.
    """
    registry = destination.registry
    found = registry.database(database)
    segments = replaced = rows = 0
    with registry.lock_if_free(f"qserv compaction of {found.name}") as is_ours:
        if not is_ours:
            return CompactionSummary(database=found.name, segments=0, replaced=0, rows=0, is_busy=True)
        recover(destination, database=found.name)
        publish_compactions(registry, found.name)
        for tails in _at_once(_tails(crowded_segments(registry, found.name, few=few))):
            written = _compact(destination, found, tails)
            publish_compactions(registry, found.name)
            keep_up(destination, found)
            segments, replaced, rows = segments + len(tails), replaced + sum(map(len, tails)), rows + written
            compacted(written)
            if closing is not None and closing.is_set():
                break
    if segments:
        for worker in destination.workers:
            with RowStore(worker.name, destination.admin[worker.name]) as store:
                store.free_log()
    return CompactionSummary(database=found.name, segments=segments, replaced=replaced, rows=rows)


def merge_index_runs(destination: Destination, database: Database) -> int:
    """Merge runs of director indexes that ingests have left; return how many were replaced.

    The merged runs are read from the next publishing on.
    """
    registry = destination.registry
    with registry.lock_if_free(f"qserv compaction of {database.name}") as is_ours:
        if not is_ours:
            return 0
        publish_compactions(registry, database.name)  # of a process that was killed before
        runs: dict[str, list[Part]] = defaultdict(list)
        for part in parts_of(registry, database.name, roles=[PartRole.INDEX], published=True):
            runs[part.table].append(part)
        tails = [_last(held, merged_tail([run.rows for run in held], most=MOST_INDEX_ROWS)) for held in runs.values()]
        tails = [tail for tail in tails if tail]
        if tails:
            with _Compaction(destination, database) as compaction:
                for tail in tails:
                    compaction.merge_runs(tail)
                compaction.commit()
    return sum(map(len, tails))


def _tails(crowded: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Yield the segments of each place that are to become one."""
    for _, held in itertools.groupby(crowded, key=lambda segment: (segment.table, segment.chunk)):
        segments = list(held)
        tail = _last(segments, merged_tail([segment.rows for segment in segments], most=MOST_ROWS))
        if tail:
            yield tail


def _last(items: Sequence[Item], count: int) -> list[Item]:
    return list(items[len(items) - count :])


def _at_once(tails: Iterable[list[Segment]]) -> Iterator[list[list[Segment]]]:
    """Yield what one super-transaction compacts."""
    some: list[list[Segment]] = []
    rows = 0
    for tail in tails:
        some.append(tail)
        rows += sum(segment.rows for segment in tail)
        if rows >= ROWS_AT_ONCE:
            yield some
            some, rows = [], 0
    if some:
        yield some


def _compact(destination: Destination, database: Database, tails: Sequence[Sequence[Segment]]) -> int:
    """Write segments anew, load them, and return the rows written; they are published by the caller."""
    parts = parts_of_segments(destination.registry, itertools.chain.from_iterable(tails))
    with _Compaction(destination, database) as compaction:
        for tail in tails:
            compaction.merge_parts([part for segment in tail for part in parts[segment.segment_id]])
        compaction.commit()
    return compaction.rows


class _Compaction:
    """One super-transaction that writes parts anew; leaving it without a commit leaves nothing."""

    def __init__(self, destination: Destination, database: Database) -> None:
        self._destination = destination
        self._database = database
        self._id = begin_transaction(destination.registry, database.name, context=process_context(), compacts=True)
        self._numbers = itertools.count(1)
        self._parts: list[NewPart] = []
        self._replaced: list[int] = []
        self._is_committed = self._is_loaded = False
        self.rows = 0

    def __enter__(self) -> _Compaction:
        return self

    def __exit__(self, *_: object) -> None:
        reason = "the compaction was broken off"
        with suppress(QservError):  # the registry may be what failed; the next ingest recovers
            if not self._is_committed:
                abort_transaction(self._destination.registry, self._id, reason=reason)
                remove_staged(self._destination, self._database, self._id)
            elif not self._is_loaded:
                break_off_compaction(self._destination, self._database, self._id, reason=reason)

    def merge_parts(self, parts: Sequence[Part]) -> None:
        """Write the rows of parts of one chunk (or ref table) as one part, those of its overlap as another."""
        for is_overlap in (False, True):
            some = [part for part in parts if (part.role is PartRole.OVERLAP) == is_overlap]
            if some:
                self._merge(some)

    def merge_runs(self, runs: Sequence[Part]) -> None:
        """Write runs of an index as one."""
        table = self._database.table(runs[0].table)
        opened = [open_index_run(self._checked(run)) for run in runs]
        ids = np.concatenate([run.ids for run in opened])
        cells = np.concatenate([run.cells for run in opened])
        order = np.argsort(ids, kind="stable")
        path = index_path(self._database.physical, table.physical, name=self._name())
        run = IndexRun(ids[order], cells[order])
        written = write_index_run(self._destination.czar_dir / path, run, sync=self._destination.sync)
        self._add(runs, str(path), written)

    def commit(self) -> None:
        """Commit and load what was written; it waits to be published."""
        commit_transaction(self._destination.registry, self._id, parts=self._parts, replaced=self._replaced)
        self._is_committed = True
        finish_transaction(self._destination, self._database, self._id)
        self._is_loaded = True

    def _merge(self, parts: Sequence[Part]) -> None:
        first = parts[0]
        table = self._database.table(first.table)
        rows = pa.concat_tables([read_part(self._checked(part)) for part in parts]).combine_chunks()
        if table.is_partitioned:
            cells = rows.column(HEALPIX_COLUMN).to_numpy()
            rows = rows.take(pa.array(np.argsort(cells, kind="stable")))
        path = part_path(self._database.physical, table.physical, role=first.role, chunk=first.chunk, name=self._name())
        self._add(parts, str(path), self._written(table, first, path, rows))

    def _written(self, table: Table, like: Part, path: PurePosixPath, rows: pa.Table) -> WrittenFile:
        holders = [like.worker] if like.worker is not None else [one.name for one in self._destination.workers]
        file, *others = [self._destination.parts_dir(worker) / path for worker in holders]
        written = write_part(file, rows, table, sync=self._destination.sync)
        for other in others:
            copy_file(file, other, sync=self._destination.sync)
        return written

    def _checked(self, part: Part) -> Path:
        """Return the file of a part, after comparing it with its checksum: damage must not be written anew as truth."""
        path = self._destination.file_of(part)
        verify_file(path, sha256=part.sha256, bytes=part.bytes)
        return path

    def _add(self, parts: Sequence[Part], path: str, written: WrittenFile) -> None:
        first = parts[0]
        pairs = [part.farthest_pair_deg for part in parts]
        self._parts.append(
            NewPart(
                table=first.table,
                role=first.role,
                chunk=first.chunk,
                worker=first.worker,
                path=path,
                rows=written.rows,
                bytes=written.bytes,
                sha256=written.sha256,
                farthest_pair_deg=None if None in pairs else max(pair for pair in pairs if pair is not None),
            )
        )
        self._replaced += [part.part_id for part in parts]
        self.rows += written.rows

    def _name(self) -> str:
        return f"{file_prefix(self._id)}{next(self._numbers)}"
