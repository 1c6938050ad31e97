"""CSV files (plain or compressed), all values as text; NULL is the unquoted text that the options name.

A file is gone through twice: its records are counted by their line ends and quotes (``records``), then pyarrow
reads them, or ``fields`` where the quotes are not only those around whole fields.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from qserv_py.catalog.snapshot import IntArray
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.csv.fields import FieldReader
from qserv_py.ingest.files.csv.header import read_header
from qserv_py.ingest.files.csv.records import BLOCK, LONGEST_RECORD, count_records
from qserv_py.ingest.files.decompressed import open_decompressed
from qserv_py.ingest.files.reader import ROWS_IN_BATCH, MalformedRows, RawBatch, not_single
from qserv_py.ingest.rejects import Rejected
from qserv_py.ingest.requests import InputOptions

_WIDE = (b"\xff\xfe", b"\xfe\xff")


class CsvReader:
    """A CSV file."""

    def __init__(self, path: Path, options: InputOptions) -> None:
        self._path = path
        self._options = options
        head = self._head()
        header = read_header(path, head, options)
        if header.rows_at == LONGEST_RECORD:
            raise ContributionError(f"{path}: the line of column names is longer than {LONGEST_RECORD >> 20} MiB")
        self.names: tuple[str, ...] = header.names
        self._delimiter = header.delimiter
        self._rows_at = header.rows_at
        with self._rows() as stream:
            self._counted = count_records(stream, self._delimiter)
        self.total_rows: int | None = self._counted.records if self._counted.is_plain else None
        self.described: Mapping[str, Mapping[str, str]] = header.described
        self.types: Mapping[str, pa.DataType] = {name: pa.string() for name in self.names if not self._array_of(name)}
        self.malformed = MalformedRows()
        self._too_many: ContributionError | None = None
        self._skipped: list[int] = []
        """Numbers of malformed lines that pyarrow has seen and whose place among the rows is still to come."""

        self.notes: Sequence[str] = self._spanning() if self._counted.is_plain else ()

    def _spanning(self) -> tuple[str, ...]:
        """Return a note on values that run over several lines: they are often the work of one quote too many."""
        ends = self._counted.spanning
        if not ends:
            return ()
        first = self._counted.first_spanning
        return (f"{ends} line ends stand inside of values between quotes, the first in row {first}",)

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        for name in names:
            if kind := self._array_of(name):
                raise not_single(self._path, name, f"arrays ({kind})")
        if self._counted.is_plain and not self._counted.records:
            yield RawBatch(np.arange(1, 1), pa.record_batch([pa.array([], pa.string()) for _ in names], list(names)))
            return
        with self._rows() as stream:
            read = self._plain_rows if self._counted.is_plain else self._careful_rows
            for numbers, rows in read(stream, names):
                yield self._decoded(numbers, rows)

    def _array_of(self, name: str) -> str:
        """Return ECSV's type of the arrays of a column; empty for single values."""
        return self.described.get(name, {}).get("subtype", "")

    def _plain_rows(self, stream: BinaryIO, names: Sequence[str]) -> Iterator[tuple[IntArray, pa.RecordBatch]]:
        next_row = 1
        try:
            for rows in self._arrow_reader(stream, names):
                numbers = self._numbers(next_row, rows.num_rows)
                if len(numbers):
                    next_row = int(numbers[-1]) + 1
                    yield numbers, rows
        except pa.ArrowInvalid:
            if self._too_many is not None:
                raise self._too_many from None
            raise

    def _arrow_reader(self, stream: BinaryIO, names: Sequence[str]) -> pa_csv.CSVStreamingReader:
        # Row numbers of malformed lines are only known to the reader that does not use threads of its own. Empty lines
        # are passed over: behind one pyarrow takes no mark of byte order off the first row, and before one it sees that
        # nothing stands behind the last delimiter.
        lines = cast(BinaryIO, io.BufferedReader(_Between(b"\n", stream, b"\n"), BLOCK))
        return pa_csv.open_csv(
            pa.PythonFile(lines, "r"),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=LONGEST_RECORD, column_names=self.names),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=self._put_aside
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(self.names, pa.binary()),
                include_columns=list(names),
                null_values=[self._options.null],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _put_aside(self, row: pa_csv.InvalidRow) -> str:
        self._skipped.append(row.number)
        try:
            self._is_malformed(row.number, self._wrong_width(row.actual_columns), row.text)
        except ContributionError as error:  # pyarrow lets no exception through
            self._too_many = error
            return "error"
        return "skip"

    def _numbers(self, first: int, count: int) -> IntArray:
        """Return the numbers of the next rows, leaving out those of malformed lines."""
        skipped = np.array(self._skipped, dtype=np.int64)
        candidates = np.arange(first, first + count + len(skipped))
        numbers: IntArray = candidates[~np.isin(candidates, skipped)][:count]
        if count:
            self._skipped = [number for number in self._skipped if number > numbers[-1]]
        return numbers

    def _careful_rows(self, stream: BinaryIO, names: Sequence[str]) -> Iterator[tuple[IntArray, pa.RecordBatch]]:
        place_of = {name: place for place, name in enumerate(self.names)}
        places = [place_of[name] for name in names]
        null = self._options.null.encode()
        records = enumerate(FieldReader(self._path, stream, delimiter=self._delimiter, null=null).records(), start=1)
        while some := list(islice(records, ROWS_IN_BATCH)):
            numbers, rows = [], []
            for number, record in some:
                if record.broken or len(record.fields) != len(self.names):
                    reason = record.broken or self._wrong_width(len(record.fields))
                    text = record.text or self._delimiter.encode().join(field or b"" for field in record.fields)
                    self._is_malformed(number, reason, text.decode(errors="backslashreplace"))
                else:
                    numbers.append(number)
                    rows.append(record.fields)
            columns = [pa.array([row[place] for row in rows], pa.binary()) for place in places]
            yield np.array(numbers, dtype=np.int64), pa.record_batch(columns, list(names))

    def _wrong_width(self, fields: int) -> str:
        return f"the line has {fields} fields, the header {len(self.names)}"

    def _is_malformed(self, number: int, reason: str, text: str) -> None:
        self.malformed.add(self._path, number, reason, text)

    def _decoded(self, numbers: IntArray, rows: pa.RecordBatch) -> RawBatch:
        """Return rows as texts; what is no UTF-8 is rejected."""
        columns, rejected = [], []
        for name, values in zip(rows.schema.names, rows.columns, strict=True):
            texts, bad = _texts(values)
            if len(bad):
                rejected.append(Rejected(bad, name, "not UTF-8 text; --encoding says how the file is written"))
            columns.append(self._by_ecsv(name, texts))
        return RawBatch(numbers, pa.record_batch(columns, rows.schema.names), tuple(rejected))

    def _by_ecsv(self, name: str, texts: pa.Array) -> pa.Array:
        """Return the texts of a column with ECSV's rule: an empty field is NULL, also between quotes."""
        if name not in self.described:
            return texts
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)

    def _head(self) -> bytes:
        with self._open() as stream:
            head = _read_all_of(stream, LONGEST_RECORD)
        if head.startswith(_WIDE):
            raise ContributionError(f"{self._path} is UTF-16 text", hint="--encoding utf-16 reads it.")
        return head

    def _rows(self) -> BinaryIO:
        """Open the file where its rows begin."""
        stream = self._open()
        _read_all_of(stream, self._rows_at)
        return stream

    def _open(self) -> BinaryIO:
        """Open the file as UTF-8."""
        stream = open_decompressed(self._path)
        if codecs.lookup(self._options.encoding).name == "utf-8":
            return stream
        return cast(BinaryIO, io.BufferedReader(_Transcoded(self._path, stream, self._options.encoding), BLOCK))


def _texts(values: pa.Array) -> tuple[pa.Array, IntArray]:
    """Return bytes as texts, and the places of those that are no UTF-8."""
    try:
        return values.cast(pa.string()), np.empty(0, dtype=np.int64)
    except pa.ArrowInvalid:
        pass
    texts = [None if value is None else value.decode(errors="backslashreplace") for value in values.to_pylist()]
    good = [None if value is None else value.decode(errors="ignore").encode() == value for value in values.to_pylist()]
    return pa.array(texts, pa.string()), np.flatnonzero(np.array([one is False for one in good]))


def _read_all_of(stream: BinaryIO, size: int) -> bytes:
    """Read so many bytes, fewer only at the end of the stream."""
    pieces = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class _Between(io.RawIOBase):
    """A stream with some bytes before and behind it."""

    def __init__(self, before: bytes, stream: BinaryIO, behind: bytes) -> None:
        self._parts: list[BinaryIO] = [io.BytesIO(before), stream, io.BytesIO(behind)]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while self._parts:
            piece = self._parts[0].read(len(buffer))
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)
            self._parts.pop(0)
        return 0


class _Transcoded(io.RawIOBase):
    """A stream of another encoding as UTF-8."""

    def __init__(self, path: Path, stream: BinaryIO, encoding: str) -> None:
        self._path = path
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding = encoding
        self._waiting = b""
        self._lines = 1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._waiting:
            piece = self._stream.read(BLOCK)
            self._waiting = self._utf8(piece)
            if not piece:
                break
        size = min(len(buffer), len(self._waiting))
        buffer[:size] = self._waiting[:size]
        self._waiting = self._waiting[size:]
        return size

    def _utf8(self, piece: bytes) -> bytes:
        try:
            text = self._decoder.decode(piece, final=not piece)
        except UnicodeError as error:
            good = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
            line = self._lines + good.decode(self._encoding, errors="ignore").count("\n")
            raise ContributionError(
                f"{self._path} is not {self._encoding} text",
                detail=f"line {line}: {error}",
                hint="--encoding takes another one.",
            ) from error
        self._lines += text.count("\n")
        return text.encode()

    def close(self) -> None:
        self._stream.close()
        super().close()
