"""FITS: one BINTABLE. Its header says how many rows there are and how wide a text is, so all rows are read first.

They go to a temporary file, in Arrow's own format, and the widths, the NULLs and the smallest and largest numbers are
noted on the way. The second reading writes the rows, the third the heap, where values of very different lengths lie.
Memory is that of one block, and an error can only come before the first byte.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from qserv_py.czar.formats.fits.columns import MAX_COLUMNS, FitsColumn, fits_columns, prepared
from qserv_py.czar.formats.fits.header import BLOCK, header_of, primary_header
from qserv_py.czar.formats.stream import ResultStream
from qserv_py.czar.formats.votable.binary_rows import Run, packed
from qserv_py.errors import UserError
from qserv_py.executor.budget import Account


def write_fits(stream: ResultStream) -> Iterator[bytes]:
    """Write a FITS file; nothing comes before the last row is known.

    Raises
    ------
    UserError
        If there are more columns than a FITS table can have, or a column leaves no number to mean NULL.
    LimitError
        If the rows are more than may lie on the disk.
    """
    if len(stream.columns) > MAX_COLUMNS:
        raise UserError(
            f"the answer has {len(stream.columns)} columns, a FITS table at most {MAX_COLUMNS}",
            hint="Ask for votable or parquet, or select fewer columns.",
        )
    columns = fits_columns(stream.columns, stream.schema)
    if stream.spool_dir is not None:
        stream.spool_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=stream.spool_dir) as spool, _giving_back(stream.spilled):
        rows = _spool(stream, columns, spool)
        for column in columns:
            column.settle()
        heap = sum(column.heap_bytes for column in columns)
        width = sum(column.width for column in columns)
        yield primary_header()
        yield header_of(columns, rows=rows, width=width, heap=heap, infos=stream.infos, why_cut=stream.why_cut())
        yield from _rows(spool, columns)
        if heap:
            yield from _heap(spool, columns)
        yield bytes(-(rows * width + heap) % BLOCK)


@contextmanager
def _giving_back(spilled: Account | None) -> Iterator[None]:
    """Give back what the temporary file took, when it is gone."""
    try:
        yield
    finally:
        if spilled is not None:
            spilled.give_back()


def _spool(stream: ResultStream, columns: list[FitsColumn], spool: BinaryIO) -> int:
    rows = 0
    writer: pa.RecordBatchStreamWriter | None = None
    for block in stream.blocks():
        made = prepared(block, columns)
        if writer is None:
            writer = pa.ipc.new_stream(spool, made.schema)
        begun = spool.tell()
        writer.write_batch(made)
        if stream.spilled is not None:
            stream.spilled.take(spool.tell() - begun)
        rows += made.num_rows
    if writer is not None:
        writer.close()
    return rows


def _read(spool: BinaryIO) -> Iterator[pa.RecordBatch]:
    if spool.tell() == 0 and not spool.read(1):
        return
    spool.seek(0)
    with pa.ipc.open_stream(spool) as reader:
        yield from reader


def _rows(spool: BinaryIO, columns: list[FitsColumn]) -> Iterator[bytes]:
    heap_at = 0
    for batch in _read(spool):
        run: Run = []
        for column, values in zip(columns, batch.columns, strict=True):
            if not column.is_heaped:
                run.append(column.in_row(values))
                continue
            counts, data = column.on_heap(values)
            sizes = counts * column.item_bytes
            places = heap_at + np.cumsum(sizes) - sizes
            run.append((np.stack([counts, places], axis=1), ">i8"))
            heap_at += len(data)
        yield packed(run).tobytes()


def _heap(spool: BinaryIO, columns: list[FitsColumn]) -> Iterator[bytes]:
    """Yield the heap in the order in which the rows point to it."""
    for batch in _read(spool):
        for column, values in zip(columns, batch.columns, strict=True):
            if column.is_heaped:
                yield column.on_heap(values)[1]
