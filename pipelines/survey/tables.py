"""The tables of a survey: its truth as Parquet, and the reference catalogue in trixels.

Truth of one image is in files of its own, so that images can be made in any order; a reader takes the directory whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qserv_py.pipelines.kernels._library import Array
from qserv_py.pipelines.survey.chance import Draw, numbers_for
from qserv_py.pipelines.survey.exposing import Exposed, Simulator
from qserv_py.pipelines.survey.htm import trixels_of
from qserv_py.pipelines.survey.plan import Visit
from qserv_py.pipelines.survey.readout import full_well
from qserv_py.pipelines.survey.request import VERSION
from qserv_py.pipelines.survey.sky import BANDS, CATALOGUE_EPOCH_MJD, NJY_ZERO_POINT, Kind, sky_table
from qserv_py.whole_file import whole_file

IMAGE_TABLES = ("sources", "cosmic_rays")
"""Tables with a file for each image."""

HTM_LEVEL = 7
_METADATA = {"origin": f"qserv sim survey, version {VERSION}"}  # the Butler cannot count the rows of tables without
REFERENCE_ERROR_MAS = 5.0
REFERENCE_MOTION_ERROR_MASYR = 0.05
_REFERENCE_FLUX_ERROR = 0.005
_BRIGHTEST, _FAINTEST = 14.0, 21.0  # r magnitudes of reference stars


def write_survey_tables(simulator: Simulator, directory: Path) -> None:
    """Write the tables that are true of the whole survey, where they are missing."""
    for name, make in _SURVEY_TABLES.items():
        path = directory / "truth" / f"{name}.parquet"
        if not path.exists():
            write_table(path, make(simulator))


def write_image_tables(exposed: Exposed, directory: Path, exposure: int, detector: int) -> None:
    """Write the tables that are true of one image; those without rows, too, so that readers find their columns."""
    names = {"exposure": exposure, "detector": detector}
    for name, rows in zip(IMAGE_TABLES, (exposed.sources, exposed.hits), strict=True):
        write_table(image_table_path(directory, name, exposure, detector), _rows_table(rows, names))


def image_table_path(directory: Path, name: str, exposure: int, detector: int) -> Path:
    """Return where one of ``IMAGE_TABLES`` of an image is."""
    return directory / "truth" / name / f"{exposure}_{detector:03d}.parquet"


def write_references(simulator: Simulator, directory: Path) -> None:
    """Write the reference catalogue where it is missing: a file for each trixel with stars, below ``refcats/htm7``."""
    references = reference_catalogue(simulator)
    trixels = trixels_of(references["ra"].to_numpy(), references["dec"].to_numpy(), level=HTM_LEVEL)
    for trixel in np.unique(trixels):
        path = directory / "refcats" / f"htm{HTM_LEVEL}" / f"{trixel}.parquet"
        if not path.exists():
            write_table(path, references.filter(pa.array(trixels == trixel)))


def reference_catalogue(simulator: Simulator) -> pa.Table:
    """Return the brighter stars as another survey measured them: with errors, at the epoch of the catalogue."""
    objects = simulator.objects
    stars = objects[(objects["kind"] == Kind.STAR) & (objects["r_mag"] > _BRIGHTEST) & (objects["r_mag"] < _FAINTEST)]
    random, count = numbers_for(simulator.request.seed, Draw.REFERENCES), len(stars)
    east, north = random.normal(0, REFERENCE_ERROR_MAS / 3.6e6, (2, count))
    drift = random.normal(0, REFERENCE_MOTION_ERROR_MASYR, (2, count))
    columns = {
        "id": stars["object_id"],
        "ra": (stars["ra"] + east / np.maximum(np.cos(np.radians(stars["dec"])), 1e-9)) % 360.0,
        "dec": np.clip(stars["dec"] + north, -90.0, 90.0),
        "ra_error_mas": np.full(count, REFERENCE_ERROR_MAS),
        "dec_error_mas": np.full(count, REFERENCE_ERROR_MAS),
        "pm_ra_masyr": stars["pm_ra_masyr"] + drift[0],
        "pm_dec_masyr": stars["pm_dec_masyr"] + drift[1],
        "pm_ra_error_masyr": np.full(count, REFERENCE_MOTION_ERROR_MASYR),
        "pm_dec_error_masyr": np.full(count, REFERENCE_MOTION_ERROR_MASYR),
        "epoch_mjd": np.full(count, CATALOGUE_EPOCH_MJD),
    }
    for band in BANDS:
        flux = 10 ** (-0.4 * (stars[f"{band}_mag"] - NJY_ZERO_POINT))
        error = _REFERENCE_FLUX_ERROR * flux
        columns[f"{band}_flux"] = flux + error * random.standard_normal(count)
        columns[f"{band}_flux_error"] = error
    return pa.table(columns)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet; it is there whole or not at all."""
    table = table.replace_schema_metadata(_METADATA)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        pq.write_table(table, file, compression="zstd")


def _schema(first: dict[str, pa.DataType], *, numbers: str, lists: str) -> pa.Schema:
    """Return a schema: some columns of given types, then numbers, then lists of numbers, by their names."""
    types = first | dict.fromkeys(numbers.split(), pa.float64())
    return pa.schema(types | dict.fromkeys(lists.split(), pa.list_(pa.float64())))


def _visits(simulator: Simulator) -> pa.Table:
    return pa.Table.from_pylist([_visit_row(visit) for visit in simulator.plan.visits], schema=_VISIT_SCHEMA)


def _visit_row(visit: Visit) -> dict[str, object]:
    info, sky = visit.info, visit.conditions
    return {
        "visit": info.exposure,
        "band": info.band,
        "physical_filter": info.physical_filter,
        "mjd": visit.time_mjd,
        "exposure_s": info.exposure_s,
        "airmass": info.airmass,
        "ra": visit.pointing.ra,
        "dec": visit.pointing.dec,
        "rotation_deg": visit.pointing.rotation_deg,
        "believed_ra": info.pointing.ra,
        "believed_dec": info.pointing.dec,
        "believed_rotation_deg": info.pointing.rotation_deg,
        "zero_point": sky.zero_point,
        "extinction_mag": sky.extinction_mag,
        "seeing_arcsec": sky.seeing_arcsec,
        "sky_mag": sky.sky_mag,
        "sky_slope": list(sky.sky_slope),
        "psf_fwhm_terms": list(sky.fwhm_terms),
        "psf_e1_terms": list(sky.e1_terms),
        "psf_e2_terms": list(sky.e2_terms),
    }


_VISIT_SCHEMA = _schema(
    {"visit": pa.int64(), "band": pa.string(), "physical_filter": pa.string()},
    numbers="mjd exposure_s airmass ra dec rotation_deg believed_ra believed_dec believed_rotation_deg"
    " zero_point extinction_mag seeing_arcsec sky_mag",
    lists="sky_slope psf_fwhm_terms psf_e1_terms psf_e2_terms",
)


def _visit_detectors(simulator: Simulator) -> pa.Table:
    rows = []
    for visit in simulator.plan.visits:
        for detector in simulator.camera.detectors:
            wcs = simulator.camera.wcs(detector, visit.pointing)
            assert wcs.a is not None
            assert wcs.b is not None
            zero_point = simulator.zero_point(visit, detector.id)
            middle = np.array([wcs.x0]), np.array([wcs.y0])
            rows.append(
                {
                    "visit": visit.info.exposure,
                    "detector": detector.id,
                    "zero_point": zero_point,
                    "sky_electrons": simulator.sky_electrons(visit, zero_point),
                    "psf_fwhm": float(simulator.psf_at(visit, detector, *middle)[0][0]),
                    **{name: getattr(wcs, name) for name in ("ra0", "dec0", "x0", "y0")},
                    **{f"cd{i + 1}_{j + 1}": float(wcs.cd[i, j]) for i in range(2) for j in range(2)},
                    "sip_order": wcs.order,
                    "sip_a": wcs.a.ravel().tolist(),
                    "sip_b": wcs.b.ravel().tolist(),
                }
            )
    return pa.Table.from_pylist(rows, schema=_VISIT_DETECTOR_SCHEMA)


_VISIT_DETECTOR_SCHEMA = _schema(
    {"visit": pa.int64(), "detector": pa.int32(), "sip_order": pa.int32()},
    numbers="zero_point sky_electrons psf_fwhm ra0 dec0 x0 y0 cd1_1 cd1_2 cd2_1 cd2_2",
    lists="sip_a sip_b",
)


def _amplifiers(simulator: Simulator) -> pa.Table:
    rows = []
    for detector in simulator.camera.detectors:
        levels = simulator.traits(detector.id).bias_levels.tolist()
        for amplifier, level in zip(detector.amplifiers, levels, strict=True):
            one = amplifier.readout
            rows.append(
                {
                    "detector": detector.id,
                    "amplifier": amplifier.name,
                    "bias_adu": level,
                    "gain": one.gain,
                    "read_noise": one.read_noise,
                    "full_well": full_well(one, level),
                }
            )
    return pa.Table.from_pylist(rows)


def _defects(simulator: Simulator) -> pa.Table:
    tables = [
        _rows_table(simulator.traits(detector.id).defects, {"detector": detector.id})
        for detector in simulator.camera.detectors
    ]
    return pa.concat_tables(tables)


def _objects(simulator: Simulator) -> pa.Table:
    return sky_table(simulator.objects)


_SURVEY_TABLES: dict[str, Callable[[Simulator], pa.Table]] = {
    "objects": _objects,
    "visits": _visits,
    "visit_detectors": _visit_detectors,
    "amplifiers": _amplifiers,
    "defects": _defects,
}


def _rows_table(rows: Array, constants: dict[str, int]) -> pa.Table:
    types = {"exposure": np.int64, "detector": np.int32}
    columns = {name: np.full(len(rows), value, types[name]) for name, value in constants.items()}
    columns |= {name: rows[name] for name in rows.dtype.names or ()}
    return pa.table({name: pa.array(values) for name, values in columns.items()})
