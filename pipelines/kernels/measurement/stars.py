"""Which sources are stars that a PSF can be made from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qserv_py.errors import NoFitError
from qserv_py.pipelines.kernels._library import (
    Array,
    vectors,
)
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.planes import Plane

_UNCLEAN = Flag.EDGE | Flag.MASKED | Flag.NEIGHBOUR | Flag.NO_DATA | Flag.NOT_CONVERGED | Flag.TOO_LARGE
_MAD_TO_SIGMA = 1.4826


def select_stars(
    shapes: Array,
    *,
    flux: npt.ArrayLike,
    error: npt.ArrayLike,
    planes: npt.ArrayLike,
    least: float = 50.0,
    neighbours: bool = False,
) -> npt.NDArray[np.bool_]:
    """Return which sources are stars that a PSF can be made from.

    Sources of one size crowd in a diagram of size against brightness, and those are the stars: the densest tenth of the
    sizes is looked for, then everything within three widths of it is taken.

    Parameters
    ----------
    shapes
        Rows of ``MOMENTS``, adaptive.
    flux, error
        Of the sources, shape (n,).
    planes
        Of their segments; saturated and suspect ones are left out.
    least
        Flux over error.
    neighbours
        Whether sources that others touch may be stars, as they must in crowds.

    Raises
    ------
    NoFitError
        If fewer than three sources are bright and clean enough.
    """
    light, noise = vectors(flux=flux, error=error)
    spoilt = int(Plane.SAT | Plane.SUSPECT | Plane.BAD | Plane.CR)
    with np.errstate(invalid="ignore"):
        unclean = int(_UNCLEAN) & ~(int(Flag.NEIGHBOUR) if neighbours else 0)
        clean = (shapes["flags"] & unclean == 0) & (light > least * noise) & (np.asarray(planes) & spoilt == 0)
    if clean.sum() < 3:
        raise NoFitError(
            f"{clean.sum()} of {len(shapes)} sources are bright and clean enough for a PSF; 3 are needed",
            hint=f"Lower the least signal to noise of {least:g}, or look at the mask and the background.",
        )
    size = 0.5 * np.log(shapes["xx"] + shapes["yy"], where=clean, out=np.full(len(shapes), np.nan))
    ordered = np.sort(size[clean])
    window = max(2, len(ordered) // 10)
    start = int(np.argmin(ordered[window:] - ordered[:-window]))
    middle = float(np.median(ordered[start : start + window + 1]))
    near = ordered[np.abs(ordered - middle) < 0.1]
    width = max(0.02, _MAD_TO_SIGMA * float(np.median(np.abs(near - middle))))
    with np.errstate(invalid="ignore"):
        stars: npt.NDArray[np.bool_] = clean & (np.abs(size - middle) < 3 * width)
    return stars
