"""Measurement at given positions: apertures, Kron fluxes, windowed centroids, adaptive moments.

All vectors have one length; an element that cannot be measured gets NaN and a flag, never an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels._library import (
    Array,
    check,
    ffi,
    image_of,
    lib,
    like,
    pointer,
    record_dtype,
    records,
    vectors,
)
from qserv_py.pipelines.kernels.planes import Plane

UNMEASURABLE = Plane.BAD | Plane.CR | Plane.NO_DATA
"""Planes of pixels that do not count."""

FLUX = record_dtype("qk_flux")
"""Fields of an aperture flux."""

MOMENTS = record_dtype("qk_moments")
"""Fields of a position and shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is measured: an image with its noise, checked once for any number of measurements.

    Raises
    ------
    KernelArgumentError
        If shapes differ or the noise is not known.
    """

    image: npt.ArrayLike
    """Background subtracted."""

    variance: npt.ArrayLike | None = None
    """Of every pixel, the image's unit squared."""

    noise: float = 0.0
    """Standard deviation of the background in a pixel; where ``variance`` is None."""

    gain: float = 0.0
    """Electrons per unit, for the noise of the source itself where ``variance`` is None; 0 leaves it out."""

    mask: npt.ArrayLike | None = None
    """Planes of each pixel."""

    bad: int = UNMEASURABLE
    """Planes of pixels that do not count."""

    segments: npt.ArrayLike | None = None
    """Segments of ``Detections``: pixels of other sources do not count for a source whose segment is named."""

    def __post_init__(self) -> None:
        image = image_of(self.image, name="image")
        for name, dtype in (("variance", np.float32), ("mask", np.int32), ("segments", np.int32)):
            object.__setattr__(self, name, like(getattr(self, name), image, name=name, dtype=dtype))
        object.__setattr__(self, "image", image)

    def native(self) -> Any:
        """Return the C struct; it lives as long as the frame is used."""
        image: Array = np.asarray(self.image)
        frame = ffi.new("qk_frame *")
        frame.image, frame.variance = pointer(image), pointer(self.variance)  # type: ignore[arg-type]
        frame.mask, frame.segments = pointer(self.mask), pointer(self.segments)  # type: ignore[arg-type]
        frame.ny, frame.nx = image.shape
        frame.noise, frame.gain, frame.bad = self.noise, self.gain, self.bad
        return frame


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
        Rows of ``FLUX``. Masked pixels and those off the image are replaced by the mean of the others; where less than
        half is left, the flux is NaN.
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
        The sources' own segments; without it every pixel counts.
    """
    columns = vectors(x=x, y=y, a=a, b=b, theta=theta)
    return _ellipses(frame, columns, _segments(segment, x))


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
    own = _segments(segment, x)
    radius, flags = np.empty(len(columns[0])), np.empty(len(columns[0]), np.int32)
    check(
        lib.qk_kron_radii(
            _with_segments(frame, own),
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


def axes_of(xx: npt.ArrayLike, yy: npt.ArrayLike, xy: npt.ArrayLike) -> tuple[Array, Array, Array]:
    """Return half axes a >= b, pixels, and the angle of a from x towards y, radian, of second moments.

    A source of one row or column has no width there; the width of a pixel, 1/12 squared pixel, is the least.
    """
    mxx, myy, mxy = vectors(xx=xx, yy=yy, xy=xy)
    mean, spread = (mxx + myy) / 2, np.hypot((mxx - myy) / 2, mxy)
    least = 1 / 12
    a, b = np.sqrt(np.maximum(mean + spread, least)), np.sqrt(np.maximum(mean - spread, least))
    return a, b, 0.5 * np.arctan2(2 * mxy, mxx - myy)


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
    own = _segments(segment, x)
    out = np.empty(len(at_x), MOMENTS)
    check(
        lib.qk_moments_of(
            _with_segments(frame, own),
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


def _ellipses(frame: Frame, columns: Sequence[Array], own: Array | None) -> Array:
    """Return fluxes in ellipses of the columns x, y, a, b, theta."""
    out = np.empty(len(columns[0]), FLUX)
    at = map(pointer, columns)
    check(lib.qk_apertures(_with_segments(frame, own), *at, pointer(own), len(out), records(out, "qk_flux")))
    return out


def _with_segments(frame: Frame, own: Array | None) -> Any:
    """Return the C frame, without segments when the sources do not name theirs."""
    native = frame.native()
    if own is None:
        native.segments = ffi.NULL
    return native


def _segments(segment: npt.ArrayLike | None, x: npt.ArrayLike) -> Array | None:
    if segment is None:
        return None
    own = np.ascontiguousarray(segment, dtype=np.int32).reshape(-1)
    if own.size != np.size(x):
        raise KernelArgumentError(f"segment and x have the lengths {own.size}, {np.size(x)}")
    return own
