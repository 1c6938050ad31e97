"""Fluxes and positions of all sources under the PSF, neighbours subtracted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import (
    Array,
    FloatArray,
    FloatImage,
    check,
    lib,
    pointer,
    record_dtype,
    records,
    vectors,
)
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.psf import PointSpread, Psf, samples_of, sampling_of

PSF_FLUX = record_dtype("qk_psf_flux")
"""Fields of a PSF flux; ``c/kernels.h`` says what they are."""

_FWHM_OF_AREA = math.sqrt(2 * math.log(2) / math.pi)  # of a Gaussian, over the root of 1 / the sum of its squares


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfPhotometry:
    """Sources fitted together."""

    fluxes: Array
    """Rows of ``PSF_FLUX``."""

    residual: FloatImage
    """The image without them."""


def psf_photometry(
    frame: Frame,
    psf: PointSpread,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    visits: int = 3,
    stray: float = 1.5,
    free_position: bool = True,
) -> PsfPhotometry:
    """Return flux and position of all sources under the PSF, each without its neighbours' light.

    Parameters
    ----------
    frame
        Background subtracted, with its noise or variance, to which the light of all models adds; segments are not used.
    psf
        Of the image. A ``Psf`` is drawn in C; of any other each source gets its stamp, that at its first position, and
        is fitted in a cut-out around it. Where stamps are undersampled, those of moved stars stand between pixels.
    x, y
        Pixels to start from, shape (n,).
    visits
        Rounds over all sources; three are enough where a few overlap.
    stray
        Pixels that a position may move; beyond, the flux at the given position is returned with a flag.
    free_position
        False for forced photometry: positions are kept.

    Raises
    ------
    KernelArgumentError
        If the vectors' lengths differ or a number is out of range.
    """
    at_x, at_y = vectors(x=x, y=y)
    fit = _Fit(visits=visits, stray=stray, free_position=free_position)
    order = np.argsort(-_brightness(np.asarray(frame.image), at_x, at_y), kind="stable").astype(np.int64)
    if isinstance(psf, Psf):
        return _fitted(frame, psf, at_x, at_y, order, fit)
    return _fitted_by_stamps(frame, psf, at_x, at_y, order, fit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """How sources are fitted; as of ``psf_photometry``."""

    visits: int
    stray: float
    free_position: bool


def _fitted(frame: Frame, psf: Psf, x: FloatArray, y: FloatArray, order: Array, fit: _Fit) -> PsfPhotometry:
    out = np.empty(x.size, PSF_FLUX)
    residual = np.empty_like(np.asarray(frame.image))
    check(
        lib.qk_psf_photometry(
            frame.native(),
            psf.native(),
            pointer(x),
            pointer(y),
            pointer(order),
            x.size,
            fit.visits,
            fit.stray,
            int(fit.free_position),
            records(out, "qk_psf_flux"),
            pointer(residual),
        )
    )
    return PsfPhotometry(fluxes=out, residual=residual)


def _fitted_by_stamps(
    frame: Frame, psf: PointSpread, x: FloatArray, y: FloatArray, order: Array, fit: _Fit
) -> PsfPhotometry:
    """Visit sources as the kernel does, each with a PSF of its own: its light is put back, and it is fitted anew."""
    frame, residual = _with_variance(frame), np.array(frame.image)
    once, alone = replace(fit, visits=1), np.zeros(1, np.int64)
    rows = _no_fluxes(x, y)
    models_of_stars, reach = _models(psf, x, y), psf.side // 2 + math.ceil(fit.stray) + 1
    boxes = {int(k): box for k in order if (box := _box_around(residual.shape, x[k], y[k], reach)) is not None}
    boxes = {k: box for k, box in boxes.items() if np.isfinite(models_of_stars[k].coefficients).all()}
    models = {k: np.zeros_like(residual[box]) for k, box in boxes.items()}
    for number in range(fit.visits):
        for k, box in boxes.items():
            if number and rows["flags"][k] & lib.QK_FLAG_NO_DATA:
                continue
            part = _cut(frame, box, light := residual[box] + models[k])
            row, column = box[0].start, box[1].start
            done = _fitted(part, models_of_stars[k], x[k : k + 1] - column, y[k : k + 1] - row, alone, once)
            rows[k] = done.fluxes[0]
            rows["x"][k] += column
            rows["y"][k] += row
            residual[box], models[k] = done.residual, light - done.residual
    return PsfPhotometry(fluxes=rows, residual=residual)


def _no_fluxes(x: FloatArray, y: FloatArray) -> Array:
    """Return the rows of sources that nothing is known of."""
    rows = np.zeros(x.size, PSF_FLUX)
    for name in ("flux", "flux_error", "x_error", "y_error", "chi2"):
        rows[name] = np.nan
    rows["x"], rows["y"], rows["flags"] = x, y, lib.QK_FLAG_NO_DATA
    return rows


def _with_variance(frame: Frame) -> Frame:
    """Return a frame that states the variance of its pixels, neighbours' light in it, which cut-outs do not show."""
    if frame.variance is not None:
        return frame
    light = np.maximum(np.asarray(frame.image), 0) / frame.gain if frame.gain > 0 else 0.0
    return replace(frame, variance=np.broadcast_to(frame.noise**2 + light, np.shape(frame.image)).astype(np.float32))


def _models(psf: PointSpread, x: FloatArray, y: FloatArray) -> list[Psf]:
    """Return the model of each source, of as many samples a pixel as the width of the stamps asks for."""
    middle = psf.at(x, y)
    with np.errstate(all="ignore"):
        widths = _FWHM_OF_AREA / np.sqrt(np.sum(middle**2, axis=(1, 2)))
    known = widths[np.isfinite(widths)]
    sampling = sampling_of(float(np.median(known))) if known.size else 1
    samples = samples_of(psf.side, sampling)
    wide = np.zeros((len(middle), sampling * (psf.side + 2), sampling * (psf.side + 2)))
    for i in range(sampling):
        for j in range(sampling):  # a star moved to the left shows what is right of its pixels
            left, down = (part / sampling - (part > sampling // 2) for part in (i, j))
            between = middle if i == j == 0 else psf.at(x, y, dx=-left, dy=-down)
            rows, columns = (sampling + round(sampling * part) for part in (down, left))
            end = sampling * psf.side
            wide[:, rows : rows + end : sampling, columns : columns + end : sampling] = between
    first = sampling * (1 + psf.side // 2) - samples // 2
    grids = wide[:, first : first + samples, first : first + samples]
    return [
        Psf(coefficients=grid[None], order=0, sampling=sampling, x0=0.0, y0=0.0, scale_x=1.0, scale_y=1.0)
        for grid in grids
    ]


def _box_around(shape: tuple[int, ...], x: float, y: float, reach: int) -> tuple[slice, slice] | None:
    """Return the pixels around a position, None where it is not on the image."""
    if not (-0.5 < x < shape[1] - 0.5 and -0.5 < y < shape[0] - 0.5):
        return None
    down, across = (slice(max(round(at) - reach, 0), round(at) + reach + 1) for at in (y, x))
    return down, across


def _cut(frame: Frame, box: tuple[slice, slice], light: Array) -> Frame:
    """Return a part of a frame with some light in it, without segments."""
    mask = None if frame.mask is None else np.asarray(frame.mask)[box]
    variance = np.asarray(frame.variance)[box]
    gains = None if frame.gains is None else np.asarray(frame.gains)[box]
    return replace(frame, image=light, variance=variance, gains=gains, mask=mask, fill=None, segments=None)


def _brightness(image: Array, x: FloatArray, y: FloatArray) -> Array:
    """Return the pixel at each position, -inf where there is none."""
    with np.errstate(invalid="ignore"):
        on = (x > -0.5) & (x < image.shape[1] - 0.5) & (y > -0.5) & (y < image.shape[0] - 0.5)
    values = np.full(x.size, -np.inf)
    values[on] = image[np.rint(y[on]).astype(int), np.rint(x[on]).astype(int)]
    return np.where(np.isnan(values), -np.inf, values)
