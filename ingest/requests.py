"""What the user of ingest asks for and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from qserv_py.errors import UserError


class InputFormat(StrEnum):
    """Format of an input file."""

    PARQUET = "parquet"
    CSV = "csv"
    FITS = "fits"
    VOTABLE = "votable"


_SUFFIXES = {
    ".parquet": InputFormat.PARQUET,
    ".parq": InputFormat.PARQUET,
    ".pq": InputFormat.PARQUET,
    ".csv": InputFormat.CSV,
    ".ecsv": InputFormat.CSV,
    ".tsv": InputFormat.CSV,
    ".tab": InputFormat.CSV,
    ".txt": InputFormat.CSV,
    ".fits": InputFormat.FITS,
    ".fit": InputFormat.FITS,
    ".vot": InputFormat.VOTABLE,
    ".votable": InputFormat.VOTABLE,
    ".xml": InputFormat.VOTABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """How input files are to be read."""

    format: InputFormat | None = None
    """Format of the files; None takes it from each file's suffix."""

    delimiter: str | None = None
    """Character between the fields of a CSV file; by default a comma, or a tab in ``.tsv`` files."""

    null: str = ""
    """Unquoted text that means NULL in a CSV file."""

    ignore_extra: bool = False
    """Leave out columns that the table does not have, instead of refusing the file."""

    keep_known: bool = False
    """Pass over rows whose id or key the table has already, instead of rejecting them."""

    encoding: str = "utf-8"
    """How the characters of a CSV file, or the texts of a FITS file, are written."""

    table_name: str | None = None
    """Table of a file that holds several: EXTNAME of FITS, name or ID of VOTable."""

    hdu: int | None = None
    """Table of a file that holds several, by number: the HDU of FITS (the primary one is 0), of VOTable from 1 on."""

    keep_nan: bool = False
    """Keep NaN as a number; by default it is NULL, as it is in every format that has no NULL of its own."""

    exact_times: bool = False
    """Reject times finer than a microsecond instead of rounding them."""

    wrap_ra: bool = False
    """Wrap right ascensions into [0, 360) degrees instead of rejecting those outside."""

    again: bool = False
    """Load files whose rows the table has already, where no key tells them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSummary:
    """What came of one input."""

    label: str
    """Path of a file, else what messages call it."""

    bytes: int
    rows_read: int
    rows_loaded: int
    """Rows that became part of the catalogue."""

    rows_rejected: int
    reject_file: Path | None
    notes: tuple[str, ...] = ()
    """What was done to values and what looks odd, a sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSummary:
    """What came of one ingest."""

    transaction_id: int
    database: str
    table: str
    files: tuple[FileSummary, ...]
    chunks: int
    """Chunks that got rows."""

    new_chunks: int
    orphans: int
    """Rows of a child table without a director's row, which stand at their own position."""

    parts: int
    """Files written, those of overlap and director index included."""

    seconds: float

    @property
    def rows_read(self) -> int:
        """Rows of all files."""
        return sum(file.rows_read for file in self.files)

    @property
    def rows_loaded(self) -> int:
        """Rows that became part of the catalogue."""
        return sum(file.rows_loaded for file in self.files)

    @property
    def rows_rejected(self) -> int:
        """Rows in reject files."""
        return sum(file.rows_rejected for file in self.files)

    @property
    def rows_per_second(self) -> float:
        """Rows that became part of the catalogue, per second."""
        return self.rows_loaded / self.seconds if self.seconds > 0 else 0.0


class IngestStage(StrEnum):
    """What an ingest is doing."""

    READING = "reading"
    STAGING = "writing parts"
    LOADING = "loading"


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest is in one stage."""

    stage: IngestStage
    done: int
    """Rows done so far in this stage."""

    total: int | None
    """Rows of the whole stage; None when that is not known."""


ProgressListener = Callable[[IngestProgress], None]
"""Called often, from any thread; must be quick."""


def ignore_progress(progress: IngestProgress) -> None:
    """Do nothing: the listener of an ingest whose progress nobody wants to see."""


def format_of(path: Path, options: InputOptions) -> InputFormat:
    """Return the format of a file: as the options say, else by its suffix (before ``.gz`` and the like).

    Raises
    ------
    UserError
        If neither tells.
    """
    if options.format is not None:
        return options.format
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in {".gz", ".bz2", ".xz", ".zst", ".lz4"}:
        suffixes.pop()
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    raise UserError(
        f"the format of {path} cannot be told from its name",
        hint=f"Give --format, one of {', '.join(InputFormat)}.",
    )
