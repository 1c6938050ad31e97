"""The PSF of an image: pixels times a polynomial of the position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
            NaN where a position is not finite or the model has no positive sum.
        """
        shape = np.shape(np.atleast_1d(np.asarray(x)))
        columns = vectors(x=x, y=y, dx=np.broadcast_to(dx, shape), dy=np.broadcast_to(dy, shape))
        stamps = np.empty((len(columns[0]), self.side, self.side))
        check(lib.qk_psf_draw(self.native(), *map(pointer, columns), len(columns[0]), pointer(stamps)))
        return stamps

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
