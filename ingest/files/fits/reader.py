"""The reader of FITS tables: one table of a file, some rows after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.choice import FileTable, chosen_table
from qserv_py.ingest.files.decompressed import decompressed
from qserv_py.ingest.files.fits.ascii import AsciiColumn, ascii_columns
from qserv_py.ingest.files.fits.checksum import is_as_summed
from qserv_py.ingest.files.fits.columns import BinaryColumn, NotSingleError, Source
from qserv_py.ingest.files.fits.forms import binary_columns, widened
from qserv_py.ingest.files.fits.heap import Heap
from qserv_py.ingest.files.fits.texts import TextDecoder
from qserv_py.ingest.files.fits.units import Keywords, Unit, check_whole, names_of, oddities, units_of
from qserv_py.ingest.files.reader import ROWS_IN_BATCH, MalformedRows, RawBatch, check_names, not_single
from qserv_py.ingest.rejects import Rejected
from qserv_py.ingest.requests import InputOptions

Array = npt.NDArray[Any]

_BATCH_BYTES = 1 << 26
"""Bytes that are read together, from the rows and from the heap each; a single row may have more."""

_OTHER_AXIS = re.compile(r"([A-Z])LON.*|([A-Z])LAT.*|[A-Z]{2}L[NT].*")
"""Matches the TCTYP keyword of an axis that is not equatorial."""

_FRAMES = {"G": "GALACTIC", "E": "ECLIPTIC", "S": "SUPER_GALACTIC", "H": "HELIOECLIPTIC"}
"""Frames of axes, by their first letter."""

_MAY_BE_POSITIONS = ("pos", "meta")
"""What the UCDs of columns begin with that may be positions."""

_FIRST_OF_FK5 = 1984.0
_YEAR = re.compile(r"[0-9]+(\.[0-9]*)?")


class FitsReader:
    """One table of a FITS file, binary or ASCII.

    Raises
    ------
    ContributionError
        If the file is no FITS file, is damaged or cut off, or does not say clearly which table is meant.
    """

    def __init__(self, path: Path, options: InputOptions) -> None:
        self._path = path
        self._texts = TextDecoder(options.encoding)
        self._file = decompressed(path)
        units = list(units_of(self._file))
        tables = {unit.number: unit for unit in units if unit.table}
        known = [
            FileTable(place=number, names=names_of(unit), rows=unit.keywords.whole("NAXIS2"))
            for number, unit in tables.items()
        ]
        self._unit = tables[chosen_table(path, known, options).place]
        keywords = widened(self._unit.keywords)
        self._notes = list(oddities(self._file, units, self._unit))
        self._columns = {column.name: column for column in _columns(self._unit, keywords, self._notes)}
        check_whole(self._file, self._unit)
        self._heap = self._checked_heap()
        self.names: tuple[str, ...] = tuple(self._columns)
        self.types: Mapping[str, pa.DataType] = {
            name: column.kind for name, column in self._columns.items() if not column.unread
        }
        self.total_rows: int | None = keywords.whole("NAXIS2")
        if self.total_rows == 1 and not self.types:
            raise ContributionError(
                f"{keywords.place} holds one row of arrays, no single values",
                detail="Tables are written so column by column (colfits).",
                hint="stilts tcopy with ofmt=fits-basic writes such a table row by row.",
            )
        self.described: Mapping[str, Mapping[str, str]] = {
            name: _described(keywords, number) for number, name in enumerate(self.names, start=1)
        }
        self.malformed = MalformedRows()
        self.notes: Sequence[str] = self._notes

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        columns = [self._columns[name] for name in names]
        for column in columns:
            if column.unread:
                raise not_single(self._path, column.name, column.unread)
        source = Source(texts=self._texts, heap=self._heap)
        done = 0
        for block in self._blocks():
            for rows in _parts(block, columns, source.heap):
                yield self._batch(rows, done, columns, source)
                done += len(rows)
        if not is_as_summed(self._file, self._unit):
            self._notes.append(
                f"DATASUM of {self._unit.keywords.place} is not that of its data, "
                "which was damaged, or changed by a program that does not know the keyword"
            )

    def _blocks(self) -> Iterator[Array]:
        """Yield the bytes of rows, shape (n, width of a row); of a table without rows n is 0."""
        count, width = self._unit.keywords.whole("NAXIS2"), self._unit.keywords.whole("NAXIS1")
        together = min(ROWS_IN_BATCH, max(1, _BATCH_BYTES // width))
        for first in range(0, max(1, count), together):
            some = min(together, count - first)
            data = self._file.read(self._unit.data_at + first * width, some * width)
            yield np.frombuffer(data, dtype=np.uint8).reshape(some, width)

    def _checked_heap(self) -> Heap:
        keywords = self._unit.keywords
        rows = keywords.whole("NAXIS2") * keywords.whole("NAXIS1")
        at = keywords.whole("THEAP", rows)
        if at < rows and any(column.descriptor for column in self._columns.values()):
            raise keywords.wrong("THEAP", f"a place behind the rows, which have {rows} bytes")
        return Heap(self._file, self._unit.data_at + at, max(0, self._unit.data_bytes - at))

    def _batch(
        self, rows: Array, first: int, columns: Sequence[BinaryColumn | AsciiColumn], source: Source
    ) -> RawBatch:
        values, rejected = [], []
        for column in columns:
            try:
                decoded = column.decode(rows, source)
            except NotSingleError as error:
                raise not_single(self._path, column.name, str(error)) from error
            values.append(decoded.values)
            rejected += [Rejected(np.flatnonzero(unfit.where), column.name, unfit.reason) for unfit in decoded.misfits]
        numbers = np.arange(first + 1, first + len(rows) + 1)
        return RawBatch(numbers, pa.record_batch(values, names=[column.name for column in columns]), tuple(rejected))


def _columns(unit: Unit, keywords: Keywords, notes: list[str]) -> Sequence[BinaryColumn | AsciiColumn]:
    """Return the columns of a table, all of which have different names."""
    if keywords.whole("NAXIS") != 2 or keywords.value("BITPIX") != 8 or keywords.whole("GCOUNT", 1) != 1:
        raise ContributionError(
            f"{keywords.place} is no table that FITS allows", detail="NAXIS, BITPIX, GCOUNT: 2, 8, 1"
        )
    if keywords.flag("ZTABLE"):
        raise ContributionError(
            f"{keywords.place} is a compressed table", detail="ZTABLE is T.", hint="funpack makes it a plain one."
        )
    columns: Sequence[BinaryColumn | AsciiColumn] = (
        binary_columns(keywords, notes) if unit.table == "BINTABLE" else ascii_columns(keywords, notes)
    )
    if not columns or not keywords.whole("NAXIS1"):
        raise ContributionError(f"{keywords.place} is a table without columns, or with none that has values")
    check_names(Path(keywords.place), [column.name for column in columns])
    return columns


def _parts(rows: Array, columns: Sequence[BinaryColumn | AsciiColumn], heap: Heap) -> Iterator[Array]:
    """Yield rows so many together that their values on the heap can be read together, too; one at the least."""
    sizes = [column.sizes(rows, heap) for column in columns if isinstance(column, BinaryColumn) and column.descriptor]
    if not sizes or not len(rows):
        yield rows
        return
    ends = np.cumsum(sum(sizes))
    start = 0
    while start < len(rows):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _BATCH_BYTES, side="right")))
        yield rows[start:stop]
        start = stop


def _described(keywords: Keywords, number: int) -> dict[str, str]:
    """Return what the header says of a column."""
    told = {
        "unit": _unit(keywords, number),
        "ucd": keywords.values.get(f"TUCD{number}"),
        "description": keywords.values.get(f"TCOMM{number}"),
        **_frame(keywords, number),
    }
    return {key: text.strip() for key, text in told.items() if isinstance(text, str) and text.strip()}


def _unit(keywords: Keywords, number: int) -> object:
    """Return the unit of a column; both, which is none of angles, when the keyword stands twice."""
    name = f"TUNIT{number}"
    twice = keywords.repeated.get(name)
    return " and ".join(str(unit).strip() for unit in twice) if twice else keywords.values.get(name)


def _frame(keywords: Keywords, number: int) -> dict[str, str]:
    """Return the frame and the equinox of a coordinate, as far as the header says them.

    References
    ----------
    FITS 4.0 section 8.3: without RADESYS an equinox before 1984 means FK4, a later one FK5.
    """
    axis, ucd = (_told(keywords, f"{key}{number}") for key in ("TCTYP", "TUCD"))
    if other := _OTHER_AXIS.fullmatch(axis):
        return {"frame": _FRAMES.get(other[1] or other[2], axis)}
    if ucd and not ucd.lower().startswith(_MAY_BE_POSITIONS):
        return {}
    frame = _told(keywords, f"RADE{number}", "RADESYS", "RADECSYS")
    equinox = _told(keywords, f"EQUI{number}", "EQUINOX")
    if not frame and _YEAR.fullmatch(equinox):
        frame = "FK4" if float(equinox) < _FIRST_OF_FK5 else "FK5"
    return {"frame": frame, "equinox": equinox}


def _told(keywords: Keywords, *names: str) -> str:
    """Return the first of some keywords that is there, as text; both values of one that stands twice."""
    for name in names:
        if name in keywords.repeated:
            return " or ".join(map(str, keywords.repeated[name]))
        if text := str(keywords.values.get(name, "")).strip():
            return text
    return ""
