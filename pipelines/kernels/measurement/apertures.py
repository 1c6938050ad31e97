"""Fluxes in circles and ellipses, Kron's among them.

All vectors have one length; an element that cannot be measured gets NaN and a flag, never an error.
"""

from __future__ import annotations

from collections.abc import Sequence

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

FLUX = record_dtype("qk_flux")
"""Fields of an aperture flux."""


def aperture_fluxes(frame: Frame, x: npt.ArrayLike, y: npt.ArrayLike, radius: npt.ArrayLike) -> Array:
    """Return the flux in circles, every pixel with its exact overlap.

    Parameters
    ----------
    frame
        Its segments are not used: everything in the circle counts.
    x, y
        Pixels, shape (n,).
    radius
        Pixels, one for all or shape (n,).

    Returns
    -------
    fluxes
        Rows of ``FLUX``. Pixels that are masked or off the image have the light that ``frame.fill`` says, or that of
        the opposite side of the circle; where less than half was seen, the flux is NaN.
    """
    at_x, at_y, half = vectors(x=x, y=y, radius=np.broadcast_to(radius, np.shape(x)))
    return _ellipses(frame, (at_x, at_y, half, half, np.zeros_like(half)), None)


def ellipse_fluxes(
    frame: Frame,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    theta: npt.ArrayLike,
    *,
    segment: npt.ArrayLike | None = None,
) -> Array:
    """Return the flux in ellipses, as ``aperture_fluxes``.

    Parameters
    ----------
    x, y
        Pixels, shape (n,).
    a, b
        Half axes, pixels.
    theta
        Of axis a, radian, from x towards y.
    segment
        The sources' own segments; pixels of others have the light of the opposite side. Without it every pixel counts.
    """
    columns = vectors(x=x, y=y, a=a, b=b, theta=theta)
    return _ellipses(frame, columns, own_segments(segment, x))


def kron_fluxes(
    frame: Frame,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    theta: npt.ArrayLike,
    *,
    segment: npt.ArrayLike | None = None,
    factor: float = 2.5,
    least: float = 3.5,
    reach: float = 6.0,
) -> tuple[Array, Array]:
    """Return fluxes in Kron's ellipses, and their radius.

    Parameters
    ----------
    x, y, a, b, theta, segment
        As of ``ellipse_fluxes``; a and b are the roots of the source's principal moments.
    factor
        The ellipse is this many times Kron's radius.
    least
        Radius at the least, in units of a and b.
    reach
        Kron's radius is measured within this many half axes.

    Returns
    -------
    fluxes, radii
        Rows of ``FLUX``, and the ellipse's size in units of a and b.

    References
    ----------
    Kron 1980, ApJS 43, 305; Bertin & Arnouts 1996, A&AS 117, 393, section 7.
    """
    columns = vectors(x=x, y=y, a=a, b=b, theta=theta)
    own = own_segments(segment, x)
    radius, flags = np.empty(len(columns[0])), np.empty(len(columns[0]), np.int32)
    check(
        lib.qk_kron_radii(
            with_segments(frame, own),
            *map(pointer, columns),
            pointer(own),
            reach,
            len(radius),
            pointer(radius),
            pointer(flags),
        )
    )
    size = np.fmax(factor * radius, least)  # without light inside the reach: the least
    grown = (columns[0], columns[1], size * columns[2], size * columns[3], columns[4])
    fluxes = _ellipses(frame, grown, own)
    return fluxes, size


def axes_of(xx: npt.ArrayLike, yy: npt.ArrayLike, xy: npt.ArrayLike) -> tuple[Array, Array, Array]:
    """Return half axes a >= b, pixels, and the angle of a from x towards y, radian, of second moments.

    A source of one row or column has no width there; the width of a pixel, 1/12 squared pixel, is the least.
    """
    mxx, myy, mxy = vectors(xx=xx, yy=yy, xy=xy)
    mean, spread = (mxx + myy) / 2, np.hypot((mxx - myy) / 2, mxy)
    least = 1 / 12
    a, b = np.sqrt(np.maximum(mean + spread, least)), np.sqrt(np.maximum(mean - spread, least))
    return a, b, 0.5 * np.arctan2(2 * mxy, mxx - myy)


def _ellipses(frame: Frame, columns: Sequence[Array], own: Array | None) -> Array:
    """Return fluxes in ellipses of the columns x, y, a, b, theta."""
    out = np.empty(len(columns[0]), FLUX)
    at = map(pointer, columns)
    check(lib.qk_apertures(with_segments(frame, own), *at, pointer(own), len(out), records(out, "qk_flux")))
    return out
