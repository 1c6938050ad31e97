"""The PSF from the stars of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels._library import (
    Array,
    FloatArray,
    check,
    ffi,
    lib,
    pointer,
    vectors,
)
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes
from qserv_py.pipelines.kernels.measurement.moments import windowed_positions
from qserv_py.pipelines.kernels.measurement.psf_photometry import PsfPhotometry, psf_photometry
from qserv_py.pipelines.kernels.psf import Psf, powers_of_psf, samples_of, terms_of

_MAD_TO_SIGMA = 1.4826
_MOST_CONDITION = 1e6  # of the stars' places: beyond, they do not determine the terms
_LEAST_WIDTH = 0.05  # of reduced chi-squares, as of 800 pixels of noise


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfFit:
    """A PSF and the stars that it is from."""

    psf: Psf
    """The model."""

    used: npt.NDArray[np.bool_]
    """Which sources it is from."""


def fit_psf(
    frame: Frame,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    star: npt.ArrayLike,
    side: int = 25,
    order: int = 2,
    sampling: int = 1,
    rounds: int = 3,
    clip: float = 4.0,
    softening: float = 0.003,
) -> PsfFit:
    """Return the PSF of an image from its stars.

    Every round fits the stars and their neighbours with the model so far, takes the neighbours' light away, drops stars
    that do not look like the others, and fits the model again.

    Parameters
    ----------
    frame
        Background subtracted, with its noise. Its segments keep neighbours out of the first round.
    x, y
        All sources, pixels, shape (n,); source i has the segment i + 1.
    star
        Which are stars, shape (n,).
    side
        Pixels along a side of the model, odd.
    order
        Of its polynomial in x and y.
    sampling
        Samples of the model a pixel, along an axis: 1 to 4, see ``sampling_of``.
    rounds
        At least 1; three settle.
    clip
        A star is dropped when its chi-square stands out by this many widths of the others'.
    softening
        Relative error of the model that bounds the weight of bright stars.

    Raises
    ------
    NoFitError
        If fewer stars are left than the polynomial has terms.
    KernelArgumentError
        If the vectors' lengths differ or a number is out of range.

    References
    ----------
    Bertin 2011, ASP 442, 435.
    """
    at_x, at_y = vectors(x=x, y=y)
    used = np.array(star, dtype=bool).reshape(-1)
    if used.size != at_x.size or rounds < 1:
        raise KernelArgumentError(f"star and x have the lengths {used.size}, {at_x.size}; {rounds} rounds")
    image: Array = np.asarray(frame.image)
    psf = _without_stars(image.shape, side=side, order=order, sampling=sampling)
    psf, used = _first_psf(frame, psf, at_x, at_y, used, softening)
    near = np.nonzero(_near(at_x, at_y, used, within=side))[0]
    kept = used[near]
    for _ in range(rounds):
        found = psf_photometry(frame, psf, at_x[near], at_y[near])
        kept = _without_outliers(kept & _settled(found.fluxes), found, clip)
        rows = found.fluxes[kept]
        left = replace(frame, image=found.residual, segments=None)
        psf = _fit(left, psf, rows["x"], rows["y"], rows["flux"], None, softening, before=psf)
        psf = _centred(_steadied(psf, rows))
    used = np.zeros(at_x.size, bool)
    used[near[kept]] = True
    error = math.sqrt(side**2 * _common(rows)) if rounds > 1 else math.nan  # the first model is one to begin with
    return PsfFit(psf=replace(psf, error=error), used=used)


def _without_stars(shape: tuple[int, ...], *, side: int, order: int, sampling: int) -> Psf:
    """Return a PSF of the size that is wanted, with nothing in it."""
    if side % 2 == 0 or not (0 <= order <= lib.QK_MAX_ORDER and 1 <= sampling <= lib.QK_MAX_SAMPLING):
        raise KernelArgumentError(
            f"a PSF of {side} pixels, order {order}, {sampling} samples a pixel",
            hint=f"The side is odd; the order 0 to {lib.QK_MAX_ORDER}; 1 to {lib.QK_MAX_SAMPLING} samples a pixel.",
        )
    samples, (ny, nx) = samples_of(side, sampling), shape
    blank = np.zeros((terms_of(order), samples, samples))
    return Psf(coefficients=blank, order=order, sampling=sampling, x0=nx / 2, y0=ny / 2, scale_x=nx / 2, scale_y=ny / 2)


def _first_psf(
    frame: Frame, psf: Psf, x: FloatArray, y: FloatArray, star: Array, softening: float
) -> tuple[Psf, npt.NDArray[np.bool_]]:
    """Return the PSF from windowed positions and aperture fluxes, and the stars that have both."""
    rows = np.nonzero(star)[0]
    at = windowed_positions(frame, x[rows], y[rows], 2.0)
    flux = aperture_fluxes(frame, at["x"], at["y"], psf.side / 2)["flux"]
    with np.errstate(invalid="ignore"):
        good = np.isfinite(at["x"]) & (flux > 0)
    used = np.zeros(x.size, bool)
    used[rows[good]] = True
    rows, at, flux = rows[good], at[good], flux[good]
    return _centred(_fit(frame, psf, at["x"], at["y"], flux, rows + 1, softening, before=None)), used


def _fit(
    frame: Frame,
    psf: Psf,
    x: Array,
    y: Array,
    flux: Array,
    segment: Array | None,
    softening: float,
    *,
    before: Psf | None,
) -> Psf:
    columns = vectors(x=x, y=y, flux=flux)
    own = None if segment is None else np.ascontiguousarray(segment, np.int32)
    coefficients = np.zeros((terms_of(psf.order), *psf.coefficients.shape[1:]))
    status = lib.qk_psf_fit(
        frame.native(),
        *map(pointer, columns),
        pointer(own),
        len(columns[0]),
        softening,
        ffi.NULL if before is None else before.native(),
        replace(psf, coefficients=coefficients).native(),
        pointer(coefficients),
    )
    check(status, hint="Lower the order, or the signal to noise that makes a star.")
    return replace(psf, coefficients=coefficients)


def _steadied(psf: Psf, stars: Array) -> Psf:
    """Return a PSF whose wings vary over the image as its core does, unless stars show that they vary otherwise.

    Far from the middle the polynomial of a pixel is noise, and the sum of all pixels, by which the PSF is divided, has
    it all: fluxes would rise and fall over the image by some thousandths. What the terms have in common with a PSF that
    is stretched, sheared and moved is kept. The rest of each ring of pixels is multiplied by the share of its square
    that is not noise, which is seen in the outermost pixels.

    References
    ----------
    Efron & Morris 1973, JASA 68, 117: many means of one kind, each with noise, are best estimated so.
    """
    if psf.order == 0:
        return psf
    terms, samples = len(psf.coefficients), psf.coefficients.shape[-1]
    powers = _powers(psf, stars["x"], stars["y"]) * (stars["flux"] / stars["flux_error"])[:, None]
    # Orthonormal over the stars, all terms have the same noise; the first is their mean.
    triangle = np.linalg.qr(powers, mode="r")
    if np.linalg.cond(triangle) > _MOST_CONDITION:
        return psf
    varying = triangle @ psf.coefficients.reshape(terms, -1)
    mean, rest = varying[0].reshape(samples, samples), varying[1:]
    common = _changes(mean)
    follows = np.linalg.lstsq(common.T, rest.T, rcond=None)[0].T @ common
    rest = rest - follows
    offset = np.arange(samples) - samples // 2
    ring = np.rint(np.hypot(offset, offset[:, None]) / psf.sampling).astype(int).ravel()
    noise = float(np.mean(rest[:, ring >= psf.side // 2] ** 2))
    power = np.bincount(ring, np.mean(rest**2, axis=0)) / np.bincount(ring)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(power > noise, 1 - noise / power, 0.0)
    steady = np.concatenate([varying[:1], follows + share[ring] * rest])
    return replace(psf, coefficients=np.linalg.solve(triangle, steady).reshape(psf.coefficients.shape))


def _centred(psf: Psf) -> Psf:
    """Return a PSF that stands on the middle of its stamp all over the image.

    Where the middle is and where stars are was measured on the same stars: a model that drifts over the image fits them
    as well as one that does not, and would move every position by its noise. The middle is that of the light, weighted
    by the light and its mirror image.
    """
    mean = psf.coefficients[0]
    window = mean + mean[::-1, ::-1]
    offset = np.arange(len(mean)) - len(mean) // 2
    arms = np.stack([window * offset, window * offset[:, None]]).reshape(2, -1)
    moved = np.stack(np.gradient(mean)[::-1]).reshape(2, -1)
    terms = psf.coefficients.reshape(len(psf.coefficients), -1)
    matrix = arms @ moved.T
    if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > _MOST_CONDITION:
        return psf
    terms = terms - (terms @ arms.T) @ np.linalg.inv(matrix).T @ moved
    return replace(psf, coefficients=terms.reshape(psf.coefficients.shape))


def _powers(psf: Psf, x: Array, y: Array) -> FloatArray:
    """Return the terms of a PSF's polynomial at positions, shape (n, terms)."""
    u, v = (x - psf.x0) / psf.scale_x, (y - psf.y0) / psf.scale_y
    powers: FloatArray = np.stack([u**i * v**j for i, j in powers_of_psf(psf.order)], axis=1)
    return powers


def _changes(mean: FloatArray) -> FloatArray:
    """Return what a PSF gains when it grows brighter, moves, widens and is sheared, shape (6, samples)."""
    down, across = np.gradient(mean)
    offset = np.arange(len(mean)) - len(mean) // 2
    x, y = np.meshgrid(offset, offset)
    wider, along, aslant = x * across + y * down + 2 * mean, x * across - y * down, y * across + x * down
    changes: FloatArray = np.stack([mean, across, down, wider, along, aslant]).reshape(6, -1)
    return changes


def _near(x: FloatArray, y: FloatArray, star: Array, *, within: float) -> npt.NDArray[np.bool_]:
    """Return which sources may shine into the stamp of a star."""
    found = np.zeros(x.size, bool)
    for at_x, at_y in zip(x[star], y[star], strict=True):
        found |= (np.abs(x - at_x) <= within) & (np.abs(y - at_y) <= within)
    return found


def _settled(fluxes: Array) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        fitted: npt.NDArray[np.bool_] = fluxes["flags"] & int(Flag.NO_DATA | Flag.NOT_CONVERGED) == 0
        fitted &= fluxes["flux"] > 0
    return fitted


def _without_outliers(used: Array, found: PsfPhotometry, clip: float) -> npt.NDArray[np.bool_]:
    """Drop stars whose chi-square is too large for their brightness."""
    if not used.any():
        return used
    stars = found.fluxes[used]
    # What the stars have in common is not the fault of one of them.
    excess = stars["chi2"] / (1 + _common(stars) * _signal(stars))
    middle = np.median(excess)
    width = max(_LEAST_WIDTH, _MAD_TO_SIGMA * float(np.median(np.abs(excess - middle))))
    keep: npt.NDArray[np.bool_] = used.copy()
    keep[used] = excess < middle + clip * width
    return keep


def _common(stars: Array) -> float:
    """Return by how much chi-squares grow with the square of the signal to noise, for a star that is like the others.

    A model that is wrong by a share e gives a star of signal to noise s the chi-square 1 + (e s)**2 / pixels.
    """
    return max(0.0, float(np.median((stars["chi2"] - 1) / _signal(stars)))) if len(stars) else 0.0


def _signal(stars: Array) -> Array:
    """Return the square of the signal to noise."""
    square: Array = (stars["flux"] / stars["flux_error"]) ** 2
    return square
