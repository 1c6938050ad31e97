"""Detection: the image filtered with the PSF, footprints above a threshold, and their division into sources."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels._library import (
    Array,
    FloatArray,
    FloatImage,
    MaskImage,
    check,
    ffi,
    image_of,
    lib,
    like,
    pointer,
    record_dtype,
    records,
)
from qserv_py.pipelines.kernels.planes import Plane

UNDETECTABLE = Plane.BAD | Plane.CR | Plane.NO_DATA
"""Planes of pixels whose light is not a source's, unless it was interpolated; saturated ones have a source's."""

SOURCE = record_dtype("qk_source")
"""Fields of a detected source; ``c/kernels.h`` says what they are."""

_FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))


class Flag(IntFlag):
    """What to know about a source or a measurement."""

    DEBLENDED = lib.QK_FLAG_DEBLENDED
    """Shares its footprint with other sources."""

    EDGE = lib.QK_FLAG_EDGE
    """Touches the border of the image."""

    TOO_LARGE = lib.QK_FLAG_TOO_LARGE
    """Its footprint has more than a million pixels, and no peaks by which it could be divided."""

    MASKED = lib.QK_FLAG_MASKED
    """Some of its pixels could not be used; they were filled, or left out of a fit."""

    NO_DATA = lib.QK_FLAG_NO_DATA
    """Too few pixels, or a position off the image: the result is NaN."""

    NOT_CONVERGED = lib.QK_FLAG_NOT_CONVERGED
    """An iteration did not settle."""

    CROWD = lib.QK_FLAG_CROWD
    """Its footprint is a crowd, and was divided by peaks."""

    NEIGHBOUR = lib.QK_FLAG_NEIGHBOUR
    """Some of its pixels belong to another source's segment; they were filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Sources above a threshold."""

    sources: Array
    """Rows of ``SOURCE``, footprints from the first row of the image to the last, brightest source first in each."""

    segments: MaskImage
    """0, or 1 + the row in ``sources`` that a pixel belongs to."""

    significance: FloatImage
    """The filtered image in standard deviations."""


def gaussian_kernel(fwhm: float) -> Array:
    """Return a round Gaussian of some FWHM in pixels, out to 3 standard deviations."""
    if not 0 < fwhm <= 40:
        raise KernelArgumentError(f"a FWHM of {fwhm} pixels; 0 to 40 are possible")
    sigma = fwhm * _FWHM_TO_SIGMA
    offset = np.arange(-np.ceil(3 * sigma), np.ceil(3 * sigma) + 1)
    line = np.exp(-0.5 * (offset / sigma) ** 2)
    kernel: Array = np.outer(line, line) / line.sum() ** 2
    return kernel


def significance(
    image: npt.ArrayLike,
    *,
    noise: float | npt.ArrayLike,
    kernel: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    bad: int = UNDETECTABLE,
    tolerance: float = 0.01,
) -> FloatImage:
    """Return the image filtered with a kernel, in standard deviations of the result.

    Parameters
    ----------
    image
        Background subtracted. Pixels that cannot be used count as zero; they get what those around them say.
    noise
        Standard deviation of one pixel, everywhere or of each.
    kernel
        The PSF, square, odd; best for point sources, any scale. It is replaced by the fewest separable terms that
        leave at most ``tolerance`` of its norm out.
    mask
        Planes of each pixel.
    bad
        Planes of pixels that cannot be used, unless they have the plane INTRP.
    tolerance
        0 to 1.

    Raises
    ------
    KernelArgumentError
        If shapes differ, or the kernel or the noise is not positive.
    """
    pixels = image_of(image, name="image")
    planes = like(mask, pixels, name="mask", dtype=np.int32)
    everywhere = np.ndim(noise) == 0
    noise_image = None if everywhere else like(noise, pixels, name="noise", dtype=np.float32)
    rows, columns = separable_terms(kernel, tolerance=tolerance)
    out = np.empty_like(pixels)
    check(
        lib.qk_significance(
            pointer(pixels),
            pointer(planes),
            bad,
            pointer(noise_image),
            float(np.asarray(noise)) if everywhere else 0.0,
            *pixels.shape,
            pointer(rows),
            pointer(columns),
            *rows.shape,
            pointer(out),
        )
    )
    return out


def separable_terms(kernel: npt.ArrayLike, *, tolerance: float) -> tuple[FloatImage, FloatImage]:
    """Return vectors whose outer products add up to a kernel, the fewest that leave out at most a share of its norm."""
    values = image_of(kernel, name="kernel", dtype=np.float64)
    if values.shape[0] != values.shape[1] or values.shape[0] % 2 == 0 or values.shape[0] > lib.QK_MAX_SIDE:
        raise KernelArgumentError(f"a kernel of shape {values.shape}; it is square and odd, {lib.QK_MAX_SIDE} at most")
    if not np.isfinite(values).all() or not values.any():
        raise KernelArgumentError("the kernel is empty or not finite")
    left, size, right = np.linalg.svd(values)
    rest = np.sqrt(np.maximum(0, 1 - np.cumsum(size**2) / np.sum(size**2)))
    terms = min(1 + int(np.argmax(rest <= tolerance)), lib.QK_MAX_TERMS)
    rows, columns = (left[:, :terms] * size[:terms]).T, right[:terms]
    return np.ascontiguousarray(rows, np.float32), np.ascontiguousarray(columns, np.float32)


def detect(
    image: npt.ArrayLike,
    *,
    noise: float | npt.ArrayLike,
    kernel: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    bad: int = UNDETECTABLE,
    threshold: float = 5.0,
    min_pixels: int = 3,
    levels: int = 32,
    contrast: float = 0.005,
    max_sources: int = 200_000,
) -> Detections:
    """Return the sources of an image.

    Parameters
    ----------
    image, noise, kernel, mask, bad
        As of ``significance``.
    threshold
        Standard deviations of the filtered image.
    min_pixels
        Of a footprint, and of each source that it is divided into above the level where they part.
    levels
        Of deblending, in equal ratios from the threshold to a footprint's peak; 1 to leave footprints whole.
    contrast
        Share of a footprint's flux that a part must have above its level to be a source. Footprints that are crowds, of
        2,048 pixels and a peak in 400 of them, are divided by their peaks instead, and larger ones than a million.
    max_sources
        A bound of the answer.

    Returns
    -------
    detections
        Pixels that cannot be used, interpolated or not, belong to the segments around them, and to their ``planes``. A
        source is above the threshold by the pixels that can be used alone, too.

    Raises
    ------
    KernelArgumentError
        If shapes differ or a number is out of range.
    LimitError
        If more sources are found than ``max_sources``.

    References
    ----------
    Bertin & Arnouts 1996, A&AS 117, 393, section 6.
    """
    pixels = image_of(image, name="image")
    planes = like(mask, pixels, name="mask", dtype=np.int32)
    filtered = significance(pixels, noise=noise, kernel=kernel, mask=planes, bad=bad)
    segments = np.empty(pixels.shape, np.int32)
    sources = np.empty(min(max_sources, pixels.size), SOURCE)
    found = ffi.new("int64_t *")
    check(
        lib.qk_detect(
            pointer(filtered),
            pointer(pixels),
            pointer(planes),
            *pixels.shape,
            threshold,
            min_pixels,
            levels,
            contrast,
            _reach(kernel),
            pointer(segments),
            records(sources, "qk_source"),
            len(sources),
            found,
        ),
        hint="Raise the threshold or max_sources; a background that was not subtracted looks like one source or many.",
    )
    rows = sources[: found[0]]
    doubtful = np.nonzero((rows["planes"] & bad) != 0)[0]
    if len(doubtful):
        alone = _significance_alone(pixels, planes, bad, noise, np.asarray(kernel, np.float64), rows[doubtful])
        few = (alone >= threshold).sum(axis=1) < min(min_pixels, alone.shape[1])
        rows, segments = _without(rows, segments, doubtful[few])
    return Detections(sources=rows.copy(), segments=segments, significance=filtered)


def _reach(kernel: npt.ArrayLike) -> int:
    """Return two standard deviations of the Gaussian that has a kernel's area, pixels."""
    values = np.asarray(kernel, np.float64)
    area = float(np.sum(values) ** 2 / np.sum(values**2))
    return max(1, min(int(lib.QK_MAX_SIDE), round(2 * float(np.sqrt(area / (4 * np.pi))))))


def _significance_alone(image: Array, mask: Array, bad: int, noise: Any, kernel: FloatArray, rows: Array) -> FloatArray:
    """Return the significance of the peaks of sources and the pixels around by usable pixels alone, shape (n, 9).

    The noise of interpolated pixels is that of their neighbours: both together look like more than they are.
    """
    half = kernel.shape[0] // 2
    offset = np.arange(-half, half + 1)
    deviation = np.asarray(noise)
    each = []
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y, x = np.broadcast_arrays(
                (rows["peak_y"] + dy)[:, None, None] + offset[:, None], (rows["peak_x"] + dx)[:, None, None] + offset
            )
            on = (y >= 0) & (x >= 0) & (y < image.shape[0]) & (x < image.shape[1])
            at = np.where(on, y, 0), np.where(on, x, 0)
            light = image[at]
            spread = np.square(deviation if deviation.ndim == 0 else deviation[at], dtype=np.float64)
            used = on & np.isfinite(light) & ((mask[at] & bad) == 0) & np.isfinite(spread) & (spread > 0)
            weight = np.where(used, kernel, 0)
            with np.errstate(all="ignore"):
                signal = np.sum(weight * np.where(used, light, 0), axis=(1, 2))
                each.append(signal / np.sqrt(np.sum(weight**2 * np.where(used, spread, 0), axis=(1, 2))))
    return np.stack(each, axis=1)


def _without(rows: Array, segments: MaskImage, dropped: Array) -> tuple[Array, MaskImage]:
    """Return sources and segments without some, the others numbered anew."""
    if not len(dropped):
        return rows, segments
    keep = np.ones(len(rows), bool)
    keep[dropped] = False
    number = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
    rows = rows[keep].copy()
    _, rows["footprint"], count = np.unique(rows["footprint"], return_inverse=True, return_counts=True)
    rows["siblings"] = count[rows["footprint"]] - 1
    rows["flags"] &= np.where(rows["siblings"] == 0, ~np.int32(Flag.DEBLENDED), ~np.int32(0))
    return rows, number[segments]
