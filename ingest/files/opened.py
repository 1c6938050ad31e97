"""Opening a file: a reader by its format, whose failures name the file and whose rows are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from qserv_py.errors import ContributionError, QservError
from qserv_py.ingest.files.reader import MalformedRows, RawBatch, Reader, check_count, unreadable
from qserv_py.ingest.requests import InputFormat, InputOptions

Made = TypeVar("Made")


def open_reader(path: Path, format: InputFormat, options: InputOptions) -> Reader:
    """Open an input file.

    Parameters
    ----------
    format
        What the file is.

    Raises
    ------
    ContributionError
        If it does not exist, cannot be read, or is not of the format. The reader's ``batches`` raise it too, whatever
        exception a library has, and when fewer or more rows came than the file has.
    UserError
        If the options make no sense.
    """
    if not path.is_file():
        raise ContributionError(f"{path} is a directory" if path.is_dir() else f"there is no file {path}")
    reader = _translated(path, format, lambda: _reader(path, format, options))
    return _CountedReader(path, format, reader)


def _reader(path: Path, format: InputFormat, options: InputOptions) -> Reader:
    # Each format imports its libraries when the first file of it is opened.
    match format:
        case InputFormat.PARQUET:
            from qserv_py.ingest.files.parquet import ParquetReader

            return ParquetReader(path)
        case InputFormat.CSV:
            from qserv_py.ingest.files.csv.reader import CsvReader

            return CsvReader(path, options)
        case InputFormat.FITS:
            from qserv_py.ingest.files.fits.reader import FitsReader

            return FitsReader(path, options)
        case InputFormat.VOTABLE:
            from qserv_py.ingest.files.votable.reader import VotableReader

            return VotableReader(path, options)


def _translated(path: Path, format: InputFormat, act: Callable[[], Made]) -> Made:
    """Do something with a file; whatever a library raises becomes the error that names it."""
    try:
        return act()
    except QservError:
        raise
    except Exception as error:  # libraries raise what they like when a file is damaged
        raise unreadable(path, format, error) from error


class _CountedReader:
    """A reader whose failures name the file, and whose rows are held against what the file says of their number."""

    def __init__(self, path: Path, format: InputFormat, inner: Reader) -> None:
        self._path = path
        self._format = format
        self._inner = inner
        self.names: tuple[str, ...] = inner.names
        self.types: Mapping[str, pa.DataType] = inner.types
        self.total_rows: int | None = inner.total_rows
        self.malformed: MalformedRows = inner.malformed
        self.described: Mapping[str, Mapping[str, str]] = inner.described
        self.notes: Sequence[str] = inner.notes

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        batches = iter(self._inner.batches(names))
        read = 0
        while (batch := _translated(self._path, self._format, lambda: next(batches, None))) is not None:
            read += batch.rows.num_rows
            yield batch
        if self.total_rows is not None:
            check_count(self._path, counted=self.total_rows, read=read + len(self.malformed.rows))
