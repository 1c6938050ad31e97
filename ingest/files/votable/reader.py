"""VOTable files of every version and serialisation, a batch of rows at a time.

Opening reads up to the rows of the table, or the whole document when it may hold several; giving the rows reads it
again from its start to its end, so what stands behind the rows is seen (that the query failed, or was cut off).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.choice import FileTable, chosen_table
from qserv_py.ingest.files.reader import MalformedRows, RawBatch, check_names, not_single
from qserv_py.ingest.files.votable.document import Document, may_hold_several
from qserv_py.ingest.files.votable.fields import TableHead
from qserv_py.ingest.files.votable.rows import Rows, source_of
from qserv_py.ingest.rejects import Rejected
from qserv_py.ingest.requests import InputOptions

_SERIALIZATIONS = ("TABLEDATA", "BINARY", "BINARY2", "")


class VotableReader:
    """One table of a VOTable file."""

    def __init__(self, path: Path, options: InputOptions) -> None:
        self._path = path
        self._options = options
        self._notes: list[str] = []
        self.notes: Sequence[str] = self._notes
        self._head = self._opened()
        fields = self._head.fields
        self.names: tuple[str, ...] = check_names(path, [field.name for field in fields])
        self._unread = {field.name: field.why_not for field in fields if field.why_not}
        self.types: Mapping[str, pa.DataType] = {field.name: field.arrow_type for field in fields if not field.why_not}
        self.described: Mapping[str, Mapping[str, str]] = {field.name: field.described for field in fields}
        self.total_rows: int | None = self._head.nrows
        self.malformed = MalformedRows()

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        for name in names:
            if name in self._unread:
                raise not_single(self._path, name, self._unread[name])
        place_of = {name: place for place, name in enumerate(self.names)}
        places = [place_of[name] for name in names]
        source = source_of(self._path, self._head, places, encoding=self._options.encoding, malformed=self.malformed)
        document = Document(self._path, wanted=self._head.place, sink=source)
        is_empty = True
        with closing(document.pieces()) as pieces:
            for is_last in pieces:
                for rows in source.ready(is_last=is_last):
                    is_empty = False
                    yield _batch(rows, names)
        self._check_end(document)
        if is_empty:
            nothing = [pa.nulls(0, self.types[name]) for name in names]
            yield RawBatch(np.arange(1, 1), pa.record_batch(nothing, names=list(names)))

    def _opened(self) -> TableHead:
        """Return the table that is meant, without its rows."""
        document = Document(self._path)
        reads_all = may_hold_several(self._path)
        with closing(document.pieces()) as pieces:
            for _ in pieces:
                if document.elements.head_is_read and not reads_all:
                    break
        self._note_overflow(document)
        if not document.elements.tables and document.elements.complaint:
            raise ContributionError(f"{self._path} holds no table", detail=document.elements.complaint)
        head = self._chosen(document)
        self._check_head(head)
        return head

    def _chosen(self, document: Document) -> TableHead:
        tables = document.elements.tables
        listed = [FileTable(place=table.place, names=table.names, rows=table.nrows) for table in tables]
        if self._options.hdu is None and self._options.table_name is None:  # some describe tables in other files
            listed = [table for table in listed if tables[table.place - 1].serialization] or listed
        return tables[chosen_table(self._path, listed, self._options).place - 1]

    def _check_head(self, head: TableHead) -> None:
        if head.href:
            raise ContributionError(
                f'the rows of {self._path} lie elsewhere: "{head.href}"',
                detail="What a file points to is not fetched.",
                hint="Write its rows into it, or take the file that it points to.",
            )
        if head.nrows and not head.serialization:
            raise ContributionError(
                f"table {head.place} of {self._path} has no DATA", detail=f"Its {head.nrows} rows are not in the file."
            )
        if head.serialization not in _SERIALIZATIONS:
            raise ContributionError(
                f"{self._path} holds its rows as {head.serialization}, which is not read",
                hint="Write them as TABLEDATA, BINARY or BINARY2, or take the inner file.",
            )
        if head.serialization.startswith("BINARY") and head.encoding not in {"base64", "gzip", ""}:
            raise ContributionError(f'{self._path} has a STREAM in the encoding "{head.encoding}", which is not read')
        if not head.fields:
            raise ContributionError(f"table {head.place} of {self._path} has no columns")
        for place, field in enumerate(head.fields, start=1):
            if not field.name:
                raise ContributionError(f"column {place} of {self._path} has neither a name nor an ID")

    def _check_end(self, document: Document) -> None:
        """Judge what stood behind the rows."""
        head = self._chosen(document)
        if head.place != self._head.place or head.fields != self._head.fields:
            raise ContributionError(f"{self._path} was changed while it was read")
        self._note_overflow(document)

    def _note_overflow(self, document: Document) -> None:
        if document.elements.overflow and not self._notes:
            self._notes.append(f"the file holds only a part of its answer: {document.elements.overflow}")


def _batch(rows: Rows, names: Sequence[str]) -> RawBatch:
    numbers, columns = rows
    rejected = [
        Rejected(np.flatnonzero(misfit.where), name, misfit.reason)
        for name, column in zip(names, columns, strict=True)
        for misfit in column.misfits
    ]
    batch = pa.record_batch([column.values for column in columns], names=list(names))
    return RawBatch(numbers, batch, tuple(rejected))
