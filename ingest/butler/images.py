"""The images that the rows of datasets were measured on: found by visit, described from the Butler's own records."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from qserv_py.catalog.dataset import Image
from qserv_py.ingest.butler.repository import Ref, Repository

IMAGE_TYPES = ("visit_image", "preliminary_visit_image")
"""Dataset types of images, the best first."""


def images_of(repository: Repository, collection: str, image_types: Sequence[str], refs: Sequence[Ref]) -> list[Image]:
    """Return the images of the visits of some datasets: of each visit those of the first type that it has any of."""
    visits: dict[str, set[int]] = defaultdict(set)
    for ref in refs:
        if "visit" in ref.dataId:
            visits[ref.dataId["instrument"]].add(ref.dataId["visit"])
    found: list[Image] = []
    for instrument, wanted in visits.items():
        for image_type in image_types:
            if not wanted:
                break
            images = [
                image_of(repository, ref)
                for ref in repository.images(collection, image_type, instrument=instrument, visits=sorted(wanted))
            ]
            wanted -= {image.visit for image in images}
            found += images
    return found


def image_of(repository: Repository, ref: Ref) -> Image:
    """Return the description of an image from a dataset reference with dimension records."""
    data_id = ref.dataId
    visit = data_id.records["visit"]
    centre, field_deg, corners = _outline(data_id.region)
    begin, end = (visit.timespan.begin, visit.timespan.end) if visit.timespan is not None else (None, None)
    return Image(
        dataset_id=ref.id,
        dataset_type=ref.datasetType.name,
        run=ref.run,
        repository=repository.location,
        instrument=data_id["instrument"],
        visit=data_id["visit"],
        detector=data_id.get("detector"),
        visit_name=visit.name,
        physical_filter=data_id["physical_filter"],
        band=data_id["band"],
        target=visit.target_name,
        exposure_s=visit.exposure_time,
        begin_mjd=None if begin is None else float(begin.utc.mjd),
        end_mjd=None if end is None else float(end.utc.mjd),
        ra=centre[0] if centre else None,
        dec=centre[1] if centre else None,
        field_deg=field_deg,
        region=corners,
    )


def _outline(region: Any) -> tuple[tuple[float, float] | None, float | None, tuple[float, ...] | None]:
    """Return centre, diameter and corners of a region; None for what it does not have."""
    if region is None:
        return None, None, None
    circle = region.getBoundingCircle()
    centre = region.getCentroid() if hasattr(region, "getCentroid") else circle.getCenter()
    corners = [_degrees(vertex) for vertex in region.getVertices()] if hasattr(region, "getVertices") else []
    flat = tuple(value for corner in corners for value in corner) if len(corners) > 2 else None
    return _degrees(centre), 2 * circle.getOpeningAngle().asDegrees(), flat


def _degrees(vector: Any) -> tuple[float, float]:
    """Return right ascension and declination of a unit vector."""
    ra = math.degrees(math.atan2(vector.y(), vector.x())) % 360.0
    dec = math.degrees(math.atan2(vector.z(), math.hypot(vector.x(), vector.y())))
    return (0.0 if ra == 360.0 else ra), dec
