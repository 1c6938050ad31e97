"""What every reader of a file gives: names, record batches with row numbers, and what cannot be a row.

A value comes as the file holds it (of CSV: as text, NaN as NaN, a number before it fits any column); what it becomes in
a table is decided in one place for all formats, ``ingest.values.conversion``. What a reader itself cannot give as it
stands in the file it never alters to fit: the row is rejected with place and reason, or the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from qserv_py.catalog.snapshot import IntArray
from qserv_py.counts import counted
from qserv_py.errors import ContributionError
from qserv_py.ingest.rejects import Rejected
from qserv_py.ingest.requests import InputFormat

ROWS_IN_BATCH = 1 << 17
"""Rows read together."""

MOST_MALFORMED = 100_000
"""Lines of a file that may be malformed. A file with more of them is probably not of the format that was named."""

MOST_COLUMNS = 10_000
"""Columns that a file may have; the widest tables of surveys have some 1,500."""

_LONGEST_KEPT = 1000
"""Characters that are kept of a malformed line."""


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some rows as the file holds them."""

    numbers: IntArray
    """Number of each row in its file, from 1, ascending."""

    rows: pa.RecordBatch

    rejected: tuple[Rejected, ...] = ()
    """Rows of the batch with a value that the reader could not give, NULL in ``rows``."""


@dataclass(frozen=True, slots=True)
class MalformedRow:
    """A line of a file that cannot be a row, such as one with too many fields."""

    number: int
    reason: str
    text: str


@dataclass(slots=True)
class MalformedRows:
    """The lines of a file that are no rows, in its order; a reader fills it as it goes.

    They are kept in memory, and a file of a stranger may hold nothing else: so there are ``MOST_MALFORMED`` of them at
    most, and of a long one the beginning.
    """

    rows: list[MalformedRow] = field(default_factory=list)

    def add(self, path: Path, number: int, reason: str, text: str) -> None:
        """Add a malformed line; ContributionError when there are too many."""
        if len(self.rows) == MOST_MALFORMED:
            raise ContributionError(
                f"{path} has more than {MOST_MALFORMED} rows of another width than its columns",
                detail=f"row {number}: {reason}",
            )
        shown = text if len(text) <= _LONGEST_KEPT else f"{text[:_LONGEST_KEPT]}..."
        self.rows.append(MalformedRow(number, reason, shown))


class Reader(Protocol):
    """One input file that is open for reading.

    Opening reads names and types, so ``batches`` gives columns of exactly ``types``.
    """

    names: tuple[str, ...]
    """Names of the columns, all different. Columns whose values cannot be read (arrays) are among them: asking for one
    fails."""

    types: Mapping[str, pa.DataType]
    """Arrow type of each column that can be read."""

    total_rows: int | None
    """Records of the file, counted by its own header or independently of the library that reads it; None when nothing
    tells."""

    malformed: MalformedRows
    described: Mapping[str, Mapping[str, str]]
    """What the file says of a column: ``unit``, ``ucd``, ``description``, ``xtype``, ``frame`` (of a position, such as
    ``ICRS`` or ``GALACTIC``), as far as it does."""

    notes: Sequence[str]
    """What the user should know of the file although it was read, a sentence each; may grow while it is read."""

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows, with the named columns only, from the first row; can be asked for once.

        A file that says types and has no rows gives one empty batch.

        Raises
        ------
        ContributionError
            If the file is damaged, a named column holds what is no single value (arrays, complex numbers), or there are
            more or fewer rows than ``total_rows``.
        """


def unreadable(path: Path, format: InputFormat, error: Exception, *, hint: str = "") -> ContributionError:
    """Return the error for a file that its library cannot read."""
    return ContributionError(
        f"{path} cannot be read as {format}",
        detail=" ".join(str(error).split()) or type(error).__name__,
        hint=hint or "--format says what a file is when its suffix does not.",
    )


def not_single(path: Path, name: str, what: str) -> ContributionError:
    """Return the error for a column that holds no single values; ``what`` says what it holds."""
    return ContributionError(
        f'column "{name}" of {path} holds {what}, not single values',
        hint="A column of a table holds one value a row; columns that the table does not have may hold others.",
    )


def check_names(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a file's columns; ContributionError if one stands twice or there are too many."""
    if len(names) > MOST_COLUMNS:
        raise ContributionError(f"{path} has {counted(len(names), 'column')}, at most {MOST_COLUMNS} are read")
    places: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        if name in places:
            raise ContributionError(
                f'{path} names column "{name}" more than once',
                detail=f"columns {places[name]} and {place} of {len(names)}",
                hint="Rename one of them in the file.",
            )
        places[name] = place
    return tuple(names)


def check_count(path: Path, *, counted: int, read: int) -> None:
    """Raise ContributionError unless as many rows were read (and rejected) as the file has."""
    if counted != read:
        raise ContributionError(
            f"{path} has {counted} rows, {read} could be read",
            hint="The file is damaged, or was changed while it was read.",
        )
