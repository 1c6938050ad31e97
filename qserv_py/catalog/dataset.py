"""Datasets of a Butler repository as the registry knows them: those whose rows a table has, and images beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

FORMER_DATASET_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "single_visit_star_unstandardized": "single_visit_star",
        "recalibrated_star_detector": "source_detector",
        "recalibrated_star": "source",
    }
)
"""What our pipelines called tables of theirs before these got Rubin's names, by today's name."""


def names_of_type(dataset_type: str) -> tuple[str, ...]:
    """Return the names under which datasets of a type may have been loaded, the one that is given first."""
    others = (pair for pair in FORMER_DATASET_TYPES.items() if dataset_type in pair)
    return (dataset_type, *(name for pair in others for name in pair if name != dataset_type))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDataset:
    """A dataset that becomes rows of a table."""

    number: int
    """What its rows call it: 8 bytes instead of the 16 of its id or the long name of its run."""

    dataset_id: UUID
    """What the Butler calls it, in every repository."""

    dataset_type: str
    run: str
    """Collection that it was written to."""

    data_id: Mapping[str, object]
    """Required dimensions and their values, such as instrument and visit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that rows of a database were measured on."""

    dataset_id: UUID
    dataset_type: str
    run: str
    repository: str
    """Where the Butler is."""

    instrument: str
    visit: int
    detector: int | None
    """None for an image of all detectors."""

    visit_name: str
    physical_filter: str
    band: str
    target: str | None
    exposure_s: float | None
    begin_mjd: float | None
    """UTC."""

    end_mjd: float | None
    ra: float | None
    dec: float | None
    field_deg: float | None
    """Diameter of a circle around the centre that holds the region."""

    region: tuple[float, ...] | None
    """Corners, ra and dec of each, counter-clockwise as seen from inside the sphere."""
