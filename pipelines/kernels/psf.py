"""The PSF of an image: whatever gives stamps at positions, and the one that is fitted to stars.

Measurements take any ``PointSpread``: that of a coadd, which jumps where an exposure ends, has no polynomial.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels._library import (
    FloatArray,
    check,
    ffi,
    lib,
    pointer,
    unmasked,
    vectors,
)


class PointSpread(Protocol):
    """What a star looks like, anywhere on an image."""

    @property
    def side(self) -> int:
        """Pixels along a side of a stamp, odd."""

    def at(self, x: npt.ArrayLike, y: npt.ArrayLike, *, dx: npt.ArrayLike = 0.0, dy: npt.ArrayLike = 0.0) -> FloatArray:
        """Return the PSF at positions, shape (n, side, side), each of sum 1.

        Parameters
        ----------
        x, y
            Pixels, shape (n,).
        dx, dy
            How far its middle is from the middle pixel, -0.5 to 0.5, one or shape (n,).

        Returns
        -------
        stamps
            NaN where there is no PSF.
        """

    def error_at(self, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
        """Return by how much the stamps at positions are wrong, shape (n,), NaN where it is not known.

        It is the root of the squares of what is wrong over that of the squares of the stamp, so the share of a flux
        that is expected to be wrong, and of a bright star's light that subtracting it leaves.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Psf:
    """A PSF that varies over the image: pixels times a polynomial of the position."""

    coefficients: FloatArray
    """Shape (terms, side, side), of any type of number: term u**i v**j for j = 0 to order, i = 0 to order - j."""

    order: int
    """Of the polynomial."""

    x0: float
    """u = (x - x0) / scale_x."""

    y0: float
    """v = (y - y0) / scale_y."""

    scale_x: float
    """Pixels."""

    scale_y: float
    """Pixels."""

    error: float = math.nan
    """What ``error_at`` says, the same everywhere."""

    def __post_init__(self) -> None:
        plain = unmasked(self.coefficients, name="coefficients", dtype=np.float64)
        if plain.dtype.kind not in "fiu":
            raise KernelArgumentError(f"coefficients have the type {plain.dtype}; numbers are needed")
        object.__setattr__(self, "coefficients", np.ascontiguousarray(plain, np.float64))

    @property
    def side(self) -> int:
        """Pixels along a side of the grid."""
        return int(self.coefficients.shape[-1])

    def at(self, x: npt.ArrayLike, y: npt.ArrayLike, *, dx: npt.ArrayLike = 0.0, dy: npt.ArrayLike = 0.0) -> FloatArray:
        """Return the PSF at positions; NaN where one is not finite or the model has no positive sum."""
        shape = np.shape(np.atleast_1d(np.asarray(x)))
        columns = vectors(x=x, y=y, dx=np.broadcast_to(dx, shape), dy=np.broadcast_to(dy, shape))
        stamps = np.empty((len(columns[0]), self.side, self.side))
        check(lib.qk_psf_draw(self.native(), *map(pointer, columns), len(columns[0]), pointer(stamps)))
        return stamps

    def error_at(self, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
        """Return by how much the model is wrong: as measured on the stars that it is from, where it is."""
        columns = vectors(x=x, y=y)
        return np.where(np.isfinite(columns[0]) & np.isfinite(columns[1]), self.error, np.nan)

    def native(self) -> Any:
        """Return the C struct; it lives as long as the model."""
        if self.coefficients.ndim != 3 or self.coefficients.shape[0] != terms_of(self.order):
            raise KernelArgumentError(f"a PSF of order {self.order} with coefficients {self.coefficients.shape}")
        psf = ffi.new("qk_psf *")
        psf.coefficients, psf.side, psf.order = pointer(self.coefficients), self.side, self.order
        psf.x0, psf.y0, psf.scale_x, psf.scale_y = self.x0, self.y0, self.scale_x, self.scale_y
        return psf


def terms_of(order: int) -> int:
    """Return how many terms a polynomial in x and y has."""
    return (order + 1) * (order + 2) // 2
