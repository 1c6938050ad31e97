"""From the flux under the PSF to the flux in a large aperture: a ratio that varies over the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import NoFitError
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.wcs import powers_of

_CLIP = 4.0
_DAMAGED = int(Flag.MASKED | Flag.EDGE)
_LEAST_WHOLE = 3
_ROUNDS = 10
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class ApertureCorrection:
    """Flux in the aperture over flux under a model, as a polynomial of the position."""

    coefficients: FloatArray
    """Of u**i v**j, i + j up to the order, in the order of ``powers_of``: a lower order's terms come first."""

    order: int
    """Of the polynomial."""

    shape: tuple[int, int]
    """Rows and columns of the image; u and v run from -1 to 1 over it."""

    error: float
    """Standard error of the ratio."""

    used: npt.NDArray[np.bool_]
    """Which stars it is from."""

    def at(self, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
        """Return the ratio at positions; beside the image that of its border."""
        ratio: FloatArray = _terms(np.asarray(x, float), np.asarray(y, float), self.shape, self.order) @ (
            self.coefficients
        )
        return ratio


def no_correction(shape: tuple[int, int]) -> ApertureCorrection:
    """Return a correction that changes nothing, and whose error is not known: of an image without stars."""
    return ApertureCorrection(coefficients=np.ones(1), order=0, shape=shape, error=float("nan"), used=np.zeros(0, bool))


def fit_aperture_correction(
    stars: Any, *, flux: str, aperture: str, shape: tuple[int, int], order: int = 1
) -> ApertureCorrection:
    """Return the correction from bright stars.

    Parameters
    ----------
    stars
        Rows of the table of ``measure``.
    flux, aperture
        Which columns to compare, without their ``_flux``.
    shape
        Rows and columns of the image.
    order
        Of the polynomial, at most; lower where a term would have fewer than five stars, or the stars do not show that
        the ratio varies so.

    Returns
    -------
    correction
        Of stars without damage in the aperture or under the model; of all where fewer than three are whole.

    Raises
    ------
    NoFitError
        If no star has both fluxes.
    """
    light, within = (np.asarray(stars[f"{name}_flux"], float) for name in (flux, aperture))
    error = np.asarray(stars[f"{aperture}_flux_error"], float)
    with np.errstate(all="ignore"):
        ratio, noise = within / light, error / light
        used = np.isfinite(ratio) & np.isfinite(noise) & (light > 0) & (within > 0) & (noise > 0)
    flags = {"psf": "psf", "gauss": "shape"}.get(flux, flux), aperture
    whole = used & np.all([np.asarray(stars[f"{name}_flags"]) & _DAMAGED == 0 for name in flags], axis=0)
    used = whole if whole.sum() >= _LEAST_WHOLE else used
    if not used.any():
        raise NoFitError(f"none of {len(stars)} stars has both fluxes {flux} and {aperture}")
    possible, used = used, used & _near_median(ratio, used)  # before a blend can tilt the plane
    while order > 0 and used.sum() < 5 * (order + 1) * (order + 2) / 2:
        order -= 1
    terms = _terms(np.asarray(stars["x"], float), np.asarray(stars["y"], float), shape, order)
    # A neighbour in the aperture is worse than noise: bright stars count no more than those of one percent.
    weight = 1 / np.hypot(noise, 0.01)
    fitted = np.zeros(terms.shape[1])
    for _ in range(_ROUNDS):
        fitted = np.linalg.lstsq(terms[used] * weight[used, None], ratio[used] * weight[used], rcond=None)[0]
        off = ratio - terms @ fitted
        middle = np.median(off[used])
        width = max(_MAD_TO_SIGMA * float(np.median(np.abs(off[used] - middle))), 1e-6)
        with np.errstate(invalid="ignore"):
            near = possible & (np.abs(off - middle) <= _CLIP * width)
        if (near == used).all() or near.sum() < terms.shape[1] + 2:
            break
        used = near
    order, fitted = _simplest(terms[used] * weight[used, None], ratio[used] * weight[used], order)
    terms = terms[:, : len(fitted)]
    scatter = float(np.std((ratio - terms @ fitted)[used]))
    return ApertureCorrection(
        coefficients=fitted, order=order, shape=shape, error=scatter / float(np.sqrt(used.sum())), used=used
    )


def _simplest(terms: FloatArray, values: FloatArray, order: int) -> tuple[int, FloatArray]:
    """Return the order whose polynomial says most for its number of terms, and the polynomial.

    Every term more takes noise of its own into all fluxes.

    References
    ----------
    Schwarz 1978, Ann. Statist. 6, 461.
    """
    fits: list[tuple[float, int, FloatArray]] = []
    for each in range(order + 1):
        part = terms[:, : len(powers_of(each))]
        fitted = np.asarray(np.linalg.lstsq(part, values, rcond=None)[0], np.float64)
        square = max(float(np.sum((values - part @ fitted) ** 2)), np.finfo(float).tiny)
        fits.append((float(len(values) * np.log(square) + part.shape[1] * np.log(len(values))), each, fitted))
    _, best, polynomial = min(fits, key=lambda one: one[0])
    return best, polynomial


def _near_median(values: FloatArray, of: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    off = np.abs(values - np.median(values[of]))
    with np.errstate(invalid="ignore"):
        near: npt.NDArray[np.bool_] = off <= _CLIP * max(_MAD_TO_SIGMA * float(np.median(off[of])), 1e-3)
    return near


def _terms(x: FloatArray, y: FloatArray, shape: tuple[int, int], order: int) -> FloatArray:
    u, v = (np.clip(2 * at / size - 1, -1, 1) for at, size in ((x, shape[1]), (y, shape[0])))
    return np.stack([u**i * v**j for i, j in powers_of(order)], axis=-1)
