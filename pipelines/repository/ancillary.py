"""Step 7: other ancillary data: tables that tests and users want beside the images, such as a simulation's truth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lsst.daf.butler import Butler, DataCoordinate, DatasetType

from qserv_py.errors import ImageFileError, QservError
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.repository.dataset_types import InputType, registered
from qserv_py.pipelines.repository.instrument import need_camera
from qserv_py.pipelines.repository.report import Progress, StepReport, unseen
from qserv_py.pipelines.repository.tables import ingest_files, present_ids, read_schema

_WHOLE = InputType(dimensions=("instrument",), storage_class="ArrowAstropy")
_OF_IMAGES = InputType(dimensions=("instrument", "exposure", "detector"), storage_class="ArrowAstropy")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IMAGE = re.compile(r"(?P<exposure>\d{13})_(?P<detector>\d{3})")


def ancillary_run(label: str) -> str:
    """Return the run of ancillary tables with a label."""
    return str(QCam().makeCollectionName("ancillary", label))


def ingest_ancillary(
    butler: Butler,
    directory: Path,
    *,
    label: str = "truth",
    transfer: str = "direct",
    progress: Progress = unseen,
) -> StepReport:
    """Ingest Parquet files: tables of the instrument, and tables of single images.

    Parameters
    ----------
    butler
        Of the repository, writeable.
    directory
        ``NAME.parquet`` in it becomes a dataset of type ``<label>_NAME`` of the instrument;
        ``NAME/<exposure>_<detector>.parquet`` becomes one of type ``<label>_NAME`` of the image.
    label
        What the tables have in common; part of the run's name, too.
    transfer
        One of ``TRANSFERS``.
    progress
        Is told of files.

    Returns
    -------
    report
        Files that are no Parquet, have a name that no dataset type can have, or are of an image that is not known are
        left out.
    """
    report = StepReport(what="ancillary tables")
    camera = need_camera(butler)
    if not directory.is_dir():
        report.leave_out(directory, "there is no such directory")
        return report
    run = ancillary_run(label)
    groups = {f"{label}_{path.stem}": (_WHOLE, [path]) for path in sorted(directory.glob("*.parquet"))}
    for one in sorted(path for path in directory.iterdir() if path.is_dir()):
        groups[f"{label}_{one.name}"] = (_OF_IMAGES, sorted(one.glob("*.parquet")))
    total = sum(len(paths) for _, paths in groups.values())
    done = 0
    for name, (kind, paths) in groups.items():
        try:
            if not _NAME.fullmatch(name):
                raise ImageFileError(f'"{name}" cannot be the name of a dataset type', hint="Rename the file.")
            known = registered(butler, name, kind)
            ready = list(_readable(butler, known, paths, run, camera, report))
            report.new += len(ingest_files(butler, known, ready, run=run, transfer=transfer))
        except QservError as error:
            report.leave_out(paths[0] if paths else directory, error)
        done += len(paths)
        progress("ancillary tables", done, total)
    return report


def _readable(
    butler: Butler, kind: DatasetType, paths: Iterable[Path], run: str, camera: Camera, report: StepReport
) -> Iterator[tuple[Path, DataCoordinate]]:
    present = present_ids(butler, kind, run)
    exposures = _exposures(butler) if "exposure" in kind.dimensions else set()
    for path in paths:
        try:
            image = _image_of(path, camera, exposures) if "exposure" in kind.dimensions else {}
            data_id = butler.registry.expandDataId(instrument=camera.name, **image)
            if data_id in present:
                report.kept += 1
                continue
            read_schema(path)
            yield path, data_id
        except QservError as error:
            report.leave_out(path, error)


def _image_of(path: Path, camera: Camera, exposures: set[int]) -> dict[str, int]:
    match = _IMAGE.fullmatch(path.stem)
    if match is None:
        raise ImageFileError(f"{path} is not named after an image", hint="As 2026112000001_000.parquet.")
    exposure, detector = int(match["exposure"]), int(match["detector"])
    if exposure not in exposures:
        raise ImageFileError(f"{path}: the repository has no exposure {exposure}", hint="Ingest raws first.")
    return {"exposure": exposure, "detector": camera.detector(detector).id}


def _exposures(butler: Butler) -> set[int]:
    found = butler.query_dimension_records("exposure", instrument=QCam.getName(), explain=False, limit=None)
    return {record.id for record in found}
