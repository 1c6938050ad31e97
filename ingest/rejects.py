"""Rows that an ingest turns away: counted by reason, and written with their raw values to a reject file.

The reject file is CSV: ``reject_row``, ``reject_column``, ``reject_reason``, then the columns of the input. When the
values are mended it can be ingested itself, with ``--ignore-extra``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from qserv_py.catalog.snapshot import IntArray
from qserv_py.errors import ContributionError
from qserv_py.ingest.values.converted import is_bytes

REJECT_COLUMNS = ("reject_row", "reject_column", "reject_reason")

_ROWS_NAMED = 5
"""Row numbers that a message names for each reason."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows turned away for one reason."""

    places: IntArray
    """Places of the rows in the batch, from 0."""

    column: str
    reason: str


@dataclass(slots=True)
class _Tally:
    count: int = 0
    first_rows: list[int] = field(default_factory=list)


class RejectLog:
    """The rejected rows of one input file; the reject file is made with the first of them.

    Parameters
    ----------
    path
        Reject file.
    columns
        Columns of the input.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.count = 0
        self._columns = tuple(name for name in columns if name not in REJECT_COLUMNS)
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._file: TextIO | None = None
        self._begun = False

    def add(self, numbers: IntArray, rows: pa.RecordBatch | pa.Table, rejected: Sequence[Rejected]) -> IntArray:
        """Write down rejected rows of a batch; a row counts once, for its first reason.

        Parameters
        ----------
        numbers
            Row numbers of the whole batch.
        rows
            Values of the whole batch, as the file holds them.

        Returns
        -------
        places
            All places turned away, ascending.
        """
        reason_of: npt.NDArray[np.int64] = np.full(len(numbers), -1, dtype=np.int64)
        for which, entry in enumerate(rejected):
            fresh = entry.places[reason_of[entry.places] < 0]
            reason_of[fresh] = which
        places = np.flatnonzero(reason_of >= 0)
        if len(places):
            for place, row in zip(places.tolist(), texts_of(rows.take(pa.array(places))), strict=True):
                entry = rejected[reason_of[place]]
                self.write(int(numbers[place]), entry.column, entry.reason, row)
        return places

    def write(self, number: int, column: str, reason: str, row: Mapping[str, str | None]) -> None:
        """Write down one rejected row."""
        tally = self._tallies.setdefault((column, reason), _Tally())
        tally.count += 1
        if len(tally.first_rows) < _ROWS_NAMED:
            tally.first_rows.append(number)
        self.count += 1
        cells = [str(number), column, reason, *(row.get(name) for name in self._columns)]
        self._open_file().write(_line(cells))

    def close(self) -> None:
        """Close the reject file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def describe(self) -> str:
        """Return the reasons with counts and first rows, for a message."""
        by_count = sorted(self._tallies.items(), key=lambda item: -item[1].count)
        return "; ".join(
            f"{tally.count} x {column + ': ' if column else ''}{reason} "
            f"({'row' if tally.count == 1 else 'rows'} {', '.join(map(str, tally.first_rows))}"
            f"{', ...' if tally.count > len(tally.first_rows) else ''})"
            for (column, reason), tally in by_count
        )

    def _open_file(self) -> TextIO:
        if self._file is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("w" if not self._begun else "a", newline="", encoding="utf-8")
            except OSError as error:
                raise ContributionError(
                    f"the reject file {self.path} cannot be written", detail=str(error), hint="--rejects DIR moves it."
                ) from error
            if not self._begun:
                self._file.write(_line([*REJECT_COLUMNS, *self._columns]))
                self._begun = True
        return self._file


def _line(cells: Iterable[str | None]) -> str:
    """Return a line of CSV in which NULL is nothing and an empty text two quotes, as it is read."""
    return ",".join("" if cell is None else _quoted(cell) for cell in cells) + "\n"


def _quoted(text: str) -> str:
    if text and not set(text) & set(',"\r\n'):
        return text
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def reject_paths(names: Sequence[str], directory: Path) -> list[Path]:
    """Return the reject file of each input: ``<input name>.rejects.csv``, numbered where names are the same."""
    seen: dict[str, int] = {}
    paths = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        number = f".{seen[name]}" if seen[name] > 1 else ""
        paths.append(directory / f"{name}{number}.rejects.csv")
    return paths


def texts_of(rows: pa.RecordBatch | pa.Table) -> list[dict[str, str | None]]:
    """Return rows as CSV shows them."""
    columns = [_texts(column) for column in rows.columns]
    return [dict(zip(rows.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]


def _texts(values: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Return values as text; bytes as hexadecimal digits."""
    if is_bytes(values.type):
        return [None if value is None else value.hex() for value in values.to_pylist()]
    try:
        # Arrow makes the texts, as Python knows neither nanoseconds nor years before 1.
        texts: list[str | None] = values.cast(pa.string()).to_pylist()
    except pa.ArrowException:  # nested types have no text in Arrow
        texts = [None if value is None else str(value) for value in values.to_pylist()]
    return texts
