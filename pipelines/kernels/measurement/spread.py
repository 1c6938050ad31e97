"""How much wider than the PSF a source is: the statistic that parts stars from galaxies, with its error."""

from __future__ import annotations

import numpy as np

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels._library import Array, FloatArray
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.psf_photometry import PsfPhotometry
from qserv_py.pipelines.kernels.psf import PointSpread

_CHUNK = 512  # sources whose stamps are in memory at once
_LEAST_VARIANCE = 0.25  # of what is stated: as in fits


def spread_model(
    frame: Frame, psf: PointSpread, fitted: PsfPhotometry, *, scale: float
) -> tuple[FloatArray, FloatArray]:
    """Return how much better a source is matched by a wider PSF than the PSF itself would be.

    With the PSF P, an exponential disk of a small scale under it G, the pixels I without neighbours and weights W the
    statistic is G W I / P W I - G W P / P W P: nought for a star in the mean, above for a galaxy, whatever the flux and
    the unit.

    Parameters
    ----------
    frame
        That was fitted.
    psf
        Of the image.
    fitted
        What ``psf_photometry`` gave: positions, fluxes, and the image without the models.
    scale
        Of the disk, pixels.

    Returns
    -------
    spread, error
        Shape (n,); NaN where no PSF was fitted, or the light under it is not positive.

    References
    ----------
    Desai et al. 2012, ApJ 757, 83, section 4.3; Bouy et al. 2013, A&A 554, A101, section 4.4.
    """
    if not 0 < scale < psf.side:
        raise KernelArgumentError(f"a disk of {scale} pixels under a PSF of {psf.side}")
    rows = fitted.fluxes
    spread, error = np.full((2, len(rows)), np.nan)
    failed = (rows["flags"] & int(Flag.NO_DATA)) != 0
    good = np.nonzero(~failed & np.isfinite(rows["flux"]) & np.isfinite(rows["x"]) & np.isfinite(rows["y"]))[0]
    disk = _disk(psf.side, scale)
    for first in range(0, len(good), _CHUNK):
        part = good[first : first + _CHUNK]
        spread[part], error[part] = _of_stamps(frame, psf, rows[part], fitted.residual, disk)
    return spread, error


def _disk(side: int, scale: float) -> Array:
    """Return the transform of an exponential disk on a grid twice the stamp."""
    wide = 2 * side
    square = np.fft.fftfreq(wide)[:, None] ** 2 + np.fft.rfftfreq(wide)[None] ** 2
    transform: Array = (1 + (2 * np.pi * scale) ** 2 * square) ** -1.5
    return transform


def _of_stamps(frame: Frame, psf: PointSpread, rows: Array, residual: Array, disk: Array) -> tuple[Array, Array]:
    image, side = np.asarray(frame.image), psf.side
    x, y = np.rint(rows["x"]).astype(int), np.rint(rows["y"]).astype(int)
    point = np.nan_to_num(psf.at(rows["x"], rows["y"], dx=rows["x"] - x, dy=rows["y"] - y))
    wide = np.fft.irfft2(np.fft.rfft2(point, s=(2 * side, 2 * side)) * disk, s=(2 * side, 2 * side))[:, :side, :side]
    offset = np.arange(side) - side // 2
    at = (y[:, None, None] + offset[:, None]), (x[:, None, None] + offset)
    inside = (at[0] >= 0) & (at[1] >= 0) & (at[0] < image.shape[0]) & (at[1] < image.shape[1])
    at = np.where(inside, at[0], 0), np.where(inside, at[1], 0)
    rest = residual[at].astype(float)
    variance = _variance(frame, at, rest)
    counts = inside & np.isfinite(rest) & np.isfinite(variance) & (variance > 0)
    if frame.mask is not None:
        counts &= (np.asarray(frame.mask)[at] & frame.bad) == 0
    weight = np.where(counts, 1 / np.where(counts, variance, 1), 0)
    light = np.where(counts, rest, 0) + rows["flux"][:, None, None] * point

    def product(one: Array, other: Array) -> Array:
        result: Array = np.sum(weight * one * other, axis=(1, 2))
        return result

    pp, pg, gg = product(point, point), product(point, wide), product(wide, wide)
    pd, gd = product(point, light), product(wide, light)
    with np.errstate(all="ignore"):
        ratio = np.where(pd > 0, gd / pd, np.nan)
        return ratio - pg / pp, np.sqrt(gg + ratio**2 * pp - 2 * ratio * pg) / pd


def _variance(frame: Frame, at: tuple[Array, Array], rest: Array) -> Array:
    """Return the variance of pixels under the model's light, as fits have it."""
    gain = np.asarray(frame.gain if frame.gains is None else np.asarray(frame.gains)[at], dtype=np.float64)
    per_unit = np.divide(1.0, gain, out=np.zeros_like(gain), where=gain > 0)
    if frame.variance is None:
        light = np.asarray(frame.image)[at] - rest
        return np.asarray(frame.noise**2 + per_unit * np.maximum(light, 0))
    stated = np.asarray(frame.variance)[at]
    return np.asarray(np.maximum(stated - per_unit * rest, _LEAST_VARIANCE * stated))
