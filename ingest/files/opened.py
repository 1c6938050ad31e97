"""Opens a file with the reader of its format; failures of the reader name the file, and its rows are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from qserv_py.errors import ContributionError, NotFoundError, QservError, UserError
from qserv_py.ingest.files.reader import MalformedRows, RawBatch, Reader, check_count, unreadable
from qserv_py.ingest.requests import InputFormat, InputOptions

Made = TypeVar("Made")

_TEXT = (InputFormat.CSV,)
_OF_SEVERAL_TABLES = (InputFormat.FITS, InputFormat.VOTABLE)


def open_reader(path: Path, format: InputFormat, options: InputOptions) -> Reader:
    """Open an input file.

    Parameters
    ----------
    format
        What the file is.

    Raises
    ------
    NotFoundError
        If it does not exist.
    ContributionError
        If it cannot be read, or is not of the format. The reader's ``batches`` raise it too, whatever
        exception a library has, and when fewer or more rows came than the file has.
    UserError
        If an option says nothing about files of this format, or makes no sense.
    """
    _check_options(format, options)
    if not _translated(path, format, path.is_file):
        if path.is_dir():
            raise ContributionError(f"{path} is a directory")
        is_url = path.parts[:1] and path.parts[0].endswith(":")
        raise NotFoundError(
            f"there is no file {path}", hint="URLs are not read; fetch the file first." if is_url else ""
        )
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


def _check_options(format: InputFormat, options: InputOptions) -> None:
    """Raise UserError if an option is given that a file of the format cannot follow."""
    given = {
        "--delimiter": (options.delimiter is not None, _TEXT),
        "--null": (options.null != "", _TEXT),
        "--encoding": (options.encoding.lower() not in {"utf-8", "utf8"}, (*_TEXT, *_OF_SEVERAL_TABLES)),
        "--table-name": (options.table_name is not None, _OF_SEVERAL_TABLES),
        "--hdu": (options.hdu is not None, _OF_SEVERAL_TABLES),
    }
    for name, (is_given, formats) in given.items():
        if is_given and format not in formats:
            raise UserError(f"{name} says nothing about a file of the format {format}")
    try:
        "".encode(options.encoding)
    except (LookupError, ValueError) as error:
        raise UserError(
            f'"{options.encoding}" is no encoding of text', hint="Such as utf-8, latin-1, cp1252 or utf-16."
        ) from error


def _translated(path: Path, format: InputFormat, act: Callable[[], Made]) -> Made:
    """Run a step of reading a file; whatever a library raises becomes a ContributionError that names the file."""
    try:
        return act()
    except QservError:
        raise
    except Exception as error:  # libraries raise any kind of exception when a file is damaged
        raise unreadable(path, format, error) from error


class _CountedReader:
    """A reader whose failures name the file, and whose rows are compared with the number that the file states."""

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
