"""Parts on disk: immutable Parquet files, sorted by ``healpix29``, in the directory layout of HATS.

A part is written once, flushed to the disk and its checksum taken on the way; after that nobody changes it. Columns
carry the schema's names and the Arrow types of ``DataType``. Which parts exist is said by the registry alone: a file
that it does not name belongs to no part and may be removed.

For example, a part of chunk 5/104 of ``dr1.Object`` is
``dr1/object/dataset/Norder=5/Dir=0/Npix=104/t7_2.parquet`` below the worker's directory of parts.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import HEALPIX_COLUMN, Column, Table
from qserv_py.catalog.part import PartRole
from qserv_py.catalog.types import DataType
from qserv_py.errors import WorkerError

ROWS_IN_GROUP = 1 << 17
"""Rows of a row group: scans cost no more than with larger ones, and looking for an id half as much."""

PIXELS_IN_DIRECTORY = 10_000
"""HATS puts this many pixels into one directory ``Dir=...``."""

_FLOATS = {DataType.FLOAT, DataType.DOUBLE}
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """What is known of a file that was just written."""

    rows: int
    bytes: int
    sha256: str


def part_path(database: str, table: str, *, role: PartRole, chunk: ChunkId | None, name: str) -> PurePosixPath:
    """Return where a part stands below a worker's ``parts_dir``.

    Parameters
    ----------
    database, table
        Physical names.
    name
        File name without ``.parquet``.
    """
    folder = PurePosixPath(database) / (f"{table}_margin" if role is PartRole.OVERLAP else table) / "dataset"
    if chunk is not None:
        directory = chunk.pixel // PIXELS_IN_DIRECTORY * PIXELS_IN_DIRECTORY
        folder = folder / f"Norder={chunk.order}" / f"Dir={directory}" / f"Npix={chunk.pixel}"
    return folder / f"{name}.parquet"


def part_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a table's parts: all columns, in the schema's order."""
    return pa.schema([arrow_field(column) for column in table.columns])


def arrow_field(column: Column) -> pa.Field:
    """Return the Arrow field of a column."""
    return pa.field(column.name, pa.type_for_alias(column.datatype.names.arrow), nullable=column.nullable)


class PartWriter:
    """Writes one part, batch by batch, and takes its checksum; use as a context manager.

    Without an exception the file is complete and on the disk at the end, and ``written`` describes it; with one it is
    removed.

    Parameters
    ----------
    path
        File to write; its directories are made.
    table
        Table of the rows.
    sync
        Flush file and directories to the disk.
    """

    def __init__(self, path: Path, table: Table, *, sync: bool = True) -> None:
        self._path = path
        self._table = table
        self._sync = sync
        self._rows = 0
        self.written: WrittenFile | None = None

    def __enter__(self) -> PartWriter:
        make_directories(self._path.parent, sync=self._sync)
        self._sink = HashingFile(self._path)
        schema = part_schema(self._table)
        floats = [column.name for column in self._table.columns if column.datatype in _FLOATS]
        texts = [column.name for column in self._table.columns if column.datatype.is_text]
        sorting = None
        if HEALPIX_COLUMN in schema.names:
            sorting = [pq.SortingColumn(schema.names.index(HEALPIX_COLUMN))]
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="lz4",
            use_dictionary=texts,
            use_byte_stream_split=floats,
            sorting_columns=sorting,
        )
        return self

    def write(self, rows: pa.Table) -> None:
        """Append rows. They must be sorted by ``healpix29`` and not come before those already written."""
        self._writer.write_table(rows, row_group_size=ROWS_IN_GROUP)
        self._rows += rows.num_rows

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.close()
            size, digest = self._sink.finish(sync=self._sync)
        except BaseException:
            self._path.unlink(missing_ok=True)
            raise
        if error is not None:
            self._path.unlink(missing_ok=True)
            return
        if self._sync:
            sync_directory(self._path.parent)
        self.written = WrittenFile(self._rows, size, digest)


def write_part(path: Path, rows: pa.Table, table: Table, *, sync: bool = True) -> WrittenFile:
    """Write a part in one go; see `PartWriter`."""
    with PartWriter(path, table, sync=sync) as writer:
        writer.write(rows)
    assert writer.written is not None
    return writer.written


def read_part(path: Path) -> pa.Table:
    """Return the rows of a part.

    Raises
    ------
    WorkerError
        If the file is missing or no Parquet file.
    """
    try:
        # ParquetFile, because read_table takes the directories Norder=... for columns.
        with pq.ParquetFile(path, memory_map=True) as file:
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise WorkerError(
            f"part {path} cannot be read", detail=str(error), hint="Its checksum in the registry tells if it is whole."
        ) from error


def verify_file(path: Path, *, sha256: str, bytes: int) -> None:
    """Compare a file with what the registry says of it.

    Raises
    ------
    WorkerError
        If it is missing or differs.
    """
    try:
        size, digest = path.stat().st_size, file_sha256(path)
    except OSError as error:
        raise WorkerError(f"part {path} is missing", detail=str(error)) from error
    if size != bytes or digest != sha256:
        raise WorkerError(
            f"part {path} is damaged: {size} bytes with sha256 {digest[:12]}..., "
            f"the registry says {bytes} bytes with {sha256[:12]}..."
        )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class HashingFile:
    """A file for writing that takes its SHA-256 on the way; looks like a binary file to pyarrow."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb", buffering=_BLOCK)
        self._hash = hashlib.sha256()
        self._size = 0
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""
        view = memoryview(data)
        self._hash.update(view)
        self._size += view.nbytes
        self._file.write(view)
        return view.nbytes

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self._size

    def flush(self) -> None:
        """Do nothing: ``finish`` flushes."""

    def close(self) -> None:
        """Do nothing: pyarrow closes what it writes to, ``finish`` closes the file."""

    def readable(self) -> bool:
        """Return False."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return False."""
        return False

    def finish(self, *, sync: bool) -> tuple[int, str]:
        """Close the file; return its size and SHA-256."""
        with self._file:
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
        self.closed = True
        return self._size, self._hash.hexdigest()


def make_directories(path: Path, *, sync: bool = True) -> None:
    """Make a directory and its parents; what is made survives a power cut when ``sync``."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        if sync:
            sync_directory(directory.parent)


def sync_directory(path: Path) -> None:
    """Flush the entries of a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
