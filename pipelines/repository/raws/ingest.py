"""Step 3: raw exposures, of the sky and of calibrations."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from astropy.time import Time
from lsst.daf.butler import Butler, DatasetIdGenEnum, DatasetRef, FileDataset, Timespan
from sqlalchemy.exc import OperationalError

from qserv_py.errors import ImageFileError, QservError
from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.repository.dataset_types import dataset_type
from qserv_py.pipelines.repository.instrument import need_camera
from qserv_py.pipelines.repository.opening import file_uri, register_collection
from qserv_py.pipelines.repository.raws.files import RawFile, checked_raws, exposure_records, find_raws, named
from qserv_py.pipelines.repository.report import Progress, StepReport, unseen

TRANSFERS = ("direct", "copy", "link", "hardlink", "symlink", "move")
"""How files come into the repository: left where they are, copied, ..."""

_BATCH = 400  # files of one transaction of the registry
_TIMES = ("datetime_begin", "datetime_end")


def ingest_raws(
    butler: Butler, places: Iterable[Path], *, transfer: str = "direct", progress: Progress = unseen
) -> StepReport:
    """Ingest raw files with the records of their exposures; those that are there are kept.

    Parameters
    ----------
    butler
        Of the repository, writeable.
    places
        Files, and directories that are searched at any depth.
    transfer
        One of ``TRANSFERS``.
    progress
        Is told of files.

    Returns
    -------
    report
        Files that are wrong are left out, the others are ingested. One exposure is ingested whole or, where some of
        its files are wrong, without these; later runs add them.

    Raises
    ------
    NotFoundError
        If no instrument is registered.
    """
    report = StepReport(what="raw files")
    camera = need_camera(butler)
    run = QCam().makeDefaultRawIngestRunName()
    register_collection(butler, run)
    paths = find_raws(places, report)
    done = 0
    for batch in _batches(paths):
        present = _present_raws(butler, run, {name[0] for name in map(named, batch) if name is not None})
        fresh = [path for path in batch if named(path) not in present]
        report.kept += len(batch) - len(fresh)
        _ingest(butler, _by_exposure(checked_raws(fresh, camera, report), report), run, transfer, report)
        done += len(batch)
        progress("raw files", done, len(paths))
    return report


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Yield files by name, those of an exposure together."""
    batch: list[Path] = []
    by_name = sorted(paths, key=lambda path: path.name)
    for _, of_exposure in itertools.groupby(by_name, key=lambda path: path.name.rpartition("_")[0]):
        batch += of_exposure
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _by_exposure(files: Iterable[RawFile], report: StepReport) -> list[list[RawFile]]:
    exposures: dict[int, dict[int, RawFile]] = {}
    for file in files:
        first = exposures.setdefault(file.info.exposure, {}).setdefault(file.detector, file)
        if first is not file:
            report.leave_out(file.path, f"is the same detector of the same exposure as {first.path}")
    return [list(detectors.values()) for detectors in exposures.values()]


def _ingest(butler: Butler, exposures: Sequence[list[RawFile]], run: str, transfer: str, report: StepReport) -> None:
    """Ingest exposures in one transaction; where it fails, one by one, so that only the wrong one is left out."""
    known = _present_exposures(butler, [files[0].info.exposure for files in exposures])
    ready: list[tuple[list[RawFile], dict[str, dict[str, Any]]]] = []
    for files in exposures:
        place = files[0].path.parent
        try:
            records = exposure_records(files)
            _check_known(records["exposure"], known.get(files[0].info.exposure))
            ready.append((files, records))
        except QservError as error:
            report.leave_out(place, error)
    try:
        _ingest_together(butler, ready, run, transfer, report)
    except OperationalError:  # the registry does not answer: nothing else would go in, either
        raise
    except Exception as error:  # of the registry, the file system or an object store: any of many kinds
        if len(ready) == 1:
            report.leave_out(ready[0][0][0].path.parent, f"{type(error).__name__}: {error}")
            return
        for one in ready:
            _ingest(butler, [one[0]], run, transfer, report)


def _ingest_together(
    butler: Butler,
    exposures: Sequence[tuple[list[RawFile], dict[str, dict[str, Any]]]],
    run: str,
    transfer: str,
    report: StepReport,
) -> None:
    if not exposures:
        return
    kind = dataset_type(butler, "raw")
    registry = butler.registry
    with butler.transaction():
        for element in ("day_obs", "group", "exposure"):
            rows = {repr(records[element]): _row(records[element]) for _, records in exposures}
            registry.insertDimensionData(element, *rows.values(), skip_existing=True)
        datasets = []
        for files, _ in exposures:
            for file in files:
                data_id = registry.expandDataId(
                    instrument=file.info.instrument, exposure=file.info.exposure, detector=file.detector
                )
                ref = DatasetRef(kind, data_id, run=run, id_generation_mode=DatasetIdGenEnum.DATAID_TYPE_RUN)
                datasets.append(FileDataset(path=file_uri(file.path), refs=[ref]))
        butler.ingest(*datasets, transfer=transfer, skip_existing=True)
    report.new += len(datasets)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    row = {key: value for key, value in record.items() if key not in _TIMES}
    if "datetime_begin" in record:
        times = (Time(record[key].isoformat(), scale="tai") for key in _TIMES)
        row["timespan"] = Timespan(*times)
    return row


def _present_exposures(butler: Butler, numbers: list[int]) -> dict[int, Any]:
    with butler.query() as query:
        x = query.expression_factory
        chosen = query.where(instrument=QCam.getName()).where(x.exposure.in_iterable(numbers))
        return {record.id: record for record in chosen.dimension_records("exposure")}


def _present_raws(butler: Butler, run: str, numbers: set[int]) -> set[tuple[int, int]]:
    with butler.query() as query:
        x = query.expression_factory
        chosen = query.where(instrument=QCam.getName()).where(x.exposure.in_iterable(numbers))
        refs = chosen.datasets("raw", collections=run, find_first=False)
        return {(ref.dataId["exposure"], ref.dataId["detector"]) for ref in refs}


def _check_known(record: dict[str, Any], known: Any) -> None:
    if known is None:
        return
    row = _row(record)
    for key, value in known.toDict().items():
        if key in row and row[key] != value:
            raise ImageFileError(
                f"exposure {known.id} is in the repository with {key} {value}; the files say {row[key]}",
                hint="One of the two is another exposure's: check which, and where its files come from.",
            )
