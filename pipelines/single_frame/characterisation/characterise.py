"""Sky, cosmic rays, sources and PSF of one image: all that must be known before its sources are measured.

The background is measured twice: sources that the first one shows are masked for the second, or the light around them
would raise the sky under all faint sources.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qserv_py.errors import LimitError, NoFitError, UnusableImageError
from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels._library import FloatImage, MaskImage
from qserv_py.pipelines.kernels.background import UNUSABLE, Background, background
from qserv_py.pipelines.kernels.cosmic_rays import MOST_CONTRAST, contrast_for, find_cosmic_rays
from qserv_py.pipelines.kernels.detection import Detections, detect, gaussian_kernel
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.psf import Psf
from qserv_py.pipelines.options import option
from qserv_py.pipelines.single_frame.characterisation.noise import Noise, noise_of, sky_noise
from qserv_py.pipelines.single_frame.characterisation.psf_model import PSF_MODELS, PsfOptions, Stars, find_stars
from qserv_py.pipelines.single_frame.characterisation.rays import hit_beside_stars, hit_widened, sources_of_rays
from qserv_py.pipelines.single_frame.characterisation.structure import structure_of
from qserv_py.pipelines.single_frame.interpolation import interpolate

_FIRST_THRESHOLD = 20.0
_MOST_RAYS = 0.02  # share of the pixels; half an hour in space hits as many
_MORE_RAYS = 3.0  # times as many pixels when the contrast falls to that of the stars; beyond, their FWHM is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an image is characterised."""

    fwhm_guess_pixels: float = option(
        4.0, "FWHM of the PSF, to begin with; half and twice of it do no harm", least=1.0, most=20.0
    )
    mesh_pixels: int = option(64, "Side of a cell of the background", least=16)
    threshold: float = option(5.0, "Of detection, standard deviations of the image filtered with the PSF", least=1.0)
    cosmic_rays: bool = option(True, "Whether to look for cosmic rays")
    star_signal_to_noise: float = option(50.0, "Of stars for the PSF", least=5.0)
    least_stars: int = option(
        12, "Fewer stars make no PSF: it is a Gaussian, and fluxes under it have their flags", least=4
    )
    psf_model: str = option("polynomial", f"Of the PSF: {', '.join(PSF_MODELS)}", check=lambda name: name in PSF_MODELS)
    psf_side: int = option(25, "Pixels along a side of the PSF, odd", least=5, check=lambda side: side % 2 == 1)
    psf_order: int = option(2, "Of the PSF's polynomial; lower where there are too few stars for it", least=0, most=4)


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
    """Of the image; a Gaussian where no source is ``used``."""

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
            gains=self.noise.gains,
            mask=self.mask,
            segments=self.found.segments,
        )


def characterise(exposure: Exposure, options: Options) -> Characterised:
    """Return sky, sources and PSF of an image in electrons.

    Raises
    ------
    UnusableImageError
        If less than a tenth of the pixels can be used, or these have no noise, or less than half of them a variance.
    """
    check_usable(exposure)
    exposure = interpolate(exposure)
    sky = background(exposure.image, mask=exposure.mask, mesh=options.mesh_pixels)
    if not sky.mean_noise > 0:
        raise UnusableImageError("the image has no noise: its pixels have one value")
    light = sky.subtract_from(exposure.image)
    noise = noise_of(light, exposure.variance, exposure.mask, sky, side=options.mesh_pixels)
    if noise.scale is not None:
        exposure = replace(exposure, variance=exposure.variance * noise.scale)
    hit = np.zeros(exposure.image.shape, bool)
    if options.cosmic_rays:
        hit = _rays(exposure, light, contrast=MOST_CONTRAST)
    stars = _bright_stars(_without(exposure, hit), sky, noise, options)
    fwhm = stars.fwhm_pixels
    if hit.any() and stars.candidate.any():
        more = _rays(exposure, light, contrast=contrast_for(fwhm))
        hit = more if more.sum() <= _MORE_RAYS * hit.sum() else hit
    exposure = _without(exposure, hit)
    image, variance, mask = exposure.image, exposure.variance, exposure.mask.copy()
    light = _finite(sky.subtract_from(image))
    of_sky = sky_noise(light, variance, noise)
    frame = Frame(image=light, variance=variance, gain=noise.gain, gains=noise.gains, mask=mask)
    found = _detected(light, of_sky, mask, fwhm, options.threshold)
    if hit.any() and stars.candidate.any():
        frame = replace(frame, segments=found.segments)
        more = hit_widened(frame, hit | sources_of_rays(frame, found, stars), of_sky)
        if hit.sum() < more.sum() <= _MORE_RAYS * hit.sum():
            hit, exposure = more, _without(exposure, more)
            image, variance, mask = exposure.image, exposure.variance, exposure.mask.copy()
    sky = _sky_beside(found, image, mask, options)
    light = _finite(sky.subtract_from(image))
    structure = structure_of(found, mask, side=options.mesh_pixels)
    found = _detected(light, of_sky if structure is None else of_sky * structure, mask, fwhm, options.threshold)
    mask |= np.where(found.segments > 0, np.int32(Plane.DETECTED), np.int32(0))
    frame = replace(frame, image=light, mask=mask, segments=found.segments)
    wanted = PsfOptions(
        signal_to_noise=options.star_signal_to_noise,
        least_stars=options.least_stars,
        side=options.psf_side,
        order=options.psf_order,
    )
    model = PSF_MODELS[options.psf_model](frame, found, fwhm, wanted)
    if hit.any():
        hit = hit_widened(frame, hit_beside_stars(frame, found, model.psf, hit), of_sky)
        exposure = _without(exposure, hit)
        light, variance = _finite(sky.subtract_from(exposure.image)), exposure.variance
        mask |= exposure.mask
    return Characterised(
        light=light,
        variance=variance,
        mask=mask,
        sky=sky,
        found=found,
        psf=model.psf,
        noise=noise,
        sky_noise=of_sky,
        fwhm_pixels=model.stars.fwhm_pixels,
        candidate=model.stars.candidate,
        used=model.used,
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


def _rays(exposure: Exposure, light: FloatImage, *, contrast: float) -> npt.NDArray[np.bool_]:
    """Return which pixels cosmic rays hit; none where more is hit than rays can hit: then stars are as sharp."""
    frame = Frame(image=light, variance=exposure.variance, mask=exposure.mask)
    try:
        hit = find_cosmic_rays(frame, contrast=contrast).hit
    except LimitError:
        return np.zeros(light.shape, bool)
    return hit if hit.mean() <= _MOST_RAYS else np.zeros(light.shape, bool)


def _without(exposure: Exposure, hit: npt.NDArray[np.bool_]) -> Exposure:
    """Return the image with its hits interpolated, not the median around them: that would cut the top of a star."""
    if not hit.any():
        return exposure
    return interpolate(replace(exposure, mask=exposure.mask | np.where(hit, np.int32(Plane.CR), np.int32(0))))


def _finite(light: FloatImage) -> FloatImage:
    """Return the light with zero where nothing is known, which the mask says."""
    return np.nan_to_num(light, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _detected(light: FloatImage, noise: FloatImage, mask: MaskImage, fwhm: float, threshold: float) -> Detections:
    return detect(light, noise=noise, kernel=gaussian_kernel(fwhm), mask=mask, threshold=threshold)


def _bright_stars(exposure: Exposure, sky: Background, noise: Noise, options: Options) -> Stars:
    """Return the bright stars, from a first detection with the guess of the FWHM."""
    light, guess = _finite(sky.subtract_from(exposure.image)), options.fwhm_guess_pixels
    of_sky = sky_noise(light, exposure.variance, noise)
    found = _detected(light, of_sky, exposure.mask, guess, _FIRST_THRESHOLD)
    frame = Frame(
        image=light,
        variance=exposure.variance,
        gain=noise.gain,
        gains=noise.gains,
        mask=exposure.mask,
        segments=found.segments,
    )
    return find_stars(frame, found, guess, signal_to_noise=options.star_signal_to_noise, neighbours=True)


def _sky_beside(found: Detections, image: FloatImage, mask: MaskImage, options: Options) -> Background:
    """Return the background of the pixels outside sources; where these cover everything, of all pixels."""
    beside = mask | np.where(found.segments > 0, np.int32(Plane.DETECTED), np.int32(0))
    try:
        return background(image, mask=beside, mesh=options.mesh_pixels, bad=int(UNUSABLE | Plane.DETECTED))
    except NoFitError:
        return background(image, mask=mask, mesh=options.mesh_pixels)
