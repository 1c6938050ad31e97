"""Reads the files of one table and stages its parts; director, child, match and ref tables each have their own way."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from qserv_py.catalog.dataset import Image
from qserv_py.catalog.model import HEALPIX_COLUMN, ChildTable, Database, DirectorTable, Table
from qserv_py.catalog.object_bytes import bytes_per_row, chunk_rows
from qserv_py.catalog.part import NewChunk, NewPart, Part, PartRole
from qserv_py.catalog.snapshot import IntArray
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.inputs import Input
from qserv_py.ingest.intake import ROW_COLUMN, InputFile, Intake, check_rejects
from qserv_py.ingest.places.chunk_growth import ChunkPlan, plan_chunks
from qserv_py.ingest.places.director_ids import IdSorter
from qserv_py.ingest.places.locators import (
    DirectorLocator,
    Locator,
    checked_key,
    following_locator,
    known_ids,
    ref_locator,
)
from qserv_py.ingest.places.orphans import orphan_keys, orphan_locator
from qserv_py.ingest.progress import RowCounter
from qserv_py.ingest.requests import IngestStage, InputOptions, ProgressListener
from qserv_py.ingest.spool import Spool
from qserv_py.ingest.staging import STAGING_THREADS, TARGET_COLUMN, Staging, in_parallel, without_rows
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.overlap import neighbours_of
from qserv_py.registry.listing import HeldBytes, table_counts, worker_bytes
from qserv_py.registry.snapshots import parts_of
from qserv_py.workers.parts import PartWriter, WrittenFile, read_part

_NO_ROWS: IntArray = np.empty(0, dtype=np.int64)
_ROWS_AT_ONCE = 1 << 19
_END_OF_ROWS = 1 << 62
"""Stands behind the last row in a sorted list: it is larger than any row number and any cell."""


@dataclass(frozen=True, kw_only=True)
class IngestJob:
    """One ingest, as its stages see it."""

    destination: Destination
    database: Database
    table: Table
    transaction_id: int
    inputs: tuple[Input, ...]
    sha256s: tuple[str | None, ...]
    """SHA-256 of each input's content; None where no file is recognised by its content."""

    images: tuple[Image, ...]
    """Images that the rows were measured on."""

    options: InputOptions
    max_rejects: int
    rejects_dir: Path
    budget: int
    """Bytes of rows in memory."""

    progress: ProgressListener

    @property
    def spool_dir(self) -> Path:
        """Directory in which the rows wait until they are written as parts."""
        return self.destination.spool_dir(self.transaction_id)


@dataclass(frozen=True, kw_only=True)
class Staged:
    """What is on disk and ready to be committed."""

    parts: tuple[NewPart, ...]
    new_chunks: tuple[NewChunk, ...]
    chunks: int
    """Chunks that got rows."""

    orphans: int = 0
    """Rows of a child table without a director's row."""


def read_files(job: IngestJob, spool: Spool, locator: Locator | None, files: list[InputFile]) -> Intake:
    """Read the job's files into the spool; ``files`` shows what came of them even when this fails."""
    counter = RowCounter(job.progress, IngestStage.READING, None)
    intake = Intake(
        job.table, options=job.options, accept=spool.add, locator=locator, progress=counter.tell, files=files
    )
    intake.read(job.inputs, rejects_dir=job.rejects_dir)
    spool.finish()
    return intake


def stage_director(job: IngestJob, table: DirectorTable, files: list[InputFile]) -> Staged:
    """Read and stage a director's rows; the caller holds the ``family_lock`` until it has committed."""
    destination, database = job.destination, job.database
    known = known_ids(destination, database, table)
    with ExitStack() as spools:
        texts = table.column(table.id).datatype.is_text
        ids = IdSorter(job.spool_dir / "ids", texts=texts, budget=job.budget // 6)
        spools.enter_context(closing(ids))
        spool = Spool(HEALPIX_COLUMN, job.spool_dir / "rows", budget=job.budget * 2 // 3)
        spools.enter_context(closing(spool))
        orphans = orphan_keys(destination, database, table)
        locator = DirectorLocator(table, known, ids, orphans=orphans, keep_known=job.options.keep_known)
        intake = read_files(job, spool, locator, files)
        ids.finish()
        dropped_rows, dropped_cells = _repeated_ids(ids) if table.unique else (_NO_ROWS, _NO_ROWS)
        _turn_away_repeated(job, intake, spool, table.id, dropped_rows, dropped_cells)
        check_rejects(files, max_rejects=job.max_rejects)

        plan = _plan_chunks(job, spool, dropped_cells)
        staging = _staging(job, plan.chunk_map, plan.workers)
        for piece in ids.pieces():
            staging.stage_index_run(table, piece.run(unique=table.unique))
        overlaps = {
            other.name: spools.enter_context(
                closing(Spool(TARGET_COLUMN, job.spool_dir / f"overlap-{other.physical}", budget=job.budget // 6))
            )
            for other in _directors(database)
        }
        chunks = _stage_rows(job, staging, spool, dropped=dropped_rows, overlap=overlaps[table.name])
        _stage_overlap(job, staging, plan, chunks, overlaps)
    return Staged(parts=tuple(staging.parts), new_chunks=plan.new_chunks, chunks=len(chunks))


def stage_following(job: IngestJob, files: list[InputFile]) -> Staged:
    """Read and stage the rows of a child or match table."""
    locator = following_locator(job.destination, job.database, job.table)
    with closing(Spool(HEALPIX_COLUMN, job.spool_dir / "rows", budget=job.budget)) as spool:
        read_files(job, spool, locator, files)
        check_rejects(files, max_rejects=job.max_rejects)
        # Read after the director index: every cell in that has its chunk by now.
        state = job.destination.registry.family(job.database.family.name).state
        staging = _staging(
            job,
            ChunkMap.of_state(state),
            state.holders(),
            farthest_pair_deg=locator.farthest_pair_deg,
        )
        chunks = _stage_rows(job, staging, spool, dropped=_NO_ROWS, overlap=None)
    return Staged(parts=tuple(staging.parts), new_chunks=(), chunks=len(chunks))


def stage_child_with_orphans(job: IngestJob, table: ChildTable, files: list[InputFile]) -> Staged:
    """Read and stage the rows of a child table that has orphans; the caller holds the ``family_lock``.

    Chunks are added where orphans are and no chunk is. The overlap of such a chunk comes with the first director's
    rows in it.
    """
    locator = orphan_locator(job.destination, job.database, table)
    with closing(Spool(HEALPIX_COLUMN, job.spool_dir / "rows", budget=job.budget)) as spool:
        read_files(job, spool, locator, files)
        check_rejects(files, max_rejects=job.max_rejects)
        plan = _plan_chunks(job, spool, _NO_ROWS)
        staging = _staging(job, plan.chunk_map, plan.workers)
        for run in locator.gathered.runs():
            staging.stage_index_run(table, run)
        chunks = _stage_rows(job, staging, spool, dropped=_NO_ROWS, overlap=None)
    parts = tuple(staging.parts)
    return Staged(parts=parts, new_chunks=plan.new_chunks, chunks=len(chunks), orphans=locator.orphans)


def _plan_chunks(job: IngestJob, spool: Spool, dropped_cells: IntArray) -> ChunkPlan:
    destination, database, family = job.destination, job.database, job.database.family
    counts = table_counts(destination.registry, database.name)
    held = {one.worker: one for one in worker_bytes(destination.registry, family.name)}
    return plan_chunks(
        destination.registry.family(family.name).state,
        [held.get(worker.name, HeldBytes(worker=worker.name)) for worker in destination.workers],
        spool.run_keys(),
        dropped_cells,
        family=family,
        target_rows=chunk_rows(database, job.table, counts),
        bytes_per_row=bytes_per_row(database, job.table, counts),
    )


def stage_ref(job: IngestJob, files: list[InputFile]) -> Staged:
    """Read and stage the rows of a ref table, in the order of the files."""
    key = checked_key(job.table)
    with ExitStack() as spools:
        spool = Spool(ROW_COLUMN, job.spool_dir / "rows", budget=job.budget * 2 // 3)
        spools.enter_context(closing(spool))
        locator, dropped = None, _NO_ROWS
        if key:
            texts = len(key) > 1 or job.table.column(key[0]).datatype.is_text
            keys = IdSorter(job.spool_dir / "keys", texts=texts, budget=job.budget // 3)
            spools.enter_context(closing(keys))
            keep_known = job.options.keep_known
            locator = ref_locator(job.destination, job.database, job.table, key, keys, keep_known=keep_known)
        intake = read_files(job, spool, locator, files)
        if key:
            keys.finish()
            dropped, _ = _repeated_ids(keys)
            _turn_away_repeated(job, intake, spool, ", ".join(key), dropped, dropped)
        check_rejects(files, max_rejects=job.max_rejects)
        staging = _staging(job, ChunkMap.empty(), [])
        if spool.rows > len(dropped):
            _stage_ref_rows(job, staging, spool, dropped)
    return Staged(parts=tuple(staging.parts), new_chunks=(), chunks=0)


def _stage_ref_rows(job: IngestJob, staging: Staging, spool: Spool, dropped: IntArray) -> None:
    counter = RowCounter(job.progress, IngestStage.STAGING, spool.rows)

    def write(path: Path) -> WrittenFile:
        with PartWriter(path, job.table, sync=job.destination.sync) as writer:
            for low, high in pairwise(spool.split_points(0, _END_OF_ROWS, rows=_ROWS_AT_ONCE)):
                rows = spool.between(low, high)
                if rows is not None:
                    writer.write(without_rows(rows, dropped).drop_columns([ROW_COLUMN]))
                    counter.add(rows.num_rows)
        assert writer.written is not None
        return writer.written

    staging.stage_ref(job.table, write)


def _staging(
    job: IngestJob, chunk_map: ChunkMap, workers: Sequence[str], *, farthest_pair_deg: float | None = None
) -> Staging:
    return Staging(
        job.destination,
        job.database,
        transaction_id=job.transaction_id,
        chunk_map=chunk_map,
        workers=workers,
        farthest_pair_deg=farthest_pair_deg,
    )


def _stage_rows(
    job: IngestJob, staging: Staging, spool: Spool, *, dropped: IntArray, overlap: Spool | None
) -> IntArray:
    counter = RowCounter(job.progress, IngestStage.STAGING, spool.rows)
    return staging.stage_chunks(job.table, spool, dropped=dropped, overlap=overlap, staged=counter.add)


def _directors(database: Database) -> list[DirectorTable]:
    return [table for table in database.tables if isinstance(table, DirectorTable)]


def _repeated_ids(ids: IdSorter) -> tuple[IntArray, IntArray]:
    """Return rows whose id another row of these files has already, ascending, and their cells."""
    rows, cells = [_NO_ROWS], [_NO_ROWS]
    for piece in ids.pieces():
        again = piece.repeated()
        if again.any():
            rows.append(piece.rows[again])
            cells.append(piece.cells[again])
    all_rows, all_cells = np.concatenate(rows), np.concatenate(cells)
    order = np.argsort(all_rows)
    return all_rows[order], all_cells[order]


def _turn_away_repeated(
    job: IngestJob, intake: Intake, spool: Spool, key: str, rows: IntArray, places: IntArray
) -> None:
    """Pass over the rows of repeated ids, or write them to the reject files; they are read back from the spool.

    Parameters
    ----------
    key
        Column of the ids.
    rows, places
        The rows' numbers, and their keys in the spool.
    """
    if job.options.keep_known:
        intake.pass_over(rows)
        return
    if not len(rows):
        return
    for low, high in pairwise(spool.split_points(0, _END_OF_ROWS, rows=_ROWS_AT_ONCE)):
        here = rows[(places >= low) & (places < high)]
        found = spool.between(low, high) if len(here) else None
        if found is None:
            continue
        chosen = np.isin(found.column(ROW_COLUMN).to_numpy(), here)
        again = found.filter(pa.array(chosen)).sort_by(ROW_COLUMN)
        intake.reject(again, key, "another row of these files has this id")


def _stage_overlap(
    job: IngestJob, staging: Staging, plan: ChunkPlan, chunks: IntArray, overlaps: dict[str, Spool]
) -> None:
    """Add rows that were there before to the gathered overlap, and write it all; ``chunks`` got rows."""
    targets = _chunks_without_overlap(job, plan, chunks)
    _gather_old_overlap(job, staging, plan.chunk_map, targets, overlaps)
    beside = _beside(job, plan.chunk_map, targets)
    for name, overlap in overlaps.items():
        overlap.finish()

        def copies(target: int, table: str = name) -> list[pa.Table]:
            return [read_part(job.destination.file_of(part)) for part in beside.get((table, target), ())]

        staging.stage_overlap(job.database.table(name), overlap, beside=copies)


def _chunks_without_overlap(job: IngestJob, plan: ChunkPlan, chunks: IntArray) -> IntArray:
    """Return the chunks that the database had no row in: its rows from before the chunk was there are not beside it.

    They are the new ones, and those that another database of the family brought.
    """
    known = np.setdiff1d(chunks, plan.new_indices)
    ids = {plan.chunk_map.chunk(int(index)): int(index) for index in known}
    names = [table.name for table in _directors(job.database)]
    parts = parts_of(job.destination.registry, job.database.name, tables=names, roles=[PartRole.CHUNK], chunks=ids)
    had_rows = [ids[part.chunk] for part in parts if part.chunk is not None]
    return np.union1d(plan.new_indices, np.setdiff1d(known, np.array(had_rows, dtype=np.int64)))


def _gather_old_overlap(
    job: IngestJob, staging: Staging, chunk_map: ChunkMap, targets: IntArray, overlaps: dict[str, Spool]
) -> None:
    """Gather rows that are in the database already and come near to some chunks."""
    near = neighbours_of(chunk_map, targets, overlap_arcsec=job.database.family.overlap_arcsec)
    chunks = [chunk_map.chunk(int(index)) for index in near]
    if not chunks:
        return
    names = [table.name for table in _directors(job.database)]
    parts = parts_of(job.destination.registry, job.database.name, tables=names, roles=[PartRole.CHUNK], chunks=chunks)

    def gather(part: Part) -> None:
        table = job.database.table(part.table)
        assert isinstance(table, DirectorTable)
        rows = read_part(job.destination.file_of(part))
        staging.add_overlap_rows(table, rows, overlaps[table.name], targets=targets)

    in_parallel(gather, parts, threads=STAGING_THREADS)


def _beside(job: IngestJob, chunk_map: ChunkMap, targets: IntArray) -> dict[tuple[str, int], list[Part]]:
    """Return the parts of rows that stand beside chunks (of ``targets``) already, by table and chunk.

    Some of the rows that come near may stand there, and others not: those from before there was such a chunk. Which is
    told by the rows themselves, as a compaction brings rows of both kinds into one part.
    """
    ids = {chunk_map.chunk(int(index)): int(index) for index in targets}
    names = [table.name for table in _directors(job.database)]
    parts = parts_of(job.destination.registry, job.database.name, tables=names, roles=[PartRole.OVERLAP], chunks=ids)
    found: dict[tuple[str, int], list[Part]] = {}
    for part in parts:
        assert part.chunk is not None
        found.setdefault((part.table, ids[part.chunk]), []).append(part)
    return found
