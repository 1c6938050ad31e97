"""Sky, cosmic rays, sources and PSF of one image: all that must be known before its sources are measured.

The background is measured twice: sources that the first one shows are masked for the second, or the light around them
would raise the sky under all faint sources.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qserv_py.errors import NoFitError, UnusableImageError
from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels._library import Array, FloatImage, MaskImage
from qserv_py.pipelines.kernels.apertures import aperture_fluxes
from qserv_py.pipelines.kernels.background import UNUSABLE, Background, background
from qserv_py.pipelines.kernels.cosmic_rays import find_cosmic_rays
from qserv_py.pipelines.kernels.detection import Detections, detect, gaussian_kernel
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.moments import adaptive_moments
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.psf import Psf, terms_of
from qserv_py.pipelines.kernels.psf_fit import fit_psf
from qserv_py.pipelines.kernels.stars import select_stars
from qserv_py.pipelines.single_frame.interpolation import interpolate
from qserv_py.pipelines.single_frame.noise import Noise, noise_of, sky_noise

_SIGMA_TO_FWHM = float(np.sqrt(8 * np.log(2)))
_FIRST_THRESHOLD = 20.0
_STAR_APERTURE = 1.6  # FWHM


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an image is characterised."""

    fwhm_guess_pixels: float = 4.0
    """Of the PSF, to begin with; half and twice of it do no harm."""

    mesh_pixels: int = 64
    """Side of a cell of the background."""

    threshold: float = 5.0
    """Of detection, standard deviations of the image filtered with the PSF."""

    cosmic_rays: bool = True
    """Whether to look for them."""

    star_signal_to_noise: float = 50.0
    """Of stars for the PSF."""

    least_stars: int = 12
    """Fewer stars than this make no PSF."""

    psf_side: int = 25
    """Pixels along a side of the model, odd."""

    psf_order: int = 2
    """Of its polynomial; lower where there are too few stars for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Characterised:
    """An image whose sky and PSF are known."""

    light: FloatImage
    """Electrons above the sky, cosmic rays replaced."""

    variance: FloatImage
    """Electrons squared: as it came, but for cosmic rays; times ``noise.scale``."""

    mask: MaskImage
    """With the planes CR and DETECTED."""

    sky: Background
    """Electrons."""

    found: Detections
    """All sources."""

    psf: Psf
    """Of the image."""

    noise: Noise
    """How the variance plane was read."""

    sky_noise: FloatImage
    """Standard deviation of the sky in every pixel."""

    fwhm_pixels: float
    """Of the stars' median."""

    candidate: npt.NDArray[np.bool_]
    """Which sources look like stars for the PSF."""

    used: npt.NDArray[np.bool_]
    """Which of them the PSF is from."""

    cosmic_ray_pixels: int
    """How many were hit."""

    @property
    def frame(self) -> Frame:
        """The image as measurements take it."""
        return Frame(
            image=self.light,
            variance=self.variance,
            gain=self.noise.gain,
            mask=self.mask,
            segments=self.found.segments,
        )


def characterise(exposure: Exposure, options: Options) -> Characterised:
    """Return sky, sources and PSF of an image in electrons.

    Raises
    ------
    UnusableImageError
        If less than a tenth of the pixels can be used, or these have no noise, or less than half of them a variance.
    NoFitError
        If there are too few stars for a PSF.
    """
    check_usable(exposure)
    exposure = interpolate(exposure)
    sky = background(exposure.image, mask=exposure.mask, mesh=options.mesh_pixels)
    if not sky.mean_noise > 0:
        raise UnusableImageError("the image has no noise: its pixels have one value")
    light = sky.subtract_from(exposure.image)
    noise = noise_of(light, exposure.variance, exposure.mask, sky)
    exposure = replace(exposure, variance=exposure.variance * np.float32(noise.scale))
    hit = np.zeros(exposure.image.shape, bool)
    if options.cosmic_rays:
        exposure, hit = _without_cosmic_rays(exposure, light, noise)
    image, variance, mask = exposure.image, exposure.variance, exposure.mask.copy()
    light = _finite(sky.subtract_from(image))
    of_sky = sky_noise(light, variance, noise)
    frame = Frame(image=light, variance=variance, gain=noise.gain, mask=mask)
    fwhm = _fwhm(frame, of_sky, options)
    found = _detected(light, of_sky, mask, fwhm, options.threshold)
    sky = _sky_beside(found, image, mask, options)
    light = _finite(sky.subtract_from(image))
    found = _detected(light, of_sky, mask, fwhm, options.threshold)
    mask |= np.where(found.segments > 0, np.int32(Plane.DETECTED), np.int32(0))
    frame = replace(frame, image=light, mask=mask, segments=found.segments)
    candidate, fwhm = _stars(frame, found, fwhm, options.star_signal_to_noise)
    psf, used = _psf(frame, found.sources, candidate, options)
    return Characterised(
        light=light,
        variance=variance,
        mask=mask,
        sky=sky,
        found=found,
        psf=psf,
        noise=noise,
        sky_noise=of_sky,
        fwhm_pixels=fwhm,
        candidate=candidate,
        used=used,
        cosmic_ray_pixels=int(hit.sum()),
    )


def check_usable(exposure: Exposure, *, least: float = 0.1) -> None:
    """Refuse an image without enough pixels to measure.

    Raises
    ------
    UnusableImageError
        If less than a share ``least`` of the pixels is finite, unmasked and not saturated.
    """
    finite = np.isfinite(exposure.image)
    usable = finite & ((exposure.mask & int(UNUSABLE)) == 0)
    if usable.mean() < least:
        saturated = ((exposure.mask & Plane.SAT) != 0).mean()
        raise UnusableImageError(
            f"{100 * usable.mean():.1f} % of the pixels can be used; {100 * least:g} % are needed",
            detail=f"{100 * (1 - finite.mean()):.1f} % are not finite, {100 * saturated:.1f} % are saturated.",
        )


def _without_cosmic_rays(exposure: Exposure, light: FloatImage, noise: Noise) -> tuple[Exposure, npt.NDArray[np.bool_]]:
    """Return the image with its hits interpolated, not the median around them: that would cut the top of a star."""
    rays = find_cosmic_rays(Frame(image=light, variance=exposure.variance, gain=noise.gain, mask=exposure.mask))
    mask = exposure.mask | np.where(rays.hit, np.int32(Plane.CR), np.int32(0))
    return interpolate(replace(exposure, mask=mask)), rays.hit


def _finite(light: FloatImage) -> FloatImage:
    """Return the light with zero where nothing is known, which the mask says."""
    return np.nan_to_num(light, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _detected(light: FloatImage, noise: FloatImage, mask: MaskImage, fwhm: float, threshold: float) -> Detections:
    return detect(light, noise=noise, kernel=gaussian_kernel(fwhm), mask=mask, threshold=threshold)


def _fwhm(frame: Frame, noise: FloatImage, options: Options) -> float:
    """Return the FWHM of the bright stars, from a first detection with the guess."""
    guess = options.fwhm_guess_pixels
    found = _detected(np.asarray(frame.image), noise, np.asarray(frame.mask), guess, _FIRST_THRESHOLD)
    return _stars(replace(frame, segments=found.segments), found, guess, options.star_signal_to_noise)[1]


def _stars(frame: Frame, found: Detections, fwhm: float, signal_to_noise: float) -> tuple[npt.NDArray[np.bool_], float]:
    """Return which sources are stars, and the median of their FWHM in pixels."""
    rows: Array = found.sources
    own = np.arange(len(rows)) + 1
    shapes = adaptive_moments(frame, rows["x"], rows["y"], fwhm / _SIGMA_TO_FWHM, segment=own)
    light = aperture_fluxes(frame, rows["x"], rows["y"], _STAR_APERTURE * fwhm)
    stars = select_stars(shapes, flux=light["flux"], error=light["error"], planes=rows["planes"], least=signal_to_noise)
    square = shapes["xx"] * shapes["yy"] - shapes["xy"] ** 2
    return stars, float(_SIGMA_TO_FWHM * np.median(square[stars]) ** 0.25)


def _sky_beside(found: Detections, image: FloatImage, mask: MaskImage, options: Options) -> Background:
    """Return the background of the pixels outside sources; where these cover everything, of all pixels."""
    beside = mask | np.where(found.segments > 0, np.int32(Plane.DETECTED), np.int32(0))
    try:
        return background(image, mask=beside, mesh=options.mesh_pixels, bad=int(UNUSABLE | Plane.DETECTED))
    except NoFitError:
        return background(image, mask=mask, mesh=options.mesh_pixels)


def _psf(
    frame: Frame, rows: Array, candidate: npt.NDArray[np.bool_], options: Options
) -> tuple[Psf, npt.NDArray[np.bool_]]:
    """Return the PSF and its stars; its order falls until each term has four stars."""
    count = int(candidate.sum())
    if count < options.least_stars:
        raise NoFitError(
            f"{count} stars for a PSF; {options.least_stars} are needed",
            hint="Lower the stars' least signal to noise, or leave this detector out.",
        )
    order = options.psf_order
    while order > 0 and count < 4 * terms_of(order):
        order -= 1
    fit = fit_psf(frame, rows["x"], rows["y"], star=candidate, side=options.psf_side, order=order)
    if fit.used.sum() < options.least_stars // 2:
        raise NoFitError(f"{fit.used.sum()} of {count} stars look alike; the PSF needs {options.least_stars // 2}")
    return fit.psf, fit.used
