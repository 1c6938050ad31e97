"""Step 7: other ancillary data: tables that tests and users want beside the images, such as a simulation's truth."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lsst.daf.butler import Butler

from qserv_py.errors import ImageFileError, QservError
from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.repository.dataset_types import InputType, registered
from qserv_py.pipelines.repository.instrument import need_camera
from qserv_py.pipelines.repository.report import StepReport
from qserv_py.pipelines.repository.tables import ingest_files, present_ids, read_schema

_TABLE = InputType(dimensions=("instrument",), storage_class="ArrowAstropy")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def ancillary_run(label: str) -> str:
    """Return the run of ancillary tables with a label."""
    return str(QCam().makeCollectionName("ancillary", label))


def ingest_ancillary(
    butler: Butler, places: Iterable[Path], *, label: str = "truth", transfer: str = "direct"
) -> StepReport:
    """Ingest Parquet files as datasets of the instrument, each of a type ``<label>_<name of the file>``.

    Parameters
    ----------
    butler
        Of the repository, writeable.
    places
        Files, and directories of them.
    label
        What the tables have in common; part of the run's name, too.
    transfer
        One of ``TRANSFERS``.

    Returns
    -------
    report
        Files that are no Parquet or have a name that no dataset type can have are left out.
    """
    report = StepReport(what="ancillary tables")
    need_camera(butler)
    data_id = butler.registry.expandDataId(instrument=QCam.getName())
    run = ancillary_run(label)
    for path in sorted(_files(places, report)):
        try:
            name = f"{label}_{path.stem}"
            if not _NAME.fullmatch(name):
                raise ImageFileError(f'{path}: "{name}" cannot be the name of a dataset type', hint="Rename the file.")
            read_schema(path)
            kind = registered(butler, name, _TABLE)
            if present_ids(butler, kind, run):
                report.kept += 1
            else:
                report.new += len(ingest_files(butler, kind, [(path, data_id)], run=run, transfer=transfer))
        except QservError as error:
            report.leave_out(path, error)
    return report


def _files(places: Iterable[Path], report: StepReport) -> set[Path]:
    found: set[Path] = set()
    for place in places:
        if place.is_dir():
            found |= set(place.glob("*.parquet"))
        elif place.exists():
            found.add(place)
        else:
            report.leave_out(place, "there is no such file or directory")
    return found
