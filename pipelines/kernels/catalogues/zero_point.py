"""Photometric zero point of an image against reference magnitudes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qserv_py.errors import NoFitError
from qserv_py.pipelines.kernels._library import FloatArray, vectors

_CLIP = 4.0
_ROUNDS = 20
_MAG_PER_RATIO = 2.5 / np.log(10)
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroPoint:
    """What magnitude a flux of 1 has."""

    magnitude: float
    """Weighted mean of reference magnitude + 2.5 log10(flux)."""

    error: float
    """Standard error of the mean."""

    scatter: float
    """Magnitudes that stars scatter beyond their errors."""

    used: npt.NDArray[np.bool_]
    """Which stars are in the mean."""


def fit_zero_point(
    flux: npt.ArrayLike, flux_error: npt.ArrayLike, magnitude: npt.ArrayLike, magnitude_error: npt.ArrayLike
) -> ZeroPoint:
    """Return the zero point of matched stars, variable and misidentified ones clipped at 4 sigmas.

    Parameters
    ----------
    flux, flux_error
        Of the image, any unit, shape (n,). Stars without a positive flux are left out.
    magnitude, magnitude_error
        Of the reference catalogue.

    Raises
    ------
    NoFitError
        If no star has a flux and a magnitude.
    KernelArgumentError
        If the vectors' lengths differ.
    """
    light, noise, reference, uncertainty = vectors(
        flux=flux, flux_error=flux_error, magnitude=magnitude, magnitude_error=magnitude_error
    )
    with np.errstate(all="ignore"):
        each = reference + 2.5 * np.log10(light)
        variance = (_MAG_PER_RATIO * noise / light) ** 2 + uncertainty**2
        used = np.isfinite(each) & np.isfinite(variance) & (variance > 0)
    if not used.any():
        raise NoFitError(
            f"none of {light.size} stars has a positive flux and a magnitude with errors",
            hint="Look at the matches with the reference catalogue.",
        )
    mean, extra = float(np.median(each[used])), _extra(each[used], variance[used])
    for _ in range(_ROUNDS):
        with np.errstate(invalid="ignore"):
            near = np.abs(each - mean) <= _CLIP * np.sqrt(variance + extra)
        if (near == used).all() or not near.any():
            break
        used = near
        weight = 1 / (variance[used] + extra)
        mean = float(np.sum(weight * each[used]) / np.sum(weight))
        extra = _extra(each[used], variance[used])
    weight = 1 / (variance[used] + extra)
    mean = float(np.sum(weight * each[used]) / np.sum(weight))
    error = float(1 / np.sqrt(np.sum(weight)))
    return ZeroPoint(magnitude=mean, error=error, scatter=float(np.sqrt(extra)), used=used)


def _extra(values: FloatArray, variance: FloatArray) -> float:
    """Return the variance that, added to the errors', explains the spread around the median."""
    if len(values) < 3:
        return 0.0
    off = np.abs(values - np.median(values))
    low, high = 0.0, (_MAD_TO_SIGMA * float(np.median(off))) ** 2

    def too_little(extra: float) -> bool:
        return float(np.median(off / np.sqrt(variance + extra))) * _MAD_TO_SIGMA > 1.0

    if not too_little(0.0):
        return 0.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if too_little(middle) else (low, middle)
    return high
