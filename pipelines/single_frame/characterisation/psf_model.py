"""The PSF of an image from its stars, and what stands for it where there are too few.

Stars are looked for among isolated sources first, then, if these are few, among crowded ones, and if there are none,
among fainter ones. Where that fails the PSF is a Gaussian as wide as the compact sources: everything is measured all
the same, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qserv_py.errors import NoFitError
from qserv_py.pipelines.kernels._library import Array, FloatArray
from qserv_py.pipelines.kernels.detection import Detections, gaussian_kernel
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes
from qserv_py.pipelines.kernels.measurement.moments import adaptive_moments
from qserv_py.pipelines.kernels.measurement.psf_fit import PsfFit, fit_psf
from qserv_py.pipelines.kernels.measurement.stars import select_stars
from qserv_py.pipelines.kernels.psf import Psf, samples_of, sampling_of, terms_of

_SIGMA_TO_FWHM = float(np.sqrt(8 * np.log(2)))
_STAR_APERTURE = 1.6  # FWHM
_ATTEMPTS = ((1.0, False), (1.0, True), (0.4, True))
"""Share of the wanted signal to noise, and whether sources with neighbours may be stars."""
_LEAST_SIGNAL, _COMPACT = (
    10.0,
    25.0,
)  # to noise, of sources, and per cent of their sizes that say how wide a Gaussian is
_WIDTHS = (1.0, 20.0)  # pixels: FWHM of a Gaussian


@dataclass(frozen=True, slots=True, kw_only=True)
class Stars:
    """Which sources look like stars."""

    candidate: npt.NDArray[np.bool_]
    """Of all sources; none where they could not be told."""

    fwhm_pixels: float
    """Median of theirs, of the compact sources where there are none, or what it was thought to be."""

    thickness: float = float("nan")
    """Median of their second moments where they are narrowest, pixel**2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfModel:
    """The PSF and where it is from."""

    psf: Psf
    """Of the image."""

    stars: Stars
    """That were looked at."""

    used: npt.NDArray[np.bool_]
    """Sources that the PSF is from; none where it is a Gaussian."""

    @property
    def modelled(self) -> bool:
        """Whether the PSF is from stars."""
        return bool(self.used.any())


def find_stars(frame: Frame, found: Detections, fwhm: float, *, signal_to_noise: float, neighbours: bool) -> Stars:
    """Return the stars of an image.

    Parameters
    ----------
    frame
        With the segments of ``found``.
    found
        Its sources.
    fwhm
        Of the PSF as it is thought to be, pixels.
    signal_to_noise
        At least, of stars.
    neighbours
        Whether sources that others touch may be stars.
    """
    rows: Array = found.sources
    own = np.arange(len(rows)) + 1
    shapes = adaptive_moments(frame, rows["x"], rows["y"], fwhm / _SIGMA_TO_FWHM, segment=own)
    light = aperture_fluxes(frame, rows["x"], rows["y"], _STAR_APERTURE * fwhm)
    with np.errstate(invalid="ignore"):
        widths = _SIGMA_TO_FWHM * (shapes["xx"] * shapes["yy"] - shapes["xy"] ** 2) ** 0.25
        told = np.isfinite(widths) & (light["flux"] > _LEAST_SIGNAL * light["error"])
    flux, error = light["flux"], light["error"]
    try:
        stars = select_stars(
            shapes, flux=flux, error=error, planes=rows["planes"], least=signal_to_noise, neighbours=neighbours
        )
    except NoFitError:
        width = float(np.percentile(widths[told], _COMPACT)) if told.any() else fwhm
        return Stars(candidate=np.zeros(len(rows), bool), fwhm_pixels=float(np.clip(width, *_WIDTHS)))
    return Stars(
        candidate=stars,
        fwhm_pixels=float(np.clip(np.median(widths[stars]), *_WIDTHS)),
        thickness=float(np.median(thickness_of(shapes[stars]))),
    )


def thickness_of(shapes: Array) -> FloatArray:
    """Return the second moment of sources where they are narrowest, pixel**2, from rows of ``MOMENTS``."""
    mean, difference = (shapes["xx"] + shapes["yy"]) / 2, (shapes["xx"] - shapes["yy"]) / 2
    thickness: FloatArray = mean - np.hypot(difference, shapes["xy"])
    return thickness


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfOptions:
    """How a PSF is looked for."""

    signal_to_noise: float
    """Of stars, at least."""

    least_stars: int
    """Fewer make no PSF."""

    side: int
    """Pixels along a side of the model, odd."""

    order: int
    """Of its polynomial; lower where a term would have fewer than four stars."""


PsfFinder = Callable[[Frame, Detections, float, PsfOptions], PsfModel]
"""Takes a frame with the segments of its sources, these, and the FWHM of the PSF as it is thought to be, pixels."""


def polynomial_psf(frame: Frame, found: Detections, fwhm: float, options: PsfOptions) -> PsfModel:
    """Return a PSF whose pixels are polynomials of the position, from stars; a Gaussian where there are too few."""
    least_stars = options.least_stars
    tried: list[Stars] = []
    model: PsfModel | None = None
    for share, neighbours in _ATTEMPTS:
        if model is not None and share < 1:
            break
        least = share * options.signal_to_noise
        stars = find_stars(frame, found, fwhm, signal_to_noise=least, neighbours=neighbours)
        tried.append(stars)
        count = int(stars.candidate.sum())
        if count < least_stars:
            continue
        try:
            fit = _fit(frame, found.sources, stars, side=options.side, order=options.order)
        except NoFitError:
            continue
        if fit.used.sum() >= max(least_stars // 2, 1 if model is None else int(model.used.sum()) + 1):
            model = PsfModel(psf=fit.psf, stars=stars, used=fit.used)
        if model is not None and model.used.sum() >= 2 * least_stars:
            return model
    if model is not None:
        return model
    return _as_gaussian(frame, found, max(tried, key=lambda stars: int(stars.candidate.sum())), options.side)


def gaussian_psf(frame: Frame, found: Detections, fwhm: float, options: PsfOptions) -> PsfModel:
    """Return a Gaussian as wide as the stars, whatever their number; sources have the flags of one without a PSF."""
    stars = find_stars(frame, found, fwhm, signal_to_noise=options.signal_to_noise, neighbours=True)
    return _as_gaussian(frame, found, stars, options.side)


PSF_MODELS: dict[str, PsfFinder] = {"polynomial": polynomial_psf, "gaussian": gaussian_psf}
"""All models of a PSF, by name."""


def _as_gaussian(frame: Frame, found: Detections, stars: Stars, side: int) -> PsfModel:
    ny, nx = np.asarray(frame.image).shape
    sampling = sampling_of(stars.fwhm_pixels)
    psf = Psf(
        coefficients=_gaussian(sampling * stars.fwhm_pixels, samples_of(side, sampling))[None],
        order=0,
        sampling=sampling,
        x0=nx / 2,
        y0=ny / 2,
        scale_x=nx / 2,
        scale_y=ny / 2,
    )
    return PsfModel(psf=psf, stars=stars, used=np.zeros(len(found.sources), bool))


def _fit(frame: Frame, rows: Array, stars: Stars, *, side: int, order: int) -> PsfFit:
    """Return the PSF of the greatest order that has stars enough: four a term to begin with, three in the end."""
    star, sampling = stars.candidate, sampling_of(stars.fwhm_pixels)
    while order > 0 and star.sum() < 4 * terms_of(order):
        order -= 1
    while True:
        fit = fit_psf(frame, rows["x"], rows["y"], star=star, side=side, order=order, sampling=sampling)
        if order == 0 or fit.used.sum() >= 3 * terms_of(order):
            return fit
        order -= 1


def _gaussian(fwhm: float, side: int) -> Array:
    """Return a Gaussian on a stamp of some side."""
    kernel = gaussian_kernel(fwhm)
    over = (kernel.shape[0] - side) // 2
    return np.ascontiguousarray(kernel[over:-over, over:-over]) if over > 0 else np.pad(kernel, -over)
