"""What the user of ``qserv ingest butler`` asks for and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from qserv_py.errors import QservError
from qserv_py.ingest.butler.images import IMAGE_TYPES


class Reprocessed(StrEnum):
    """What to do with a dataset when the table has the rows of another one with the same data id."""

    REFUSE = "refuse"
    """The dataset fails, and the operator has to decide what becomes of it."""

    KEEP = "keep"
    """The dataset is passed over, and the table keeps the rows that it has."""

    ADD = "add"
    """The dataset's rows are added, save those whose id or key the table has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ButlerRequest:
    """A request of ``qserv ingest butler``: which datasets go into which table, and how."""

    collection: str
    dataset_type: str
    database: str
    table: str | None = None
    """Name of the table; None for the table that is called like the dataset type."""

    where: str = ""
    """Condition on the datasets, in the Butler's language."""

    reprocessed: Reprocessed = Reprocessed.REFUSE
    image_types: tuple[str, ...] = IMAGE_TYPES
    """Dataset types of the images that the rows were measured on, the best first."""

    ignore_extra: bool = False
    max_rejects: int = 0
    rejects_dir: Path | None = None
    publish: bool = False
    """Publish the database whenever rows have come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A dataset whose rows were not loaded, and why."""

    label: str
    error: QservError


@dataclass(slots=True, kw_only=True)
class Tally:
    """What an ingest of datasets has done so far."""

    datasets: int = 0
    """Datasets whose rows were loaded."""

    rows: int = 0
    rows_passed_over: int = 0
    """Rows of reprocessed datasets that the table has already."""

    images: int = 0
    there_before: int = 0
    """Datasets of the last look whose rows the table had."""

    passed_over: int = 0
    """Reprocessed datasets that were passed over."""

    failed: int = 0
    """Datasets that could not be loaded, or had no file at the last look."""

    snapshot: int | None = None
    """Number of the snapshot that was published last."""

    seconds: float = 0.0
    """Seconds spent on loading."""
