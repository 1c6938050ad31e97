"""Input files as streams of record batches with the number of each row.

A reader knows its column names before the first row; values come as the file holds them (CSV: as text), conversion is
a step of its own. Rows are numbered from 1, a CSV header not counted; lines of a CSV file that have too few or too many
fields are put aside in ``malformed`` and keep their numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from qserv_py.catalog.snapshot import IntArray
from qserv_py.errors import ContributionError, UserError
from qserv_py.ingest.requests import InputFormat, InputOptions

ROWS_IN_BATCH = 1 << 17
"""Rows read together."""

_CSV_BLOCK = 8 << 20


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some rows as the file holds them."""

    numbers: IntArray
    """Number of each row in its file, from 1, ascending."""

    rows: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A line that is no row."""

    number: int
    reason: str
    text: str


@dataclass(slots=True)
class MalformedRows:
    """The lines of a file that are no rows, in its order; a reader fills it as it goes."""

    rows: list[MalformedRow] = field(default_factory=list)


class Reader(Protocol):
    """One input file that is open for reading."""

    names: tuple[str, ...]
    total_rows: int | None
    malformed: MalformedRows
    described: Mapping[str, Mapping[str, str]]
    """What the file says of a column: ``unit``, ``ucd``, ``description``, ``xtype``, as far as it does."""

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows, with the named columns only, from the first row; can be asked for once.

        A file that says types and has no rows gives one empty batch.
        """


def open_reader(path: Path, format: InputFormat, options: InputOptions) -> Reader:
    """Open an input file.

    Raises
    ------
    ContributionError
        If it does not exist, cannot be read, or is not of the format.
    UserError
        If the options make no sense.
    """
    if not path.is_file():
        raise ContributionError(f"{path} is a directory" if path.is_dir() else f"there is no file {path}")
    try:
        match format:
            case InputFormat.PARQUET:
                return ParquetReader(path)
            case InputFormat.CSV:
                return CsvReader(path, options)
            case InputFormat.FITS:
                from qserv_py.ingest.astropy_readers import FitsReader

                return FitsReader(path)
            case InputFormat.VOTABLE:
                from qserv_py.ingest.astropy_readers import VotableReader

                return VotableReader(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(path, format, error) from error


def unreadable(path: Path, format: InputFormat, error: Exception) -> ContributionError:
    """Return the error for a file that its library cannot read."""
    return ContributionError(
        f"{path} cannot be read as {format}",
        detail=" ".join(str(error).split()) or type(error).__name__,
        hint="--format says what a file is when its suffix does not.",
    )


class ParquetReader:
    """A Parquet file, one batch after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pq.ParquetFile(path, memory_map=True)
        self.names: tuple[str, ...] = tuple(self._file.schema_arrow.names)
        self.total_rows: int | None = self._file.metadata.num_rows
        self.malformed = MalformedRows()
        self.described: Mapping[str, Mapping[str, str]] = {
            about.name: {key.decode(): text.decode() for key, text in (about.metadata or {}).items()}
            for about in self._file.schema_arrow
        }

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        next_row = 1
        try:
            for rows in self._file.iter_batches(batch_size=ROWS_IN_BATCH, columns=list(names)):
                yield RawBatch(np.arange(next_row, next_row + rows.num_rows), rows.select(list(names)))
                next_row += rows.num_rows
            if next_row == 1:
                empty = pa.RecordBatch.from_pylist([], schema=self._file.schema_arrow)
                yield RawBatch(np.arange(1, 1), empty.select(list(names)))
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self._path, InputFormat.PARQUET, error) from error


class CsvReader:
    """A CSV file (plain or compressed), all values as text; NULL is the unquoted text that the options name."""

    def __init__(self, path: Path, options: InputOptions) -> None:
        self._path = path
        self._null = options.null
        self._delimiter = _delimiter(path, options)
        self.names: tuple[str, ...] = tuple(self._header())
        self.total_rows: int | None = None
        self.malformed = MalformedRows()
        self.described: Mapping[str, Mapping[str, str]] = {}
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise ContributionError(f'{path} names column "{repeated[0]}" more than once')

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        next_row = 1
        try:
            with pa.input_stream(str(self._path)) as stream:
                for rows in self._open(stream, names):
                    numbers = self._numbers(next_row, rows.num_rows)
                    if len(numbers):
                        next_row = int(numbers[-1]) + 1
                        yield RawBatch(numbers, rows)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self._path, InputFormat.CSV, error) from error

    def _header(self) -> list[str]:
        with pa.input_stream(str(self._path)) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            names = next(csv.reader(text, delimiter=self._delimiter), [])
        if not names:
            raise ContributionError(f"{self._path} is empty", hint="A CSV file begins with a line of column names.")
        return [name.strip() for name in names]

    def _open(self, stream: pa.NativeFile, names: Sequence[str]) -> pa_csv.CSVStreamingReader:
        # Row numbers of malformed lines are only known to the reader that does not use threads of its own.
        return pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=_CSV_BLOCK, column_names=self.names, skip_rows_after_names=1
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=self._put_aside
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(self.names, pa.string()),
                include_columns=list(names),
                null_values=[self._null],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _put_aside(self, row: pa_csv.InvalidRow) -> str:
        reason = f"the line has {row.actual_columns} fields, the header {row.expected_columns}"
        self.malformed.rows.append(MalformedRow(row.number - 1, reason, row.text))
        return "skip"

    def _numbers(self, first: int, count: int) -> IntArray:
        """Return the numbers of the next rows, leaving out those of malformed lines."""
        skipped = np.array([row.number for row in self.malformed.rows if row.number >= first], dtype=np.int64)
        candidates = np.arange(first, first + count + len(skipped))
        return candidates[~np.isin(candidates, skipped)][:count]


def _delimiter(path: Path, options: InputOptions) -> str:
    if options.delimiter is None:
        return "\t" if ".tsv" in path.suffixes else ","
    delimiter = "\t" if options.delimiter in {"\\t", "tab"} else options.delimiter
    if len(delimiter.encode()) != 1:
        raise UserError(f'"{options.delimiter}" is no delimiter', hint="A delimiter is one ASCII character, or tab.")
    return delimiter
