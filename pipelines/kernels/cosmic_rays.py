"""Cosmic rays: pixels sharper than any star, found and replaced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels._library import Array, FloatImage, check, ffi, lib, pointer
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.planes import Plane

MOST_CONTRAST = 5.0
"""Of sharpness over fine structure: no star of a FWHM of 1.5 pixels or more has as much."""

_LEAST_CONTRAST = 1.5
_SHARPEST = 1.72  # pixels: FWHM of stars, as measured, for which the contrast is the greatest
_STEEPNESS = 2.5  # power of the FWHM that a star's own contrast falls with, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class CosmicRays:
    """What cosmic rays did to an image."""

    hit: npt.NDArray[np.bool_]
    """Which pixels were hit."""

    clean: FloatImage
    """The image, hits replaced by the median of the pixels around them that were not."""


def contrast_for(fwhm: float) -> float:
    """Return the contrast that tells rays from stars of some FWHM in pixels: twice a star's own or more.

    The more pixels a star has, the smoother it is, and the wider the tracks that are still sharper.

    Raises
    ------
    KernelArgumentError
        If the FWHM is not positive.
    """
    if not fwhm > 0:
        raise KernelArgumentError(f"a FWHM of {fwhm} pixels")
    return float(np.clip(MOST_CONTRAST * (_SHARPEST / fwhm) ** _STEEPNESS, _LEAST_CONTRAST, MOST_CONTRAST))


def find_cosmic_rays(
    frame: Frame,
    *,
    sigma: float = 5.5,
    share: float = 0.3,
    contrast: float = MOST_CONTRAST,
    rounds: int = 4,
    skip: int = Plane.SAT,
) -> CosmicRays:
    """Return the pixels that cosmic rays hit.

    Parameters
    ----------
    frame
        Background subtracted, with the noise of the background and the gain, or the variance.
    sigma
        Sharpness of a hit in standard deviations. At 5.5 noise is taken for one hit in four million pixels, at 4.5
        for 25.
    share
        Neighbours of a hit need this share of ``sigma``.
    contrast
        Sharpness over fine structure of a hit, 0.4 of it for its neighbours. Wide tracks need less than the default:
        see ``contrast_for``. A star under an excellent seeing has more; then raise it.
    rounds
        At most; a round sees what the hits of those before had hidden.
    skip
        Planes of pixels that are not looked at besides ``frame.bad``.

    Raises
    ------
    KernelArgumentError
        If the noise is not known or a number is out of range.
    LimitError
        If more than one pixel in 20 is as sharp as a ray: the noise is understated, or the stars are as sharp.

    References
    ----------
    van Dokkum 2001, PASP 113, 1420.
    """
    image: Array = np.asarray(frame.image)
    native = frame.native()
    native.bad = int(frame.bad) | int(skip)
    found, clean = np.empty(image.shape, np.int32), np.empty_like(image)
    count = ffi.new("int64_t *")
    check(
        lib.qk_cosmic_rays(native, sigma, share, contrast, rounds, pointer(found), pointer(clean), count),
        hint="Look at the noise or the variance of the image; where stars are so sharp, do not look for rays.",
    )
    return CosmicRays(hit=found.astype(bool), clean=clean)
