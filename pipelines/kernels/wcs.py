"""Coordinates of an image: TAN, and TAN-SIP where the optics distort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import (
    Array,
    FloatArray,
    vectors,
)

_INVERSIONS = 20  # rounds of the inverse distortion


@dataclass(frozen=True, slots=True, kw_only=True)
class Wcs:
    """Tangent-plane coordinates with polynomial distortion: the SIP convention, pixels from 0."""

    ra0: float
    """ICRS degrees of the tangent point."""

    dec0: float
    """ICRS degrees of the tangent point."""

    x0: float
    """Pixel of the tangent point."""

    y0: float
    """Pixel of the tangent point."""

    cd: FloatArray
    """Degrees per pixel, shape (2, 2): xi, eta by x, y."""

    order: int = 1
    """Of the distortion; 1 for none."""

    a: FloatArray | None = None
    """Distortion of x in pixels: a[i, j] of u**i v**j, shape (order + 1, order + 1)."""

    b: FloatArray | None = None
    """Distortion of y."""

    def to_sky(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return ICRS ra and dec, degrees, of pixels."""
        at_x, at_y = vectors(x=x, y=y)
        u, v = at_x - self.x0, at_y - self.y0
        du, dv = self._distortion(u, v)
        xi, eta = self.cd @ np.stack([u + du, v + dv])
        return from_plane(xi, eta, ra0=self.ra0, dec0=self.dec0)

    def to_pixel(self, ra: npt.ArrayLike, dec: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return pixels of ICRS positions; NaN for those on the other side of the sky."""
        at_ra, at_dec = vectors(ra=ra, dec=dec)
        xi, eta = to_plane(at_ra, at_dec, ra0=self.ra0, dec0=self.dec0)
        goal_u, goal_v = np.linalg.solve(self.cd, np.stack([xi, eta]))
        u, v = goal_u, goal_v
        for _ in range(_INVERSIONS if self.order > 1 else 0):
            du, dv = self._distortion(u, v)
            u, v = goal_u - du, goal_v - dv
        return u + self.x0, v + self.y0

    def header(self) -> dict[str, float | str | int]:
        """Return the FITS cards, without those of the inverse distortion."""
        kind = "-SIP" if self.order > 1 else ""
        cards: dict[str, float | str | int] = {
            "CTYPE1": f"RA---TAN{kind}",
            "CTYPE2": f"DEC--TAN{kind}",
            "CUNIT1": "deg",
            "CUNIT2": "deg",
            "RADESYS": "ICRS",
            "CRVAL1": self.ra0,
            "CRVAL2": self.dec0,
            "CRPIX1": self.x0 + 1,
            "CRPIX2": self.y0 + 1,
        }
        cards |= {f"CD{i + 1}_{j + 1}": float(self.cd[i, j]) for i in range(2) for j in range(2)}
        for letter, values in (("A", self.a), ("B", self.b)):
            if self.order > 1 and values is not None:
                cards[f"{letter}_ORDER"] = self.order
                powers = [(i, j) for i, j in powers_of(self.order) if i + j > 1]
                cards |= {f"{letter}_{i}_{j}": float(values[i, j]) for i, j in powers}
        return cards

    def _distortion(self, u: FloatArray, v: FloatArray) -> tuple[Array, Array]:
        if self.order < 2 or self.a is None or self.b is None:
            return np.zeros_like(u), np.zeros_like(v)
        return np.polynomial.polynomial.polyval2d(u, v, self.a), np.polynomial.polynomial.polyval2d(u, v, self.b)


def to_plane(ra: Array, dec: Array, *, ra0: float, dec0: float) -> tuple[FloatArray, FloatArray]:
    """Return standard coordinates xi, eta in degrees, NaN on the other side of the sky."""
    away, lat, lat0 = np.radians(ra - ra0), np.radians(dec), np.radians(dec0)
    depth = np.sin(lat) * np.sin(lat0) + np.cos(lat) * np.cos(lat0) * np.cos(away)
    depth = np.where(depth > 0, depth, np.nan)
    xi = np.cos(lat) * np.sin(away) / depth
    eta = (np.sin(lat) * np.cos(lat0) - np.cos(lat) * np.sin(lat0) * np.cos(away)) / depth
    return np.degrees(xi), np.degrees(eta)


def from_plane(xi: Array, eta: Array, *, ra0: float, dec0: float) -> tuple[FloatArray, FloatArray]:
    """Return ra in [0, 360) and dec, degrees, of standard coordinates in degrees."""
    x, y, lat0 = np.radians(xi), np.radians(eta), np.radians(dec0)
    depth = np.cos(lat0) - y * np.sin(lat0)
    ra = ra0 + np.degrees(np.arctan2(x, depth))
    dec = np.degrees(np.arctan2(np.sin(lat0) + y * np.cos(lat0), np.hypot(x, depth)))
    ra = np.mod(ra, 360.0)
    return np.where(ra == 360.0, 0.0, ra), dec  # a little less than 0 is rounded up to 360


def powers_of(order: int) -> list[tuple[int, int]]:
    """Return the powers of u and v in a polynomial, the constant first."""
    return [(i, total - i) for total in range(order + 1) for i in range(total, -1, -1)]
