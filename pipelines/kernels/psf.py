"""The PSF of an image: whatever gives stamps at positions, and the one that is fitted to stars.

Measurements take any ``PointSpread``: that of a coadd, which jumps where an exposure ends, has no polynomial.

The fitted one is samples: one a pixel where the image is well sampled, more where its stars are narrower than three
pixels. What a pixel sees of a star that stands anywhere is interpolated between samples, and pixels of such stars are
too far apart for that.
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

_UNDERSAMPLED = (3.0, 1.8)  # pixels: stars of a smaller FWHM need one sample more


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
    """A PSF that varies over the image: samples times a polynomial of the position."""

    coefficients: FloatArray
    """Shape (terms, samples, samples), of any type of number: term u**i v**j for j = 0 to order, i = 0 to order - j.

    A sample is what a pixel there sees of a star on the middle one, so one a pixel are the pixels of that star.
    """

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

    sampling: int = 1
    """Samples a pixel, along an axis."""

    def __post_init__(self) -> None:
        plain = unmasked(self.coefficients, name="coefficients", dtype=np.float64)
        if plain.dtype.kind not in "fiu":
            raise KernelArgumentError(f"coefficients have the type {plain.dtype}; numbers are needed")
        object.__setattr__(self, "coefficients", np.ascontiguousarray(plain, np.float64))

    @property
    def side(self) -> int:
        """Pixels along a side of a stamp."""
        return int(self.coefficients.shape[-1]) // max(self.sampling, 1)

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
        shape, samples = self.coefficients.shape, samples_of(self.side, self.sampling)
        if shape != (terms_of(self.order), samples, samples):
            raise KernelArgumentError(
                f"a PSF of order {self.order} and {self.sampling} samples a pixel with coefficients {shape}"
            )
        psf = ffi.new("qk_psf *")
        psf.coefficients, psf.side, psf.order = pointer(self.coefficients), self.side, self.order
        psf.sampling = self.sampling
        psf.x0, psf.y0, psf.scale_x, psf.scale_y = self.x0, self.y0, self.scale_x, self.scale_y
        return psf


def powers_of_psf(order: int) -> list[tuple[int, int]]:
    """Return the powers of x and y in a PSF's polynomial, in the order of its coefficients."""
    return [(i, j) for j in range(order + 1) for i in range(order + 1 - j)]


def terms_of(order: int) -> int:
    """Return how many terms a polynomial in x and y has."""
    return (order + 1) * (order + 2) // 2


def samples_of(side: int, sampling: int) -> int:
    """Return how many samples are along a side of a PSF of some pixels, the middle one on the star."""
    return 2 * (sampling * side // 2) + 1


def sampling_of(fwhm: float) -> int:
    """Return how many samples a pixel a PSF needs, 1 to 3, by the FWHM that its stars have on the image, in pixels.

    Interpolated between pixels, Kolmogorov's PSF of 3 pixels is wrong by 0.5 % of its light and 0.0004 pixels of its
    position, one of 1.7 by 2.4 % and 0.0014 pixels (0.1 % and 0.0005 with two samples a pixel), one of 1.3 with two
    samples by 0.5 % and 0.0035 (0.03 % and 0.0002 with three). Smeared by pixels, stars of 1.3 seem to have 1.7.
    """
    return 1 + sum(fwhm < bound for bound in _UNDERSAMPLED)
