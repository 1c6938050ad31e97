"""Fluxes and positions of all sources under the PSF, neighbours subtracted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import (
    Array,
    FloatArray,
    FloatImage,
    check,
    lib,
    pointer,
    record_dtype,
    records,
    vectors,
)
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.psf import Psf

PSF_FLUX = record_dtype("qk_psf_flux")
"""Fields of a PSF flux; ``c/kernels.h`` says what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfPhotometry:
    """Sources fitted together."""

    fluxes: Array
    """Rows of ``PSF_FLUX``."""

    residual: FloatImage
    """The image without them."""


def psf_photometry(
    frame: Frame,
    psf: Psf,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    visits: int = 3,
    stray: float = 1.5,
    free_position: bool = True,
) -> PsfPhotometry:
    """Return flux and position of all sources under the PSF, each without its neighbours' light.

    Parameters
    ----------
    frame
        Background subtracted, with its noise or variance, to which the light of all models adds; segments are not used.
    psf
        Of the image.
    x, y
        Pixels to start from, shape (n,).
    visits
        Rounds over all sources; three are enough where a few overlap.
    stray
        Pixels that a position may move; beyond, the flux at the given position is returned with a flag.
    free_position
        False for forced photometry: positions are kept.

    Raises
    ------
    KernelArgumentError
        If the vectors' lengths differ or a number is out of range.
    """
    at_x, at_y = vectors(x=x, y=y)
    image: Array = np.asarray(frame.image)
    order = np.argsort(-_brightness(image, at_x, at_y), kind="stable").astype(np.int64)
    out = np.empty(at_x.size, PSF_FLUX)
    residual = np.empty_like(image)
    check(
        lib.qk_psf_photometry(
            frame.native(),
            psf.native(),
            pointer(at_x),
            pointer(at_y),
            pointer(order),
            at_x.size,
            visits,
            stray,
            int(free_position),
            records(out, "qk_psf_flux"),
            pointer(residual),
        )
    )
    return PsfPhotometry(fluxes=out, residual=residual)


def _brightness(image: Array, x: FloatArray, y: FloatArray) -> Array:
    """Return the pixel at each position, -inf where there is none."""
    with np.errstate(invalid="ignore"):
        on = (x > -0.5) & (x < image.shape[1] - 0.5) & (y > -0.5) & (y < image.shape[0] - 0.5)
    values = np.full(x.size, -np.inf)
    values[on] = image[np.rint(y[on]).astype(int), np.rint(x[on]).astype(int)]
    return np.where(np.isnan(values), -np.inf, values)
