"""Parquet and the Arrow IPC stream: the batches unchanged, with descriptions of the columns.

A Parquet file holds a VOTable without rows (VOParquet 1.0), so units, UCDs and descriptions are there for TOPCAT and
astropy; Arrow has them as metadata of the fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from qserv_py.czar.formats.fields import fields_of
from qserv_py.czar.formats.outbox import Outbox
from qserv_py.czar.formats.stream import ResultStream
from qserv_py.czar.formats.votable.xml import without_rows

ROW_GROUP_ROWS = 122_880
ROW_GROUP_BYTES = 32 << 20
"""Bytes and rows of a row group, which the writer holds in memory; it ends at whichever limit comes first."""


def write_parquet(stream: ResultStream) -> Iterator[bytes]:
    """Write a Parquet file."""
    outbox = Outbox()
    with pq.ParquetWriter(outbox, stream.schema, compression="zstd") as writer:
        for group in _row_groups(stream.batches, stream.schema):
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            yield outbox.take()
        fields = fields_of(stream.columns, stream.schema)
        content = without_rows(fields, stream.infos, why_cut=stream.why_cut())
        writer.add_key_value_metadata({"IVOA.VOTable-Parquet.version": "1.0", "IVOA.VOTable-Parquet.content": content})
    yield outbox.take()


def write_arrow(stream: ResultStream) -> Iterator[bytes]:
    """Write an Arrow IPC stream; a last, empty batch has the metadata QUERY_STATUS, OK or OVERFLOW, and then WHY."""
    outbox = Outbox()
    with pa.ipc.new_stream(outbox, stream.schema) as writer:
        for batch in stream.batches:
            writer.write_batch(batch)
            yield outbox.take()
        end = pa.RecordBatch.from_pylist([], schema=stream.schema)
        why = stream.why_cut()
        status = {"QUERY_STATUS": "OVERFLOW", "WHY": why} if why else {"QUERY_STATUS": "OK"}
        writer.write_batch(end, custom_metadata=status)
    yield outbox.take()


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(waiting, schema)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)
