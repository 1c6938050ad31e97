"""Step 4: finished calibrations, from files or from a run of the calibration builders, with the time of their validity.

Raw bias, dark and flat exposures are raws as others are and come in step 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from lsst.daf.butler import Butler, DataCoordinate, Timespan

from qserv_py.errors import ImageFileError, NotFoundError, QservError
from qserv_py.hints import did_you_mean
from qserv_py.pipelines.images.fits_file import read_exposure
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.repository.certification import certify
from qserv_py.pipelines.repository.dataset_types import INPUT_TYPES, dataset_type
from qserv_py.pipelines.repository.instrument import need_camera
from qserv_py.pipelines.repository.opening import has_collection
from qserv_py.pipelines.repository.report import Progress, StepReport, unseen
from qserv_py.pipelines.repository.tables import ingest_files, need_columns, present_ids

CALIBRATIONS = tuple(name for name, kind in INPUT_TYPES.items() if kind.calibration and name != "camera")
"""Dataset types that are certified."""

DEFECT_COLUMNS = {"x0": "int64", "y0": "int64", "width": "int64", "height": "int64"}
"""Of ``defects``: rectangles of pixels of the trimmed detector."""

_NAME = re.compile(r"(?P<kind>[a-z]+)_(?P<detector>\d{3})(_(?P<filter>\w+))?\.(?P<suffix>fits|parquet)")


def ingest_calibrations(
    butler: Butler,
    places: Iterable[Path],
    *,
    label: str,
    timespan: Timespan,
    transfer: str = "copy",
    progress: Progress = unseen,
) -> StepReport:
    """Ingest files of finished calibrations and certify them; those that are there are kept.

    Parameters
    ----------
    butler
        Of the repository, writeable.
    places
        Files named ``bias_000.fits``, ``dark_000.fits``, ``flat_000_q_r.fits``, ``defects_000.parquet``: type,
        detector, filter; and directories with such files.
    label
        Part of the run's name: ``QCam/calib/<label>``.
    timespan
        When they are valid.
    transfer
        One of ``TRANSFERS``.
    progress
        Is told of files.
    """
    report = StepReport(what="calibrations")
    camera = need_camera(butler)
    run = str(QCam().makeCalibrationCollectionName(label))
    paths = _files(places, report)
    for number, path in enumerate(paths, start=1):
        try:
            name, data_id = _read(butler, path, camera)
            kind = dataset_type(butler, name)
            if data_id in present_ids(butler, kind, run):
                report.kept += 1
            else:
                ingest_files(butler, kind, [(path, data_id)], run=run, transfer=transfer)
                report.new += 1
            ref = butler.find_dataset(kind, data_id, collections=run)
            certify(butler, [ref], timespan)
        except QservError as error:
            report.leave_out(path, error)
        progress("calibrations", number, len(paths))
    return report


def known_types(names: Sequence[str]) -> Sequence[str]:
    """Return dataset types of calibrations by their names; all of them where none is named.

    Raises
    ------
    NotFoundError
        If one is not known.
    """
    for name in names:
        if name not in CALIBRATIONS:
            raise NotFoundError(f'"{name}" is no type of calibration', hint=f"There are {', '.join(CALIBRATIONS)}.")
    return names or CALIBRATIONS


def certify_run(butler: Butler, run: str, timespan: Timespan, *, types: Sequence[str] = CALIBRATIONS) -> StepReport:
    """Certify the calibrations that a run or chain of runs has, as the calibration builders made them.

    Raises
    ------
    NotFoundError
        If there is no such collection, or nothing to certify in it.
    RepositoryError
        If others are valid at that time; nothing is certified then.
    """
    if not has_collection(butler, run):
        known = list(butler.collections.query("*"))
        listing = "`qserv pipeline show` lists them."
        raise NotFoundError(
            f'the repository has no collection "{run}"', hint=f"{did_you_mean(run, known)} {listing}".strip()
        )
    refs = []
    for name in types:
        kind = dataset_type(butler, name)
        refs += butler.query_datasets(kind, collections=run, find_first=True, explain=False, limit=None)
    if not refs:
        raise NotFoundError(f'collection "{run}" has none of {", ".join(types)}')
    return certify(butler, refs, timespan)


def _files(places: Iterable[Path], report: StepReport) -> list[Path]:
    found: set[Path] = set()
    for place in places:
        if place.is_dir():
            found |= {path for path in place.iterdir() if path.suffix in (".fits", ".parquet")}
        elif place.exists():
            found.add(place)
        else:
            report.leave_out(place, "there is no such file or directory")
    return sorted(found)


def _read(butler: Butler, path: Path, camera: Camera) -> tuple[str, DataCoordinate]:
    match = _NAME.fullmatch(path.name)
    if (
        match is None
        or match["kind"] not in CALIBRATIONS
        or (match["suffix"] == "fits") == (match["kind"] == "defects")
    ):
        raise ImageFileError(
            f"{path} is not named as a calibration",
            hint="As bias_000.fits, dark_000.fits, flat_000_q_r.fits, defects_000.parquet: type, detector, filter.",
        )
    values: dict[str, object] = {"instrument": camera.name, "detector": int(match["detector"])}
    detector = camera.detector(int(match["detector"]))
    filters = [one.physical_filter for one in camera.filters]
    if match["kind"] == "flat":
        if match["filter"] not in filters:
            raise ImageFileError(
                f"{path} is a flat of the filter {match['filter']}", hint=f"There are {', '.join(filters)}."
            )
        values["physical_filter"] = match["filter"]
    elif match["filter"]:
        raise ImageFileError(f"{path}: only flats are of a filter")
    if match["kind"] == "defects":
        need_columns(path, DEFECT_COLUMNS)
    else:
        exposure = read_exposure(path, name=str(path))
        if exposure.image.shape != detector.shape:
            raise ImageFileError(
                f"{path} has the shape {exposure.image.shape}, detector {detector.id} {detector.shape}"
            )
        number = exposure.header.get("DETECTOR", detector.id)
        if number != detector.id:
            raise ImageFileError(f"{path}: the header says detector {number}")
    return match["kind"], butler.registry.expandDataId(**values)
