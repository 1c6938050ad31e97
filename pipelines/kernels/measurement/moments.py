"""Positions and shapes under a Gaussian window.

All vectors have one length; an element that cannot be measured gets NaN and a flag, never an error.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import (
    Array,
    check,
    lib,
    pointer,
    record_dtype,
    records,
    vectors,
)
from qserv_py.pipelines.kernels.frame import Frame, own_segments, with_segments

MOMENTS = record_dtype("qk_moments")
"""Fields of a position and shape."""


def windowed_positions(
    frame: Frame,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    size: npt.ArrayLike,
    *,
    segment: npt.ArrayLike | None = None,
    stray: float = 3.0,
) -> Array:
    """Return positions at which a round Gaussian window sees the light balanced.

    Parameters
    ----------
    x, y
        Pixels to start from, shape (n,).
    size
        Standard deviation of the window, pixels; the PSF's is best for stars.
    segment
        As of ``ellipse_fluxes``.
    stray
        Pixels from the start at which a position is given up.

    Returns
    -------
    positions
        Rows of ``MOMENTS``; second moments are those of the source times the window.
    """
    return _moments(frame, x, y, size, segment, adaptive=0, most=1e6, stray=stray)


def adaptive_moments(
    frame: Frame,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    size: npt.ArrayLike,
    *,
    segment: npt.ArrayLike | None = None,
    most: float = 400.0,
    stray: float = 3.0,
) -> Array:
    """Return position and second moments under the elliptical Gaussian that matches the source.

    Parameters
    ----------
    x, y, segment, stray
        As of ``windowed_positions``.
    size
        Standard deviation to start with, pixels.
    most
        Second moment above which a source is given up, pixel**2.

    Returns
    -------
    shapes
        Rows of ``MOMENTS``, with errors from the noise of the frame.

    References
    ----------
    Bernstein & Jarvis 2002, AJ 123, 583; Hirata & Seljak 2003, MNRAS 343, 459.
    """
    return _moments(frame, x, y, size, segment, adaptive=1, most=most, stray=stray)


def _moments(
    frame: Frame,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    size: npt.ArrayLike,
    segment: npt.ArrayLike | None,
    *,
    adaptive: int,
    most: float,
    stray: float,
) -> Array:
    at_x, at_y, sizes = vectors(x=x, y=y, size=np.broadcast_to(size, np.shape(x)))
    own = own_segments(segment, x)
    out = np.empty(len(at_x), MOMENTS)
    check(
        lib.qk_moments_of(
            with_segments(frame, own),
            pointer(at_x),
            pointer(at_y),
            pointer(sizes),
            pointer(own),
            adaptive,
            most,
            stray,
            len(out),
            records(out, "qk_moments"),
        )
    )
    return out
