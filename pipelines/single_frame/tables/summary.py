"""One image in numbers: a row of DP1's CcdVisit (DP2's VisitDetector), with the columns that are measured here.

Counts are electrons where DP1 has ADU. The effective time is that of Rubin's exposure summaries: how long an exposure
of a fiducial night would take to the same depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qserv_py.pipelines.instrument.exposures import ExposureInfo, mjd
from qserv_py.pipelines.kernels._library import Array, FloatArray
from qserv_py.pipelines.kernels.catalogues.zero_point import ZeroPoint
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.psf import PointSpread
from qserv_py.pipelines.kernels.wcs import Wcs, to_plane
from qserv_py.pipelines.options import option
from qserv_py.pipelines.single_frame.aperture_correction import ApertureCorrection
from qserv_py.pipelines.single_frame.characterisation.characterise import Characterised
from qserv_py.pipelines.single_frame.measure import psf_moments
from qserv_py.pipelines.single_frame.tables.identifiers import visit_detector_id

_GRID = 8
_MAD_TO_SIGMA = 1.4826
_SIGMA_TO_FWHM = float(np.sqrt(8 * np.log(2)))
_LIMIT = 5.0  # signal to noise of the limiting magnitude


@dataclass(frozen=True, slots=True, kw_only=True)
class Fiducials:
    """What a good night is like, by band; a band that is missing gets no effective time."""

    psf_sigma_pixels: Mapping[str, float] = option(
        {}, "Band to the PSF's sigma in a good night, for the effective time"
    )
    sky_per_s: Mapping[str, float] = option({}, "Band to the sky's electrons per pixel and second in a good night")
    zero_point_1s: Mapping[str, float] = option({}, "Band to the magnitude of one electron per second")


def summarise(
    image: Characterised,
    table: Any,
    correction: ApertureCorrection,
    *,
    info: ExposureInfo,
    detector: int,
    wcs: Wcs,
    zero_point: ZeroPoint,
    offsets_arcsec: FloatArray,
    fiducials: Fiducials,
) -> dict[str, Any]:
    """Return the columns of an image's row.

    Parameters
    ----------
    image, table, correction
        What ``measure_image`` gave.
    info, detector
        Whose image it is.
    wcs, zero_point, offsets_arcsec
        What the fits against references gave.
    fiducials
        For the effective time.
    """
    shape = image.light.shape
    row = {
        "visitId": info.exposure,
        "detector": detector,
        "ccdVisitId": visit_detector_id(info.exposure, detector),
        "physical_filter": info.physical_filter,
        "band": info.band,
        **observation_columns(info),
        "xSize": shape[1],
        "ySize": shape[0],
        **sky_columns(wcs, (shape[0], shape[1])),
        "zeroPoint": zero_point.magnitude,
        "zeroPointErr": zero_point.error,
        "zeroPointScatter": zero_point.scatter,
        "skyBg": image.sky.mean_level,
        "skyNoise": image.sky.mean_noise,
        "astromOffsetMean": float(np.mean(offsets_arcsec)),
        "astromOffsetStd": float(np.std(offsets_arcsec)),
        "nAstromStar": int(np.sum(table["astrometry_used"])),
        "nPhotoStar": int(np.sum(table["photometry_used"])),
        "nPsfStar": int(np.sum(table["psf_used"])),
        "nSource": len(table),
        **_psf_columns(image, wcs),
        **_residual_columns(table[np.asarray(table["psf_used"])]),
        **_spread_columns(image, table, correction),
    }
    row["magLim"] = limiting_magnitude(row["zeroPoint"], row["skyNoise"], row["psfArea"])
    return row | effective_time(row, fiducials)


def observation_columns(info: ExposureInfo) -> dict[str, Any]:
    """Return the columns about the exposure, times TAI."""
    return {
        "expTime": info.exposure_s,
        "darkTime": info.dark_s,
        "expMidpt": np.datetime64(info.middle, "us"),
        "expMidptMJD": mjd(info.middle),
        "obsStart": np.datetime64(info.begin, "us"),
        "obsStartMJD": mjd(info.begin),
        "zenithDistance": 90.0 - info.altitude_deg,
        "azimuth": info.azimuth_deg,
        "altitude": info.altitude_deg,
        "airmass": info.airmass,
        "skyRotation": info.pointing.rotation_deg,
        "boresightRa": info.pointing.ra,
        "boresightDec": info.pointing.dec,
    }


def sky_columns(wcs: Wcs, shape: tuple[int, int]) -> dict[str, float]:
    """Return middle, corners and scale of an image on the sky, degrees and arc seconds."""
    ny, nx = shape
    x = np.array([(nx - 1) / 2, -0.5, -0.5, nx - 0.5, nx - 0.5])
    y = np.array([(ny - 1) / 2, -0.5, ny - 0.5, ny - 0.5, -0.5])
    ra, dec = wcs.to_sky(x, y)
    columns = {"ra": float(ra[0]), "dec": float(dec[0])}
    for place, corner in enumerate(("llc", "ulc", "urc", "lrc"), start=1):
        columns |= {f"{corner}ra": float(ra[place]), f"{corner}dec": float(dec[place])}
    steps = wcs.to_sky(x[0] + np.array([0.5, -0.5, 0, 0]), y[0] + np.array([0, 0, 0.5, -0.5]))
    xi, eta = to_plane(*steps, ra0=columns["ra"], dec0=columns["dec"])
    area = (xi[0] - xi[1]) * (eta[2] - eta[3]) - (xi[2] - xi[3]) * (eta[0] - eta[1])
    return columns | {"pixelScale": 3600 * float(np.sqrt(abs(area)))}


def limiting_magnitude(zero_point: float, noise: float, area: float) -> float:
    """Return the magnitude of a point source whose PSF flux has a signal to noise of 5, its own light counted."""
    sky = area * noise**2
    flux = (_LIMIT**2 + np.sqrt(_LIMIT**4 + 4 * _LIMIT**2 * sky)) / 2
    return float(zero_point - 2.5 * np.log10(flux))


def effective_time(row: Mapping[str, Any], fiducials: Fiducials) -> dict[str, float]:
    """Return seconds of a fiducial night to the same depth, and the factors; NaN where a fiducial is missing.

    References
    ----------
    Neilsen et al. 2016, arXiv:1604.08601 (the effective time of the Dark Energy Survey).
    """
    band, seconds = str(row["band"]), float(row["expTime"])
    sigma, sky, zero = (
        float(values.get(band, np.nan))
        for values in (fiducials.psf_sigma_pixels, fiducials.sky_per_s, fiducials.zero_point_1s)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.float64(row["skyBg"]) / seconds
        scales = {
            "effTimePsfSigmaScale": float((sigma / np.float64(row["psfSigma"])) ** 2),
            "effTimeSkyBgScale": float(sky / rate) if rate > 0 else float("nan"),
            "effTimeZeroPointScale": float(10 ** (-0.8 * (zero - row["zeroPoint"] + 2.5 * np.log10(seconds)))),
        }
    return {"effTime": float(seconds * np.prod(list(scales.values()))), **scales}


def _psf_columns(image: Characterised, wcs: Wcs) -> dict[str, float]:
    ny, nx = image.light.shape
    middle = np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2])
    sigma = float(_size(psf_moments(image.psf, (ny, nx), *middle))[0])
    stamp = image.psf.at(*middle)[0]
    scale = sky_columns(wcs, (ny, nx))["pixelScale"]
    return {"psfSigma": sigma, "psfArea": float(1 / np.sum(stamp**2)), "seeing": _SIGMA_TO_FWHM * sigma * scale}


def _size(moments: FloatArray) -> FloatArray:
    """Return the determinant radius of moments xx, yy, xy."""
    with np.errstate(invalid="ignore"):
        radius: FloatArray = (moments[0] * moments[1] - moments[2] ** 2) ** 0.25
    return radius


def _residual_columns(stars: Any) -> dict[str, float]:
    """Return how stars differ from the model of the PSF: median and scatter."""
    star = np.stack([np.asarray(stars[f"i{name}"]) for name in ("xx", "yy", "xy")])
    model = np.stack([np.asarray(stars[f"i{name}_psf"]) for name in ("xx", "yy", "xy")])
    with np.errstate(invalid="ignore", divide="ignore"):
        e = [((one[0] - one[1]) / (one[0] + one[1]), 2 * one[2] / (one[0] + one[1])) for one in (star, model)]
    sizes = _size(star), _size(model)
    deltas = {"E1": e[0][0] - e[1][0], "E2": e[0][1] - e[1][1], "Size": sizes[0] - sizes[1]}
    columns = {}
    for name, delta in deltas.items():
        columns[f"psfStarDelta{name}Median"] = _median(delta)
        columns[f"psfStarDelta{name}Scatter"] = _scatter(delta)
    columns["psfStarScaledDeltaSizeScatter"] = columns["psfStarDeltaSizeScatter"] / _median(sizes[0]) ** 2
    return columns


def _spread_columns(image: Characterised, table: Any, correction: ApertureCorrection) -> dict[str, float]:
    """Return by how much the model changes over the image, and how far a pixel may be from a star of the PSF."""
    ny, nx = image.light.shape
    x, y = (values.ravel() for values in np.meshgrid(np.linspace(0, nx - 1, _GRID), np.linspace(0, ny - 1, _GRID)))
    good = (image.mask[np.rint(y).astype(int), np.rint(x).astype(int)] & int(Plane.BAD | Plane.NO_DATA)) == 0
    if not good.any():
        good[:] = True
    x, y = x[good], y[good]
    moments = psf_moments(image.psf, (ny, nx), x, y)
    radii = np.sqrt((moments[0] + moments[1]) / 2)
    sigma = _size(psf_moments(image.psf, (ny, nx), np.array([nx / 2]), np.array([ny / 2])))[0]
    stars = table[np.asarray(table["psf_used"])]
    distance = np.hypot(np.subtract.outer(x, np.asarray(stars["x"])), np.subtract.outer(y, np.asarray(stars["y"])))
    return {
        "psfTraceRadiusDelta": _range(radii),
        "psfApFluxDelta": _range(_flux_within(image.psf, x, y, max(2.0, 3 * float(sigma)))),
        "psfApCorrSigmaScaledDelta": _range(correction.at(x, y)) / float(sigma),
        "maxDistToNearestPsf": float(distance.min(axis=1).max()) if distance.size else float("nan"),
    }


def _flux_within(psf: PointSpread, x: FloatArray, y: FloatArray, radius: float) -> FloatArray:
    middle = np.array([psf.side // 2], float)
    return np.array([aperture_fluxes(Frame(image=one), middle, middle, radius)["flux"][0] for one in psf.at(x, y)])


def _range(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max() - finite.min()) if finite.size else float("nan")


def _median(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def _scatter(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return _MAD_TO_SIGMA * float(np.median(np.abs(finite - np.median(finite)))) if finite.size else float("nan")
