"""Measurements as rows of DP1's Source: names, units and types of its Felis schema, calibrated by the visit's summary.

A source without a column of DP1 has it not; columns that DP1 lacks keep the style of its Object table (``kronFlux``).
Positions and fluxes come from the summary's coordinates and zero point, so a better calibration of the whole survey
reaches the rows without a pixel being read again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table, vstack

from qserv_py.errors import PipelineError
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.wcs import Wcs
from qserv_py.pipelines.single_frame.calibrate import NJY_ZERO_POINT
from qserv_py.pipelines.single_frame.tables.identifiers import source_ids
from qserv_py.pipelines.single_frame.tables.wcs_columns import wcs_of_row

# A source is extended when its spread is above so many of its errors; the limit is never below what an imperfect PSF
# gives a star, nor above half of what a galaxy at the limit of detection has: beyond, errors do not say what is likely.
_SPREAD_ERRORS, _LEAST_SPREAD, _MOST_SPREAD = 2.2, 0.003, 0.009
_COUNTS = (12, 17, 35, 50)  # apertures of which DP1 has counts too
_FAILED = int(Flag.NO_DATA | Flag.NOT_CONVERGED)
_PIXEL_FLAGS = {
    "bad": Plane.BAD,
    "cr": Plane.CR,
    "interpolated": Plane.INTRP,
    "saturated": Plane.SAT,
    "suspect": Plane.SUSPECT,
}
_MEASURED_SINCE = ("psf_modelled", "spread", "spread_error")
"""Columns that measurements of earlier versions lack."""
_WITH_CENTER = ("cr", "interpolated", "saturated", "suspect")


def source_table(measured: Any, summary: Any) -> Any:
    """Return the rows of one detector of a visit.

    Parameters
    ----------
    measured
        The table of ``calibrate``.
    summary
        The detector's row of a visit summary.

    Raises
    ------
    PipelineError
        If an earlier version measured the sources, without what rows need today.
    """
    visit, detector = int(summary["visitId"]), int(summary["detector"])
    lacking = [name for name in _MEASURED_SINCE if name not in measured.colnames]
    if lacking:
        raise PipelineError(
            f"an earlier version measured visit {visit}, detector {detector}: there is no column {lacking[0]}",
            hint="Measure the images again: the step of calibrateImage, then this one.",
        )
    wcs = wcs_of_row(summary)
    njy = njy_per_electron(summary, np.asarray(measured["x"], float), np.asarray(measured["y"], float))
    out = Table()
    out["sourceId"] = source_ids(visit, detector, measured["number"])
    parents = source_ids(visit, detector, len(measured) + np.asarray(measured["footprint"]))
    out["parentSourceId"] = np.where(np.asarray(measured["siblings"]) > 0, parents, 0)
    _add_positions(out, measured, wcs)
    _add_fluxes(out, measured, njy)
    _add_shapes(out, measured)
    _add_flags(out, measured)
    out["visit"] = np.full(len(out), visit, np.int64)
    out["detector"] = np.full(len(out), detector, np.int32)
    out["band"] = np.full(len(out), str(summary["band"]))
    out["physical_filter"] = np.full(len(out), str(summary["physical_filter"]))
    out.meta |= {"table": "Source", "names": "DP1"}
    return out


def njy_per_electron(summary: Any, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return nanojansky of an electron at positions: the zero point, tilted where the summary has a gradient."""
    magnitude = np.full(len(x), float(summary["zeroPoint"]))
    if "zeroPointSlopeX" in summary.colnames:
        for slope, at, size in (("X", x, "xSize"), ("Y", y, "ySize")):
            magnitude = magnitude + float(summary[f"zeroPointSlope{slope}"]) * (2 * at / int(summary[size]) - 1)
    scale: FloatArray = 10 ** (-0.4 * (magnitude - NJY_ZERO_POINT))
    return scale


def visit_source_table(detectors: list[Any]) -> Any:
    """Return the rows of all detectors of a visit, by detector and number.

    Raises
    ------
    PipelineError
        If two rows have one identifier.
    """
    table = vstack(detectors, metadata_conflicts="silent") if len(detectors) > 1 else detectors[0].copy()
    table.sort("sourceId")
    ids = np.asarray(table["sourceId"])
    if (ids[1:] == ids[:-1]).any():
        raise PipelineError(f"two sources have the identifier {ids[1:][ids[1:] == ids[:-1]][0]}")
    return table


def _add_positions(out: Any, measured: Any, wcs: Wcs) -> None:
    x, y = np.asarray(measured["x"], float), np.asarray(measured["y"], float)
    ra, dec = wcs.to_sky(x, y)
    out["coord_ra"], out["coord_dec"], out["ra"], out["dec"] = ra, dec, ra, dec
    out["x"], out["y"] = x, y
    error = [np.asarray(measured[f"{axis}_error"], float) for axis in ("x", "y")]
    out["xErr"], out["yErr"] = (values.astype(np.float32) for values in error)
    jacobian = _jacobian(wcs, x, y)
    variance = [sum((jacobian[axis][k] * error[k]) ** 2 for k in range(2)) for axis in range(2)]
    out["raErr"], out["decErr"] = (np.sqrt(one).astype(np.float32) for one in variance)
    both = sum(jacobian[0][k] * jacobian[1][k] * error[k] ** 2 for k in range(2))
    out["ra_dec_Cov"] = np.asarray(both, np.float32)
    nominal = abs(np.linalg.det(wcs.cd))
    with np.errstate(invalid="ignore"):
        area = np.abs(jacobian[0][0] * jacobian[1][1] - jacobian[0][1] * jacobian[1][0])
    out["jacobian_value"], out["jacobian_flag"] = area / nominal, ~np.isfinite(area)
    failed = np.asarray(measured["position_failed"])
    out["centroid_flag"] = failed | np.asarray(measured["position_windowed"])
    out["centroid_flag_badError"] = ~np.isfinite(error[0]) | ~np.isfinite(error[1])
    out["centroid_flag_edge"] = _has(measured["detect_flags"], Flag.EDGE)


def _jacobian(wcs: Wcs, x: FloatArray, y: FloatArray) -> list[list[FloatArray]]:
    """Return d(ra cos dec, dec) / d(x, y), degrees per pixel, by differences over one pixel."""
    middle = wcs.to_sky(x, y)
    cos = np.cos(np.radians(middle[1]))
    columns = []
    for dx, dy in ((0.5, 0.0), (0.0, 0.5)):
        ahead, behind = wcs.to_sky(x + dx, y + dy), wcs.to_sky(x - dx, y - dy)
        along = (np.mod(ahead[0] - behind[0] + 180, 360) - 180) * cos
        columns.append((along, ahead[1] - behind[1]))
    return [[columns[0][0], columns[1][0]], [columns[0][1], columns[1][1]]]


def _add_fluxes(out: Any, measured: Any, njy: FloatArray) -> None:
    for name in measured.colnames:
        if name.startswith("ap") and name.endswith("_flux"):
            _add_flux(out, name.removesuffix("_flux"), f"{name.removesuffix('_flux')}Flux", measured, njy)
            out[f"{name.removesuffix('_flux')}Flux_flag"] = _bad_flux(measured, name.removesuffix("_flux"))
    if "ap12_flux" in measured.colnames:
        _add_flux(out, "ap12", "calibFlux", measured, njy)
    for radius in _COUNTS:
        if f"ap{radius}_flux" in measured.colnames:
            out[f"apFlux_{radius}_0_instFlux"] = measured[f"ap{radius}_flux"]
            out[f"apFlux_{radius}_0_instFluxErr"] = measured[f"ap{radius}_flux_error"]
            out[f"apFlux_{radius}_0_flag"] = _bad_flux(measured, f"ap{radius}")
    for name, column in (("psf", "psfFlux"), ("gauss", "gaussianFlux"), ("kron", "kronFlux")):
        _add_flux(out, name, column, measured, njy)
    no_psf = ~np.asarray(measured["psf_modelled"], bool)
    out["psfFlux_flag"] = _bad_flux(measured, "psf") | no_psf
    out["psfFlux_flag_edge"] = _has(measured["psf_flags"], Flag.EDGE)
    out["psfFlux_flag_noGoodPixels"] = _has(measured["psf_flags"], Flag.NO_DATA)
    out["psfFlux_apCorr"], out["psfFlux_apCorrErr"] = measured["psf_correction"], measured["psf_correction_error"]
    out["psfFlux_area"] = np.asarray(measured["psf_area"], np.float32)
    out["gaussianFlux_flag"] = ~np.isfinite(measured["gauss_flux"]) | _bad_flux(measured, "shape")
    out["kronFlux_flag"] = _bad_flux(measured, "kron")
    out["kronRad"] = np.asarray(measured["kron_radius"], np.float32)
    out["invalidPsfFlag"] = ~np.isfinite(measured["psf_area"]) | no_psf
    out["sky"] = np.asarray(measured["sky"], float) * njy
    out["variance_value"] = np.asarray(measured["variance"], float) * njy**2
    out["variance_flag"] = ~np.isfinite(out["variance_value"])
    _add_extendedness(out, measured)


def _add_extendedness(out: Any, measured: Any) -> None:
    spread, error = (np.asarray(measured[name], float) for name in ("spread", "spread_error"))
    # A star whose top is cut off is no point for its PSF, but no galaxy either.
    told = np.asarray(measured["psf_modelled"], bool)
    told &= np.isfinite(spread) & np.isfinite(error) & ~_has(measured["center_planes"], Plane.SAT)
    with np.errstate(invalid="ignore"):
        limit = np.clip(_SPREAD_ERRORS * error, _LEAST_SPREAD, _MOST_SPREAD)
        out["extendedness"] = np.where(told, (spread > limit).astype(float), np.nan)
    out["extendedness_flag"] = ~told
    out["spreadModel"], out["spreadModelErr"] = spread.astype(np.float32), error.astype(np.float32)


def _add_flux(out: Any, name: str, column: str, measured: Any, njy: FloatArray) -> None:
    out[column] = np.asarray(measured[f"{name}_flux"], float) * njy
    out[f"{column}Err"] = np.asarray(measured[f"{name}_flux_error"], float) * njy


def _add_shapes(out: Any, measured: Any) -> None:
    for name in ("ixx", "iyy", "ixy"):
        out[name] = np.asarray(measured[name], float)
        out[f"{name}PSF"] = np.asarray(measured[f"{name}_psf"], float)
    out["shape_flag"] = (np.asarray(measured["shape_flags"]) & _FAILED) != 0


def _add_flags(out: Any, measured: Any) -> None:
    out["footprintArea_value"] = np.asarray(measured["area"], np.int32)
    for name, plane in _PIXEL_FLAGS.items():
        out[f"pixelFlags_{name}"] = _has(measured["planes"], plane)
        if name in _WITH_CENTER:
            out[f"pixelFlags_{name}Center"] = _has(measured["center_planes"], plane)
    out["pixelFlags_edge"] = _has(measured["detect_flags"], Flag.EDGE) | _has(measured["planes"], Plane.EDGE)
    out["pixelFlags_nodata"] = _has(measured["planes"], Plane.NO_DATA)
    out["pixelFlags_offimage"] = _has(measured["center_planes"], Plane.NO_DATA)
    out["deblend_nChild"] = np.zeros(len(out), np.int32)
    out["deblend_parentTooBig"] = _has(measured["detect_flags"], Flag.TOO_LARGE)
    out["deblend_skipped"] = _has(measured["detect_flags"], Flag.TOO_LARGE)
    out["calib_psf_candidate"] = np.asarray(measured["psf_candidate"])
    out["calib_psf_used"] = np.asarray(measured["psf_used"])
    out["calib_astrometry_used"] = np.asarray(measured["astrometry_used"])
    out["calib_photometry_used"] = np.asarray(measured["photometry_used"])
    out["sky_source"] = np.zeros(len(out), bool)


def _bad_flux(measured: Any, name: str) -> npt.NDArray[np.bool_]:
    """Return where a flux failed, or where some of its light could not be seen and was filled, or left out of a fit."""
    return _has(measured[f"{name}_flags"], Flag.NO_DATA | Flag.MASKED | Flag.EDGE)


def _has(values: Any, flag: int) -> npt.NDArray[np.bool_]:
    return np.asarray((np.asarray(values) & int(flag)) != 0)
