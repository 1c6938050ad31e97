"""Reads input files into a spool: rows are converted and get their place, those that do not fit are turned away.

For example, the row ``1,200,95`` of ``id,ra,dec`` has a declination that does not exist: it goes to the reject file
with this reason, and the rows before and behind it go on.

Reading goes on in a thread while the rows of the batch before are worked on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from qserv_py.catalog.model import HEALPIX_COLUMN, Table, names_of
from qserv_py.catalog.snapshot import IntArray
from qserv_py.counts import counted
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.masks import without_masks
from qserv_py.ingest.files.reader import RawBatch, Reader
from qserv_py.ingest.inputs import Input
from qserv_py.ingest.places.locators import Locator
from qserv_py.ingest.prefetch import read_ahead
from qserv_py.ingest.rejects import RejectLog, reject_paths, texts_of
from qserv_py.ingest.requests import InputOptions
from qserv_py.ingest.values.row_converter import RowConverter
from qserv_py.workers.parts import part_schema

ROW_COLUMN = "qserv_row"
"""Number of a row over all files, beside its own columns while it is spooled."""

_FILE_SHIFT = 40
"""Bits that the number of a row within its file takes in its number over all files."""

_NO_ROWS: IntArray = np.empty(0, dtype=np.int64)


@dataclass(slots=True)
class InputFile:
    """One input and what came of it so far."""

    input: Input
    rejects: RejectLog
    sources: Mapping[str, str]
    """Name of the file's column that fills each column of the table."""

    rows_read: int = 0
    rows_known: int = 0
    """Rows passed over because the table has them, when the options ask for that."""

    notes: tuple[str, ...] = ()
    """What was done to values and what looks odd, a sentence each."""

    @property
    def rows_loaded(self) -> int:
        """Rows that were accepted."""
        return self.rows_read - self.rejects.count - self.rows_known


class Intake:
    """Takes the rows of input files.

    Parameters
    ----------
    table
        Table of the rows.
    accept
        Called with each batch of accepted rows: the table's columns, for partitioned tables ``healpix29``, and
        ``qserv_row``.
    locator
        Gives rows their place; None for a ref table without a key.
    progress
        Called with the rows read so far, and all rows where that is known.
    files
        Empty list that the files are put into, for callers who want to see them when reading fails.
    """

    def __init__(
        self,
        table: Table,
        *,
        options: InputOptions,
        accept: Callable[[pa.Table], None],
        locator: Locator | None,
        progress: Callable[[int, int | None], None],
        files: list[InputFile],
    ) -> None:
        self._table = table
        self._options = options
        self._accept = accept
        self._locator = locator
        self._progress = progress
        self._done = 0
        self._schema = part_schema(table).append(pa.field(ROW_COLUMN, pa.int64()))
        self.files = files

    def read(self, inputs: Sequence[Input], *, rejects_dir: Path) -> None:
        """Read all inputs.

        Raises
        ------
        ContributionError
            If a file cannot be read or has the wrong columns; all headers are looked at before the first row.
        """
        opened: list[tuple[Reader, RowConverter]] = []
        reject_files = reject_paths([input.file_name for input in inputs], rejects_dir)
        for input, reject_file in zip(inputs, reject_files, strict=True):
            reader = without_masks(input.open(), known=names_of(self._table.columns))
            converter = RowConverter(input.label, reader.names, self._table, self._options, told=reader.described)
            opened.append((reader, converter))
            self.files.append(InputFile(input, RejectLog(reject_file, reader.names), converter.sources))
        totals = [reader.total_rows for reader, _ in opened]
        total = None if None in totals else sum(rows or 0 for rows in totals)
        for number, (reader, converter) in enumerate(opened):
            self._read_file(number, reader, converter, total)

    def reject(self, rows: pa.Table, column: str, reason: str) -> None:
        """Turn away rows that were accepted before, given as they were handed over."""
        numbers = rows.column(ROW_COLUMN).to_pylist()
        for number, values in zip(numbers, texts_of(rows), strict=True):
            file = self.files[number >> _FILE_SHIFT]
            raw = {name: values[column] for column, name in file.sources.items()}
            file.rejects.write(number & ((1 << _FILE_SHIFT) - 1), column, reason, raw)

    def pass_over(self, rows: IntArray) -> None:
        """Count rows that were accepted before as known; ``rows`` are their numbers over all files."""
        for number, count in zip(*np.unique(rows >> _FILE_SHIFT, return_counts=True), strict=True):
            self.files[int(number)].rows_known += int(count)

    def _read_file(self, number: int, reader: Reader, converter: RowConverter, total: int | None) -> None:
        file = self.files[number]
        names = reader.names
        if self._options.ignore_extra:  # without this option the file has no columns that are not used
            names = tuple(converter.sources.values())
        with read_ahead(reader.batches(names)) as batches:
            for batch in batches:
                if batch.rows.num_rows:
                    self._take(number, batch, converter)
                file.rows_read += batch.rows.num_rows
                self._done += batch.rows.num_rows
                self._progress(self._done, total)
        for row in reader.malformed.rows:
            file.rejects.write(row.number, "", row.reason, {reader.names[0]: row.text})
            file.rows_read += 1
        file.notes = (*reader.notes, *converter.notes())

    def _take(self, number: int, batch: RawBatch, converter: RowConverter) -> None:
        converted = converter.convert(batch.rows)
        located = None if self._locator is None else self._locator.locate(converted.columns)
        rejected = [*batch.rejected, *converted.rejected, *(located.rejected if located else ())]
        rows = (np.int64(number) << _FILE_SHIFT) | batch.numbers
        columns = dict(converted.columns)
        if located is not None:
            columns[HEALPIX_COLUMN] = pa.array(located.cells)
        columns[ROW_COLUMN] = pa.array(rows)
        accepted = pa.table([columns[name] for name in self._schema.names], names=self._schema.names)
        known = located.known if located is not None else _NO_ROWS
        if rejected or len(known):
            keep = np.ones(len(rows), dtype=np.bool_)
            keep[self.files[number].rejects.add(batch.numbers, batch.rows, rejected)] = False
            self.files[number].rows_known += int(keep[known].sum())
            keep[known] = False
            accepted = accepted.filter(pa.array(keep)).combine_chunks()
        if accepted.num_rows:
            self._hand_over(accepted)

    def _hand_over(self, accepted: pa.Table) -> None:
        if self._locator is not None:
            names = [name for name in accepted.column_names if name not in (HEALPIX_COLUMN, ROW_COLUMN)]
            columns = {name: accepted.column(name).combine_chunks() for name in names}
            rows = _numbers(accepted, ROW_COLUMN)
            cells = _numbers(accepted, HEALPIX_COLUMN) if HEALPIX_COLUMN in accepted.column_names else rows
            self._locator.accept(columns, cells, rows)
        self._accept(accepted.cast(self._schema))


def _numbers(rows: pa.Table, name: str) -> IntArray:
    numbers: IntArray = rows.column(name).to_numpy()
    return numbers


def check_rejects(files: Sequence[InputFile], *, max_rejects: int) -> None:
    """Fail if a file has more rejected rows than allowed.

    Raises
    ------
    ContributionError
        Names the first such file, counts its reasons, and says where the rows are.
    """
    failed = [file for file in files if file.rejects.count > max_rejects]
    if not failed:
        return
    for file in files:
        file.rejects.close()
    worst = failed[0]
    more = len(failed) - 1
    others = f"; {more} more {'file has' if more == 1 else 'files have'} too many" if more else ""
    raise ContributionError(
        f"{worst.input.label}: {worst.rejects.count:,} of {counted(worst.rows_read, 'row')} rejected, "
        f"--max-rejects allows {max_rejects}{others}; nothing was loaded",
        detail="\n        ".join(f"{file.input.file_name}: {file.rejects.describe()}" for file in failed),
        hint=f"The rows with reasons are in {', '.join(str(file.rejects.path) for file in failed)}. "
        "Mend them, or let them go with --max-rejects.",
    )
