"""Onto the sky and onto the magnitude scale: the fits of one image against reference stars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import NoFitError
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.catalogues.astrometry import WcsFit, fit_wcs, solve_wcs
from qserv_py.pipelines.kernels.catalogues.matching import mutual_pairs
from qserv_py.pipelines.kernels.catalogues.zero_point import ZeroPoint, fit_zero_point
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.wcs import Wcs, to_plane
from qserv_py.pipelines.options import option
from qserv_py.pipelines.single_frame.references import References, within

NJY_ZERO_POINT = 31.4
"""AB magnitude of one nanojansky."""

_UNCLEAN = int(Flag.EDGE | Flag.NO_DATA | Flag.NOT_CONVERGED | Flag.TOO_LARGE)
_SPOILT = int(Plane.SAT | Plane.BAD | Plane.CR | Plane.SUSPECT | Plane.NO_DATA)
_SAME_STAR_ARCSEC = 0.5
_GRID = 20
_LEAST_ERROR = 0.005  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an image is brought onto the reference catalogue."""

    search_arcsec: float = option(10.0, "How far off the header's coordinates may be", least=0.5)
    match_arcsec: float = option(1.0, "Of a star to its reference, after the offset", least=0.05)
    max_order: int = option(3, "Of the coordinates' polynomial", least=1, most=5)
    star_signal_to_noise: float = option(20.0, "Of stars for both fits", least=3.0)
    least_references: int = option(5, "Fewer pairs fit nothing", least=3)
    least_reference_magnitude: float = option(
        0.01, "Error of a reference magnitude at the least: catalogues understate it for bright stars", least=0.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Astrometry:
    """Where an image looks."""

    wcs: Wcs
    """The coordinates."""

    used: npt.NDArray[np.bool_]
    """Which sources they are from, shape (sources,)."""

    offset_arcsec: FloatArray
    """Distance of every used source from its reference."""


def point_sources(table: Any, *, signal_to_noise: float) -> npt.NDArray[np.bool_]:
    """Return which sources are clean and bright enough for calibrations."""
    with np.errstate(invalid="ignore"):
        bright = np.asarray(table["psf_flux"]) > signal_to_noise * np.asarray(table["psf_flux_error"])
    clean = (np.asarray(table["psf_flags"] | table["detect_flags"]) & _UNCLEAN) == 0
    clean &= (np.asarray(table["planes"]) & _SPOILT) == 0
    return np.asarray(bright & clean & ~np.asarray(table["position_failed"]))


def fit_astrometry(table: Any, references: References, guess: Wcs, options: Options) -> Astrometry:
    """Return the coordinates of an image.

    Parameters
    ----------
    table
        Of ``measure``.
    references
        Around the guess; the brightest first.
    guess
        Of the telescope.
    options
        How.

    Raises
    ------
    NoFitError
        If the references do not determine them.
    """
    if len(references.ra) < options.least_references:
        raise NoFitError(
            f"{len(references.ra)} reference stars on this image; {options.least_references} are needed",
            hint="Is the reference catalogue loaded for this part of the sky, and the pointing in the header right?",
        )
    rows = np.nonzero(point_sources(table, signal_to_noise=options.star_signal_to_noise))[0]
    if len(rows) < options.least_references:
        raise NoFitError(
            f"{len(rows)} of {len(table)} sources are bright and clean enough for coordinates;"
            f" {options.least_references} are needed"
        )
    rows = rows[np.argsort(-np.asarray(table["psf_flux"])[rows])]
    x, y = (np.asarray(table[axis])[rows] for axis in ("x", "y"))
    # Beside the noise a position has the error of the PSF, so bright stars count no more than that allows.
    scale = 3600 * float(np.sqrt(np.abs(np.linalg.det(guess.cd))))
    noise = np.hypot(*(np.asarray(table[f"{axis}_error"])[rows] for axis in ("x", "y"))) / np.sqrt(2)
    fit = _solve(guess, (x, y), references, options, error_arcsec=scale * np.hypot(noise, _LEAST_ERROR))
    if len(fit.sources) < options.least_references:
        raise NoFitError(f"{len(fit.sources)} stars fit their references; {options.least_references} are needed")
    used = np.zeros(len(table), bool)
    used[rows[fit.sources]] = True
    return Astrometry(wcs=fit.wcs, used=used, offset_arcsec=_offsets(fit, x, y, references))


def fit_photometry(table: Any, flux: FloatArray, references: References, wcs: Wcs, options: Options) -> ZeroPoint:
    """Return the magnitude of one electron, with ``used`` of shape (sources,).

    Parameters
    ----------
    table
        Of ``measure``.
    flux
        Of its sources, corrected to the large aperture.
    references, wcs
        Of the image, fitted.
    options
        How.

    Raises
    ------
    NoFitError
        If too few stars match references with a magnitude.
    """
    rows = np.nonzero(point_sources(table, signal_to_noise=options.star_signal_to_noise))[0]
    known = np.nonzero(np.isfinite(references.magnitude))[0]
    sky = wcs.to_sky(np.asarray(table["x"])[rows], np.asarray(table["y"])[rows])
    mine, theirs = mutual_pairs(*sky, references.ra[known], references.dec[known], radius_arcsec=_SAME_STAR_ARCSEC)
    if len(mine) < options.least_references:
        raise NoFitError(f"{len(mine)} stars match references with a magnitude; {options.least_references} are needed")
    rows, known = rows[mine], known[theirs]
    fit = fit_zero_point(
        flux[rows],
        np.asarray(table["psf_flux_error"])[rows] * flux[rows] / np.asarray(table["psf_flux"])[rows],
        references.magnitude[known],
        np.hypot(references.magnitude_error[known], options.least_reference_magnitude),
    )
    used = np.zeros(len(table), bool)
    used[rows[fit.used]] = True
    return ZeroPoint(magnitude=fit.magnitude, error=fit.error, scatter=fit.scatter, used=used)


def references_near(references: References, guess: Wcs, shape: tuple[int, int], options: Options) -> References:
    """Return the references that may be on an image whose coordinates are a guess."""
    scale = 3600 * float(np.sqrt(np.abs(np.linalg.det(guess.cd))))
    return within(references, guess, shape, margin_pixels=2 * options.search_arcsec / scale)


def _solve(
    guess: Wcs, at: tuple[FloatArray, FloatArray], references: References, options: Options, *, error_arcsec: FloatArray
) -> WcsFit:
    """Fit on top of the guess's own distortion, which knows the optics: an affine change is mostly all it needs."""
    u, v = straightened(guess, *at)
    fit = solve_wcs(
        replace(guess, order=1, a=None, b=None),
        u,
        v,
        references.ra,
        references.dec,
        search_arcsec=options.search_arcsec,
        match_arcsec=options.match_arcsec,
        max_order=options.max_order,
        error_arcsec=error_arcsec,
        reference_error_arcsec=references.error_mas / 1000,
    )
    return replace(fit, wcs=bent(fit.wcs, guess, at))


def straightened(wcs: Wcs, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the pixels at which an image without distortion would see what these see."""
    straight = replace(wcs, order=1, a=None, b=None)
    return straight.to_pixel(*wcs.to_sky(x, y))


def bent(fitted: Wcs, guess: Wcs, at: tuple[FloatArray, FloatArray]) -> Wcs:
    """Return coordinates of pixels from those of straightened ones; ``at`` says where they are needed."""
    if fitted.order == 1:
        return replace(fitted, order=guess.order, a=guess.a, b=guess.b)
    x, y = (values.ravel() for values in np.meshgrid(*(np.linspace(np.min(one), np.max(one), _GRID) for one in at)))
    sky = fitted.to_sky(*straightened(guess, x, y))
    return fit_wcs(guess, x, y, *sky, order=max(guess.order, fitted.order)).wcs


def _offsets(fit: WcsFit, x: FloatArray, y: FloatArray, references: References) -> FloatArray:
    wcs = fit.wcs
    sky = to_plane(*wcs.to_sky(x[fit.sources], y[fit.sources]), ra0=wcs.ra0, dec0=wcs.dec0)
    there = to_plane(references.ra[fit.references], references.dec[fit.references], ra0=wcs.ra0, dec0=wcs.dec0)
    distance: FloatArray = 3600 * np.hypot(sky[0] - there[0], sky[1] - there[1])
    return distance
