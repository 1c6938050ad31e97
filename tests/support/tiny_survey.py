"""A survey's directory with raws of a few pixels, and what a repository holds, to compare two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from lsst.daf.butler import Butler, CollectionType
from lsst.sphgeom import HtmPixelization, LonLat, UnitVector3d

from qserv_py.pipelines.images.exposure import RawImage
from qserv_py.pipelines.instrument.camera import Camera, Pointing
from qserv_py.pipelines.instrument.exposures import ExposureInfo
from qserv_py.pipelines.instrument.layout import make_camera
from qserv_py.pipelines.instrument.plain import to_plain
from qserv_py.pipelines.instrument.raws import raw_header, raw_path, write_dimensions, write_raw

CAMERA = make_camera(detectors=2, size=64)
FIRST = 2026112000001
BEGIN = datetime(2026, 11, 21, 3, 4, 5, 678901)
INFO = ExposureInfo(
    instrument="QCam",
    exposure=FIRST,
    kind="science",
    physical_filter="q_r",
    band="r",
    exposure_s=30.0,
    dark_s=32.5,
    begin=BEGIN,
    pointing=Pointing(ra=53.123456789012345, dec=-28.1, rotation_deg=-31.5),
    azimuth_deg=12.0,
    altitude_deg=61.0,
    airmass=1.143,
    target="field",
    program="survey",
    reason="science",
    simulated=True,
)


def exposure(number: int, kind: str = "science", band: str = "r") -> ExposureInfo:
    """The exposure of a number, 40 seconds after the one before it, 0.01 degrees further east."""
    begin = BEGIN + timedelta(seconds=40 * number)
    pointing = replace(INFO.pointing, ra=INFO.pointing.ra + 0.01 * number)
    change: dict[str, Any] = {"exposure": FIRST + number, "kind": kind, "begin": begin, "pointing": pointing}
    return replace(INFO, physical_filter=f"q_{band}", band=band, **change)


def write_exposure_files(directory: Path, info: ExposureInfo, *, camera: Camera = CAMERA) -> list[Path]:
    """Write raws of all detectors and the records beside them."""
    paths = []
    for detector in camera.detectors:
        pixels = np.random.default_rng((info.exposure, detector.id)).integers(0, 2**16, detector.raw_shape, np.uint16)
        path = raw_path(directory, "QCam", info.exposure, detector.id)
        write_raw(path, RawImage(pixels=pixels, header=raw_header(camera, detector, info)))
        paths.append(path)
    write_dimensions(directory, info)
    return paths


def write_refcat(directory: Path, *, ra: tuple[float, float], dec: tuple[float, float]) -> list[int]:
    """Write shards of 200 stars; return their triangles."""
    random = np.random.default_rng(1)
    columns = {"ra": random.uniform(*ra, 200), "dec": random.uniform(*dec, 200)}
    pixels = HtmPixelization(7)
    places = zip(columns["ra"], columns["dec"], strict=True)
    shard = np.array([pixels.index(UnitVector3d(LonLat.fromDegrees(*place))) for place in places])
    directory.mkdir(parents=True, exist_ok=True)
    for one in np.unique(shard):
        chosen = shard == one
        pq.write_table(
            refcat_table(**{name: values[chosen] for name, values in columns.items()}), directory / f"{one}.parquet"
        )
    return [int(one) for one in np.unique(shard)]


def refcat_table(ra: np.ndarray, dec: np.ndarray) -> pa.Table:
    """A shard with stars at some places."""
    others = ("ra_error_mas", "dec_error_mas", "pm_ra_masyr", "pm_dec_masyr", "epoch_mjd", "r_flux", "r_flux_error")
    columns = {"id": np.arange(len(ra)), "ra": ra, "dec": dec} | {name: np.full(len(ra), 5.0) for name in others}
    return pa.table(columns).replace_schema_metadata({"made": "by a test"})


def write_survey(directory: Path, *, visits: int = 3, biases: int = 1) -> Path:
    """Write a survey of one field: raws, bias frames, reference catalogue, truth."""
    directory.mkdir(parents=True)
    (directory / "survey.yaml").write_text(yaml.safe_dump({"seed": 1, "camera": to_plain(CAMERA)}))
    for number in range(visits):
        write_exposure_files(directory / "raw", exposure(number, band="gri"[number % 3]))
    for number in range(visits, visits + biases):
        write_exposure_files(directory / "calib", exposure(number, kind="bias"))
    write_refcat(directory / "refcats" / "htm7", ra=(53.0, 53.3), dec=(-28.2, -28.0))
    (directory / "calibrations").mkdir()
    defects = pa.table({name: pa.array([1, 5], pa.int64()) for name in ("x0", "y0", "width", "height")})
    pq.write_table(defects, directory / "calibrations" / "defects_000.parquet")
    (directory / "truth").mkdir()
    pq.write_table(pa.table({"id": [1, 2]}), directory / "truth" / "objects.parquet")
    (directory / "truth" / "sources").mkdir()
    pq.write_table(pa.table({"id": [1]}), directory / "truth" / "sources" / f"{FIRST}_000.parquet")
    return directory


@dataclass(frozen=True)
class Contents:
    """All that tells one repository from another, but for where and when it was made."""

    datasets: frozenset[tuple[Any, ...]]
    records: frozenset[tuple[Any, ...]]
    chains: frozenset[tuple[Any, ...]]
    certified: frozenset[tuple[Any, ...]]


ELEMENTS = (
    "instrument",
    "detector",
    "physical_filter",
    "day_obs",
    "group",
    "exposure",
    "visit",
    "visit_definition",
    "visit_system_membership",
    "visit_detector_region",
    "skymap",
    "tract",
    "patch",
)


def contents(root: str | Path) -> Contents:
    """Return what a repository holds."""
    with Butler.from_config(str(root)) as butler:
        kinds = list(butler.registry.queryDatasetTypes())
        runs = butler.collections.query("*", collection_types={CollectionType.RUN})
        refs = [ref for kind in kinds for ref in _datasets(butler, kind, runs)]
        infos = butler.collections.query_info("*", include_chains=True)
        return Contents(
            datasets=frozenset((ref.datasetType.name, str(ref.dataId), ref.run, ref.id) for ref in refs),
            records=frozenset(row for element in ELEMENTS for row in _records(butler, element)),
            chains=frozenset((info.name, info.type.name, info.children) for info in infos),
            certified=frozenset(
                (kind.name, one.ref.id, one.collection, str(one.timespan))
                for kind in kinds
                if kind.isCalibration()
                for one in butler.registry.queryDatasetAssociations(
                    kind, "*", collectionTypes={CollectionType.CALIBRATION}
                )
            ),
        )


def _datasets(butler: Butler, kind: Any, runs: Iterable[str]) -> list[Any]:
    return (
        butler.query_datasets(kind, collections=list(runs), find_first=False, explain=False, limit=None) if runs else []
    )


def _records(butler: Butler, element: str) -> list[tuple[Any, ...]]:
    found = butler.query_dimension_records(element, explain=False, limit=None)
    return [(element, *((key, str(value)) for key, value in record.toDict().items())) for record in found]
