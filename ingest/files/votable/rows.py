"""The rows of one table as columns of values, as many at a time as a batch has: from cells, and from a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from qserv_py.catalog.snapshot import IntArray
from qserv_py.counts import counted
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.reader import ROWS_IN_BATCH, MalformedRows
from qserv_py.ingest.files.votable.binary import BinaryRows, is_other_to_astropy
from qserv_py.ingest.files.votable.cells import TextRows
from qserv_py.ingest.files.votable.elements import RowSink
from qserv_py.ingest.files.votable.fields import Field, TableHead
from qserv_py.ingest.files.votable.stream import StreamDecoder
from qserv_py.ingest.files.votable.values import values_of
from qserv_py.ingest.values.converted import ConvertedColumn

_CELL_BYTES_IN_BATCH = 1 << 26
"""Bytes of rows of TABLEDATA, as they are written, after which a batch is given although it has few rows."""

_STREAM_BYTES_IN_BATCH = 1 << 23

Rows = tuple[IntArray, list[ConvertedColumn]]
"""Numbers of rows in their table, from 1, and the columns that were asked for."""


class RowSource(RowSink, Protocol):
    """Takes rows from a document and gives them back as columns."""

    def ready(self, *, is_last: bool) -> Iterator[Rows]:
        """Yield batches as soon as rows for one are there; at the end of the document, all rows that are left.

        Raises
        ------
        ContributionError
            If what was taken is damaged, or not whole at the end.
        """


def source_of(
    path: Path, head: TableHead, places: Sequence[int], *, encoding: str, malformed: MalformedRows
) -> RowSource:
    """Return what takes the rows of a table.

    Parameters
    ----------
    places
        Columns that are asked for.
    encoding
        Encoding of texts in a stream.
    malformed
        Where the malformed rows are written.
    """
    if head.serialization in {"BINARY", "BINARY2"}:
        return _StreamRows(path, head, places, encoding=encoding)
    return _CellRows(path, head.fields, places, malformed)


class _CellRows(TextRows):
    """Rows of TABLEDATA."""

    def __init__(self, path: Path, fields: Sequence[Field], places: Sequence[int], malformed: MalformedRows) -> None:
        super().__init__(path, len(fields), places, malformed)
        self._fields = [fields[place] for place in places]

    def ready(self, *, is_last: bool) -> Iterator[Rows]:
        if self.count >= ROWS_IN_BATCH or self.nbytes >= _CELL_BYTES_IN_BATCH or (is_last and self.count):
            numbers, texts = self.take()
            yield numbers, [values_of(column, field) for column, field in zip(texts, self._fields, strict=True)]


class _StreamRows:
    """Rows of BINARY and BINARY2."""

    def __init__(self, path: Path, head: TableHead, places: Sequence[int], *, encoding: str) -> None:
        self._path = path
        self._nrows = head.nrows
        has_flags = head.serialization == "BINARY2"
        self._layout = BinaryRows(path, head.fields, has_flags=has_flags, encoding=encoding)
        self._other: BinaryRows | None = None
        """The layout that astropy writes against the standard, until the first rows have shown which it is."""

        if any(is_other_to_astropy(field) for field in head.fields):
            self._other = BinaryRows(path, head.fields, has_flags=has_flags, encoding=encoding, as_astropy=True)
        self._decoder = StreamDecoder(path, head.encoding)
        self._places = tuple(places)
        self._texts: list[str] = []
        self._data = bytearray()
        self._wait_for = _STREAM_BYTES_IN_BATCH
        self._rows_seen = 0

    def add_block(self, block: bytes) -> bool:
        """A stream has no rows of tags."""
        return not block

    def add_rows(self, rows: list[list[str]]) -> None:
        """A stream has no cells."""

    def add_stream(self, text: str) -> None:
        """Take some text of the STREAM."""
        self._texts.append(text)

    def ready(self, *, is_last: bool) -> Iterator[Rows]:
        texts, self._texts = self._texts, []
        for data in self._decoder.decode(texts):
            self._data += data
            yield from self._cut(is_last=False)
        if is_last:
            self._decoder.finish()
            self._wait_for = 1
            yield from self._cut(is_last=True)
            if self._data:
                raise ContributionError(
                    f"the STREAM of {self._path} ends in the middle of row {self._rows_seen + 1}",
                    detail=f"It leaves {counted(len(self._data), 'byte')}, a row has {self._layout.least} at least.",
                    hint="The file is damaged, or its FIELDs do not say what its STREAM holds.",
                )

    def _cut(self, *, is_last: bool) -> Iterator[Rows]:
        while len(self._data) >= self._wait_for:
            data = bytes(self._data)
            if self._other is not None:
                self._layout = self._layout if self._fits(data, is_last=is_last) else self._other
                self._other = None
            found = self._layout.find(data, most=ROWS_IN_BATCH, rows_before=self._rows_seen)
            count = len(found.rows)
            if not count:
                self._wait_for = 2 * len(data)  # a single row is as large as the buffer
                return
            del self._data[: found.used]
            numbers = np.arange(self._rows_seen + 1, self._rows_seen + count + 1)
            self._rows_seen += count
            yield numbers, [self._layout.column(data, found, place) for place in self._places]

    def _fits(self, data: bytes, *, is_last: bool) -> bool:
        """Return whether the first bytes, or all of them, are rows of the layout."""
        try:
            found = self._layout.find(data, most=len(data), rows_before=0)
        except ContributionError:
            return False
        return not is_last or (found.used == len(data) and self._nrows in {None, len(found.rows)})
