"""Writes spooled rows as parts: one or more for each chunk, those of its overlap, and runs of the director index.

Files get their final names at once; each carries the number of its super-transaction, so what an unfinished one left
behind can be told and removed. Nobody reads a file that the registry does not name.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import HEALPIX_COLUMN, Database, DirectorTable, Table
from qserv_py.catalog.part import NewPart, PartRole
from qserv_py.catalog.snapshot import IntArray
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.intake import ROW_COLUMN
from qserv_py.ingest.spool import Spool
from qserv_py.ingest.values.positions import coordinates
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.director_index import IndexRun
from qserv_py.partitioner.overlap import overlap_pairs
from qserv_py.workers.index_files import index_path, write_index_run
from qserv_py.workers.parts import WrittenFile, make_directories, part_path, sync_directory, write_part

STAGING_THREADS = 2
"""Threads that cut, compress and write parts; each holds a part's rows in memory."""

BYTES_IN_PART = 256 << 20
"""About the size of the rows of a part in memory; a chunk with more gets several parts."""

TARGET_COLUMN = "qserv_target"
"""Index of the chunk that a spooled overlap row goes beside."""

Job = TypeVar("Job")


class Staging:
    """Writes the parts of one super-transaction.

    Parameters
    ----------
    chunk_map
        The family's map, with the chunks that this transaction adds.
    workers
        Name of the worker of each chunk of the map.
    farthest_pair_deg
        How far apart the pairs of a match table are at the most; None for other tables.
    """

    def __init__(
        self,
        destination: Destination,
        database: Database,
        *,
        transaction_id: int,
        chunk_map: ChunkMap,
        workers: Sequence[str],
        farthest_pair_deg: float | None = None,
    ) -> None:
        self._destination = destination
        self._database = database
        self._transaction_id = transaction_id
        self.chunk_map = chunk_map
        self._workers = workers
        self._farthest_pair_deg = farthest_pair_deg
        self._numbers = itertools.count(1)
        self._adding = threading.Lock()
        self.parts: list[NewPart] = []

    def stage_chunks(
        self,
        table: Table,
        spool: Spool,
        *,
        dropped: IntArray,
        overlap: Spool | None = None,
        staged: Callable[[int], None] = lambda rows: None,
    ) -> IntArray:
        """Write the chunk parts of a table; return the indices of the chunks that got rows.

        Parameters
        ----------
        dropped
            Row numbers (``qserv_row``) to leave out, ascending.
        overlap
            Spool that takes the overlap rows of a director.
        staged
            Called with the number of rows of each part, from any thread.
        """
        counts = np.zeros(len(self.chunk_map), dtype=np.int64)
        for keys in spool.run_keys():
            counts += np.diff(np.searchsorted(keys, np.stack((self.chunk_map.firsts, self.chunk_map.ends))), axis=0)[0]
        occupied = np.flatnonzero(counts)
        got_rows = np.zeros(len(self.chunk_map), dtype=np.bool_)

        def stage(index: int) -> None:
            for rows in self._pieces(spool, index, rows_in_part=self._rows_in_part(spool)):
                kept = without_rows(rows, dropped)
                if kept.num_rows:
                    got_rows[index] = True
                    self._stage_piece(table, index, kept.drop_columns([ROW_COLUMN]), overlap)
                staged(rows.num_rows)

        in_parallel(stage, occupied.tolist(), threads=STAGING_THREADS)
        return np.flatnonzero(got_rows)

    def stage_overlap(
        self, table: Table, spool: Spool, *, beside: Callable[[int], Sequence[pa.Table]] = lambda target: ()
    ) -> None:
        """Write the overlap parts of a director from the rows gathered for them.

        Parameters
        ----------
        beside
            Gives the rows that stand beside a chunk already: they may have been gathered again.
        """
        targets = np.unique(np.concatenate([np.unique(keys) for keys in spool.run_keys()] or [np.empty(0, np.int64)]))

        def stage(target: int) -> None:
            rows = spool.between(target, target + 1)
            assert rows is not None
            rows = without_copies(rows.drop_columns([TARGET_COLUMN]).combine_chunks(), beside(target))
            if not rows.num_rows:
                return
            rows = rows.take(pa.array(np.argsort(rows.column(HEALPIX_COLUMN).to_numpy(), kind="stable")))
            self._add_part(table, PartRole.OVERLAP, target, rows)

        in_parallel(stage, targets.tolist(), threads=STAGING_THREADS)

    def stage_index_run(self, table: Table, run: IndexRun) -> None:
        """Write a run of the director index, or of the keys of a child table's orphans."""
        path = index_path(self._database.physical, table.physical, name=self._name())
        written = write_index_run(self._destination.czar_dir / path, run, sync=self._destination.sync)
        self._add(table, PartRole.INDEX, None, None, str(path), written)

    def stage_ref(self, table: Table, write: Callable[[Path], WrittenFile]) -> None:
        """Let ``write`` write the part of a ref table on the first worker, and copy it to the others."""
        path = part_path(self._database.physical, table.physical, role=PartRole.REF, chunk=None, name=self._name())
        first, *others = [Path(worker.parts_dir) / path for worker in self._destination.workers]
        written = write(first)
        for other in others:
            copy_file(first, other, sync=self._destination.sync)
        self._add(table, PartRole.REF, None, None, str(path), written)

    def add_overlap_rows(
        self,
        table: DirectorTable,
        rows: pa.Table,
        spool: Spool,
        *,
        targets: IntArray | None,
    ) -> None:
        """Put rows into the spool, once for each other chunk (of ``targets``) that they come near to."""
        pairs = overlap_pairs(
            coordinates(rows.column(table.ra.column).combine_chunks()),
            coordinates(rows.column(table.dec.column).combine_chunks()),
            rows.column(HEALPIX_COLUMN).to_numpy(),
            chunk_map=self.chunk_map,
            overlap_arcsec=self._database.family.overlap_arcsec,
            targets=targets,
        )
        if len(pairs.rows):
            copies = rows.take(pa.array(pairs.rows)).append_column(TARGET_COLUMN, pa.array(pairs.chunks))
            with self._adding:
                spool.add(copies)

    def _pieces(self, spool: Spool, index: int, *, rows_in_part: int) -> Iterable[pa.Table]:
        chunk = self.chunk_map.chunk(index)
        for low, high in pairwise(spool.split_points(chunk.first, chunk.end, rows=rows_in_part)):
            rows = spool.between(low, high)
            if rows is not None:
                yield rows

    def _rows_in_part(self, spool: Spool) -> int:
        return max(1, int(BYTES_IN_PART / max(1.0, spool.bytes_per_row)))

    def _stage_piece(self, table: Table, index: int, rows: pa.Table, overlap: Spool | None) -> None:
        self._add_part(table, PartRole.CHUNK, index, rows)
        if overlap is not None and isinstance(table, DirectorTable):
            self.add_overlap_rows(table, rows, overlap, targets=None)

    def _add_part(self, table: Table, role: PartRole, index: int, rows: pa.Table) -> None:
        chunk, worker = self.chunk_map.chunk(index), self._workers[index]
        path = part_path(self._database.physical, table.physical, role=role, chunk=chunk, name=self._name())
        file = self._destination.parts_dir(worker) / path
        written = write_part(file, rows, table, sync=self._destination.sync)
        self._add(table, role, chunk, worker, str(path), written)

    def _add(
        self, table: Table, role: PartRole, chunk: ChunkId | None, worker: str | None, path: str, written: WrittenFile
    ) -> None:
        part = NewPart(
            table=table.name,
            role=role,
            chunk=chunk,
            worker=worker,
            path=path,
            rows=written.rows,
            bytes=written.bytes,
            sha256=written.sha256,
            farthest_pair_deg=self._farthest_pair_deg,
        )
        with self._adding:
            self.parts.append(part)

    def _name(self) -> str:
        return f"{file_prefix(self._transaction_id)}{next(self._numbers)}"


def file_prefix(transaction_id: int) -> str:
    """Return how the names of all files of a super-transaction begin."""
    return f"t{transaction_id}_"


def in_parallel(work: Callable[[Job], None], jobs: Sequence[Job], *, threads: int) -> None:
    """Do jobs in some threads; after the first error no further job begins, and the error is raised."""
    with ThreadPoolExecutor(threads, thread_name_prefix="stage") as pool:
        try:
            futures = [pool.submit(work, job) for job in jobs]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        for future in futures:
            if not future.cancelled():
                future.result()


def copy_file(source: Path, target: Path, *, sync: bool) -> None:
    """Copy a part to another worker's directory, flushed to the disk when ``sync``."""
    make_directories(target.parent, sync=sync)
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        if sync:
            os.fsync(writing.fileno())
    if sync:
        sync_directory(target.parent)


def without_rows(rows: pa.Table, dropped: IntArray) -> pa.Table:
    """Return spooled rows without those of some numbers."""
    if not len(dropped):
        return rows
    return rows.filter(pc.invert(pc.is_in(rows.column(ROW_COLUMN), value_set=pa.array(dropped))))


def without_copies(rows: pa.Table, others: Sequence[pa.Table]) -> pa.Table:
    """Return rows without those that are among others, too; of alike rows one for each that is there.

    For example, of the rows a, a, b and the other rows a, c, the rows a, b are left.
    """
    there = Counter(key for other in others for key in _row_keys(other.select(rows.column_names)))
    if not there:
        return rows
    kept = []
    for place, key in enumerate(_row_keys(rows)):
        if there[key]:
            there[key] -= 1
        else:
            kept.append(place)
    return rows.take(pa.array(kept, pa.int64()))


def _row_keys(rows: pa.Table) -> Iterator[tuple[object, ...]]:
    """Yield what tells each row from others; numbers by their bits, as NaN is not equal to itself."""
    columns = []
    for column in rows.columns:
        values = column.combine_chunks()
        if pa.types.is_floating(values.type):
            values = values.view(pa.int64() if values.type == pa.float64() else pa.int32())
        columns.append(values.to_pylist())
    return zip(*columns, strict=True)
