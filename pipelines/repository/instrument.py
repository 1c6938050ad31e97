"""Step 2: the instrument's dimensions, and its description as a calibration that is always valid."""

from __future__ import annotations

from pathlib import Path

from lsst.daf.butler import Butler, DatasetIdGenEnum, DatasetRef, Timespan
from lsst.daf.butler.registry import ConflictingDefinitionError

from qserv_py.errors import NotFoundError, RepositoryError, SchemaError
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.layout import make_camera
from qserv_py.pipelines.instrument.plain import from_plain
from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.repository.certification import certify
from qserv_py.pipelines.repository.dataset_types import INPUT_TYPES, dataset_type
from qserv_py.pipelines.repository.opening import first_line, has_collection, register_collection
from qserv_py.pipelines.repository.report import StepReport
from qserv_py.registry.schema_files.yaml_file import read_yaml


def read_camera(path: Path) -> Camera:
    """Read the description of a camera: its JSON, or the ``survey.yaml`` of a simulated survey.

    Raises
    ------
    NotFoundError
        If there is no such file.
    SchemaError, ConfigError
        If there is no camera in it; with the place.
    """
    if path.suffix == ".json":
        return Camera.from_json(_text(path), place=str(path))
    data = read_yaml(path).data
    if isinstance(data, dict) and "camera" in data:
        return from_plain(Camera, data["camera"], place=f"{path}: camera")
    if not isinstance(data, dict) or "detectors" not in data:
        raise SchemaError(f"{path} describes no camera", hint="Give the JSON of a camera, or a survey.yaml.")
    return from_plain(Camera, data, place=str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path} cannot be read: {error}") from error


def register_instrument(butler: Butler, camera: Camera | None = None, *, update: bool = False) -> StepReport:
    """Register QCam with its detectors, filters and description.

    Parameters
    ----------
    butler
        Of the repository, writeable.
    camera
        The camera; the one that is registered already, or else that of the demo, where None.
    update
        Whether a description that differs takes the place of the one that is there.

    Raises
    ------
    RepositoryError
        If another camera is registered and ``update`` does not allow the change.
    """
    report = StepReport(what="detectors")
    present = registered_camera(butler)
    chosen = camera or present or make_camera()
    instrument = QCam(camera=chosen)
    known = set(_detectors(butler))
    differs = RepositoryError(
        "the repository has another QCam: other detectors or filters",
        hint="--update changes it to this one; datasets that are there keep the numbers of their detectors.",
    )
    if present is not None and present != chosen and not update:
        raise differs
    for name in INPUT_TYPES:
        dataset_type(butler, name)
    try:
        instrument.register(butler.registry, update=update)
    except ConflictingDefinitionError as error:
        differs.detail = first_line(error)
        raise differs from error
    _put_camera(butler, instrument)
    numbers = {detector.id for detector in chosen.detectors}
    report.new, report.kept = len(numbers - known), len(numbers & known)
    return report


def registered_camera(butler: Butler) -> Camera | None:
    """Return the camera of a repository, None before it is registered."""
    if not has_collection(butler, _run()):
        return None
    found = butler.find_dataset("camera", instrument=QCam.getName(), collections=_run())
    return None if found is None else butler.get(found)


def need_camera(butler: Butler) -> Camera:
    """Return the camera of a repository.

    Raises
    ------
    NotFoundError
        If none is registered.
    """
    camera = registered_camera(butler)
    if camera is None:
        raise NotFoundError(
            "the repository knows no instrument", hint="qserv pipeline register-instrument REPO registers it."
        )
    return camera


def _run() -> str:
    return str(QCam().makeUnboundedCalibrationRunName())


def _detectors(butler: Butler) -> list[int]:
    if not butler.query_dimension_records("instrument", instrument=QCam.getName(), explain=False):
        return []
    found = butler.query_dimension_records("detector", instrument=QCam.getName(), explain=False)
    return [record.id for record in found]


def _put_camera(butler: Butler, instrument: QCam) -> None:
    run = _run()
    register_collection(butler, run)
    kind = dataset_type(butler, "camera")
    data_id = butler.registry.expandDataId(instrument=instrument.getName())
    ref = DatasetRef(kind, data_id, run=run, id_generation_mode=DatasetIdGenEnum.DATAID_TYPE_RUN)
    is_there = butler.find_dataset(kind, data_id, collections=run) is not None
    if is_there and butler.get(ref) != instrument.camera:
        butler.pruneDatasets([ref], disassociate=True, unstore=True, purge=True)
        is_there = False
    if not is_there:
        butler.put(instrument.camera, ref)
    certify(butler, [ref], Timespan(None, None))  # a kill may have come between the two
