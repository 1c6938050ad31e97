"""The answer of a query as an Arrow stream that somebody else has written."""

from __future__ import annotations

import http.client
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.czar.formats.stream import MORE_ROWS, ResultStream
from qserv_py.czar.queries.running import QueryStats
from qserv_py.errors import ClusterError, UserError


class StreamedAnswer:
    """Rows that come as an Arrow stream, over HTTP or from a file. ``batches`` may be iterated once.

    Parameters
    ----------
    adql
        The query.
    source
        File-like object that holds the stream.
    stack
        What is closed when the rows have been read.

    Raises
    ------
    ClusterError
        If it is no Arrow stream.
    """

    def __init__(self, adql: str, source: Any, stack: ExitStack) -> None:
        self.text = adql
        self.stats = QueryStats(chunks=0, chunks_total=0)
        self._why_cut = ""
        self._stack = stack
        self._started = time.perf_counter()
        try:
            self._reader = pa.ipc.open_stream(source)
        except (pa.ArrowException, OSError, http.client.HTTPException) as error:
            stack.close()
            raise ClusterError("the service sent no Arrow stream", detail=str(error)) from error

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the answer."""
        return self._reader.schema

    @property
    def columns(self) -> tuple[OutputColumn, ...]:
        """The columns of the answer."""
        return tuple(_column(field) for field in self.schema)

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows; ClusterError if they break off."""
        status = ""
        with self._stack:
            for batch, metadata in self._read():
                told = metadata or {}
                status = told.get(b"QUERY_STATUS", b"").decode() or status
                self._why_cut = told.get(b"WHY", b"").decode() or self._why_cut
                self.stats.rows += batch.num_rows
                if batch.num_rows:
                    yield batch
        self.stats.overflow = status == "OVERFLOW"
        if self.stats.overflow and not self._why_cut:
            self._why_cut = MORE_ROWS
        self.stats.seconds = time.perf_counter() - self._started
        if not status:
            raise ClusterError("the rows broke off: the service did not say that they are all there")

    def _read(self) -> Iterator[tuple[pa.RecordBatch, Any]]:
        while True:
            try:
                yield self._reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                return
            except (pa.ArrowException, OSError, http.client.HTTPException) as error:
                raise ClusterError("the rows broke off", detail=str(error)) from error

    def stream(self, *infos: tuple[str, str]) -> ResultStream:
        """Return the rows for a writer of ``czar.formats``."""
        return ResultStream(
            columns=self.columns,
            schema=self.schema,
            batches=self.batches(),
            infos=infos,
            why_cut=lambda: self._why_cut,
        )

    def cancel(self) -> None:
        """Leave; the service stops the query."""
        self._stack.close()


def _column(field: pa.Field) -> OutputColumn:
    told = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
    kinds = {kind.names.arrow: kind for kind in reversed(DataType)}
    kind = (
        field.type.value_type if pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type) else field.type
    )
    known = next((name for alias, name in kinds.items() if pa.type_for_alias(alias) == kind), None)
    if known is None:
        raise UserError(f'column "{field.name}" is of type {field.type}, which is not known here')
    return OutputColumn(
        name=field.name,
        datatype=known,
        unit=told.get("unit", ""),
        ucd=told.get("ucd", ""),
        description=told.get("description", ""),
        xtype=told.get("xtype", ""),
    )
