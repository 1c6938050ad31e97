"""Step 8: visits, each of one science exposure, with the regions of the sky that they saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from lsst.daf.butler import Butler, DatasetRef, DimensionRecord
from lsst.sphgeom import Region

from qserv_py.errors import ImageFileError, QservError
from qserv_py.pipelines.images.wcs_cards import wcs_of
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.qcam import VISIT_SYSTEM, QCam
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.repository.instrument import need_camera
from qserv_py.pipelines.repository.raws.footprints import PADDING_ARCSEC, convex_hull, detector_points, padded_hull
from qserv_py.pipelines.repository.report import Progress, StepReport, unseen

_BATCH = 50  # visits of one transaction


def define_visits(butler: Butler, *, padding_arcsec: float = PADDING_ARCSEC, progress: Progress = unseen) -> StepReport:
    """Define a visit for every science exposure whose raws are there.

    A visit that was defined before some of its detectors arrived gets their regions, and its own grows.

    Parameters
    ----------
    butler
        Of the repository, writeable.
    padding_arcsec
        How far regions reach beyond what the headers say.
    progress
        Is told of visits.

    Returns
    -------
    report
        Exposures whose headers have no coordinates are left out.

    Raises
    ------
    NotFoundError
        If no instrument is registered.
    """
    report = StepReport(what="visits")
    camera = need_camera(butler)
    exposures = _science_exposures(butler)
    numbers = sorted(exposures)
    for start in range(0, len(numbers), _BATCH):
        chosen = numbers[start : start + _BATCH]
        raws = _raws(butler, chosen)
        known = _known_regions(butler, chosen)
        with butler.transaction():
            for number in chosen:
                try:
                    _define(butler, exposures[number], raws[number], known, camera, padding_arcsec, report)
                except QservError as error:
                    report.leave_out(f"exposure {number}", error)
        progress("visits", start + len(chosen), len(numbers))
    return report


def _science_exposures(butler: Butler) -> dict[int, DimensionRecord]:
    found = butler.query_dimension_records(
        "exposure", instrument=QCam.getName(), where="exposure.observation_type = 'science'", explain=False, limit=None
    )
    return {record.id: record for record in found}


def _raws(butler: Butler, numbers: list[int]) -> dict[int, list[DatasetRef]]:
    raws: dict[int, list[DatasetRef]] = {number: [] for number in numbers}
    with butler.query() as query:
        x = query.expression_factory
        chosen = query.where(instrument=QCam.getName()).where(x.exposure.in_iterable(numbers))
        for ref in chosen.datasets("raw", collections=QCam().makeDefaultRawIngestRunName()):
            raws[ref.dataId["exposure"]].append(ref)
    return raws


def _known_regions(butler: Butler, numbers: list[int]) -> dict[tuple[int, int], Region]:
    with butler.query() as query:
        x = query.expression_factory
        chosen = query.where(instrument=QCam.getName()).where(x.visit.in_iterable(numbers))
        records = chosen.dimension_records("visit_detector_region")
        return {(record.visit, record.detector): record.region for record in records}


def _define(
    butler: Butler,
    exposure: DimensionRecord,
    raws: Iterable[DatasetRef],
    known: Mapping[tuple[int, int], Region],
    camera: Camera,
    padding_arcsec: float,
    report: StepReport,
) -> None:
    regions: dict[int, Region] = {number: region for (visit, number), region in known.items() if visit == exposure.id}
    missing = sorted(
        (ref for ref in raws if ref.dataId["detector"] not in regions), key=lambda ref: ref.dataId["detector"]
    )
    if not missing:
        if regions:
            report.kept += 1
            return
        raise ImageFileError(
            "no raw file of it is in the repository", hint="Ingest its raws, then define visits again."
        )
    new = {}
    for ref in missing:
        number = ref.dataId["detector"]
        points = _border(butler, ref, camera.detector(number).shape)
        new[number] = padded_hull(points, padding_arcsec=padding_arcsec)
    corners = np.concatenate([_vertices(region) for region in (*regions.values(), *new.values())])
    _insert(butler, exposure, convex_hull(corners), new, update=bool(regions))
    report.new += 1


def _border(butler: Butler, ref: DatasetRef, shape: tuple[int, int]) -> FloatArray:
    name = f"the raw of exposure {ref.dataId['exposure']}, detector {ref.dataId['detector']}"
    wcs = wcs_of(butler.get(ref.makeComponentRef("header")), name=name)
    if wcs is None:
        raise ImageFileError(f"{name} has no coordinates in its header")
    points = detector_points(wcs, shape)
    if not np.isfinite(points).all():
        raise ImageFileError(f"{name} has coordinates that are not on the sky")
    return points


def _vertices(region: Any) -> FloatArray:
    return np.array([[vertex.x(), vertex.y(), vertex.z()] for vertex in region.getVertices()])


def _insert(
    butler: Butler, exposure: DimensionRecord, region: Region, detectors: Mapping[int, Region], *, update: bool
) -> None:
    registry, name, number = butler.registry, exposure.instrument, exposure.id
    visit = {"instrument": name, "id": number, "name": exposure.obs_id, "region": region, "timespan": exposure.timespan}
    for key in (
        "physical_filter",
        "day_obs",
        "seq_num",
        "exposure_time",
        "target_name",
        "observation_reason",
        "science_program",
        "azimuth",
        "zenith_angle",
    ):
        visit[key] = getattr(exposure, key)
    registry.syncDimensionData("visit", visit, update=update)
    if not update:
        registry.insertDimensionData("visit_definition", {"instrument": name, "visit": number, "exposure": number})
        member = {"instrument": name, "visit": number, "visit_system": VISIT_SYSTEM}
        registry.insertDimensionData("visit_system_membership", member)
    registry.insertDimensionData(
        "visit_detector_region",
        *({"instrument": name, "visit": number, "detector": one, "region": own} for one, own in detectors.items()),
    )
