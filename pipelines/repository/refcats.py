"""Step 6: reference catalogues, a Parquet file for each triangle of HTM level 7."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from lsst.daf.butler import Butler, CollectionType
from lsst.sphgeom import HtmPixelization

from qserv_py.errors import ImageFileError, QservError
from qserv_py.partitioner.healpix import unit_vectors
from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.repository.dataset_types import dataset_type
from qserv_py.pipelines.repository.opening import first_line, register_collection
from qserv_py.pipelines.repository.report import Progress, StepReport, unseen
from qserv_py.pipelines.repository.tables import ingest_files, need_columns, present_ids

TYPE = "qcam_ref"
"""Dataset type of the reference catalogue."""

COLUMNS = {
    "id": "int64",
    "ra": "float",
    "dec": "float",
    "ra_error_mas": "float",
    "dec_error_mas": "float",
    "pm_ra_masyr": "float",
    "pm_dec_masyr": "float",
    "epoch_mjd": "float",
}
"""Columns that a shard needs, beside fluxes ``{band}_flux`` and ``{band}_flux_error`` in nJy."""

_LEVEL = 7
_FIRST, _LAST = 8 * 4**_LEVEL, 16 * 4**_LEVEL - 1
_TINY = 1e-12  # radians; a star on the border of two triangles may be in either
_BATCH = 200


def ingest_refcats(
    butler: Butler, places: Iterable[Path], *, transfer: str = "direct", progress: Progress = unseen
) -> StepReport:
    """Ingest shards of the reference catalogue; those that are there are kept.

    Parameters
    ----------
    butler
        Of the repository, writeable.
    places
        Files named as the triangle, ``<htm7>.parquet``, and directories with such files.
    transfer
        One of ``TRANSFERS``.
    progress
        Is told of shards.

    Returns
    -------
    report
        Files that are wrong are left out: another name, columns that are missing, stars outside the triangle.
    """
    report = StepReport(what="reference shards")
    kind = dataset_type(butler, TYPE)
    run = QCam.makeRefCatCollectionName(TYPE)
    register_collection(butler, run)
    _chain(butler, run)
    known = {data_id["htm7"] for data_id in present_ids(butler, kind, run)}
    paths = _shards(places, report)
    ready = []
    for number, path in enumerate(paths, start=1):
        try:
            shard = shard_of(path)
            if shard in known:
                report.kept += 1
                continue
            check_shard(path, shard)
            known.add(shard)
            ready.append((path, butler.registry.expandDataId(htm7=shard)))
        except QservError as error:
            report.leave_out(path, error)
        if len(ready) == _BATCH or number == len(paths):
            report.new += len(ingest_files(butler, kind, ready, run=run, transfer=transfer))
            ready = []
            progress("reference shards", number, len(paths))
    if ready:
        report.new += len(ingest_files(butler, kind, ready, run=run, transfer=transfer))
    return report


def shard_of(path: Path) -> int:
    """Return the triangle that a shard's file is named after.

    Raises
    ------
    ImageFileError
        If it is not named so.
    """
    if not path.stem.isascii() or not path.stem.isdigit() or not _FIRST <= int(path.stem) <= _LAST:
        raise ImageFileError(
            f"{path} is not named after a triangle of HTM level {_LEVEL}",
            hint=f"Numbers are {_FIRST} to {_LAST}, as in {_FIRST}.parquet.",
        )
    return int(path.stem)


def check_shard(path: Path, shard: int) -> None:
    """Check columns and positions of a shard.

    Raises
    ------
    ImageFileError
        If a column is missing, no band has a flux, or a star is not in the triangle.
    """
    need_columns(path, COLUMNS)
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ImageFileError(f"{path} is damaged: {first_line(error)}") from error
    bands = [name.removesuffix("_flux") for name in table.schema.names if name.endswith("_flux")]
    lonely = [band for band in bands if f"{band}_flux_error" not in table.schema.names]
    if not bands or lonely:
        raise ImageFileError(f"{path} has no column {(lonely or ['{band}'])[0]}_flux{'_error' if lonely else ''}")
    ra, dec = (np.asarray(table[name], dtype=np.float64) for name in ("ra", "dec"))
    inside = _inside(shard, ra, dec)
    if not inside.all():
        row = int(np.argmin(inside))
        where = f"row {row + 1} at {ra[row]}, {dec[row]}"
        raise ImageFileError(f"{path}: {np.sum(~inside):,} rows are not in triangle {shard}, the first is {where}")


def _inside(shard: int, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    vertices = [np.array([v.x(), v.y(), v.z()]) for v in HtmPixelization(_LEVEL).triangle(shard).getVertices()]
    points = unit_vectors(ra, dec)
    inside = np.ones(len(points), bool)
    for left, right in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
        inside &= points @ np.cross(left, right) >= -_TINY
    return inside & np.isfinite(points).all(axis=1)


def _shards(places: Iterable[Path], report: StepReport) -> list[Path]:
    found: set[Path] = set()
    for place in places:
        if place.is_dir():
            found |= set(place.rglob("*.parquet"))
        elif place.exists():
            found.add(place)
        else:
            report.leave_out(place, "there is no such file or directory")
    return sorted(found)


def _chain(butler: Butler, run: str) -> None:
    """Put the run into the collection of all reference catalogues."""
    every = QCam.makeRefCatCollectionName()
    register_collection(butler, every, CollectionType.CHAINED)
    if run not in butler.collections.get_info(every).children:
        butler.collections.extend_chain(every, run)
