"""Background: cells one by one, and a spline by a dense linear system."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import Array

_SAMPLE, _BINS, _RANGE, _TRUNCATED = 256, 512, 5.0, 0.98658


def cell_levels(
    image: Array, usable: npt.NDArray[np.bool_], cells: tuple[int, int], *, min_fraction: float
) -> tuple[Array, Array]:
    """Return level and noise of every cell."""
    level, noise = np.full(cells, np.nan), np.full(cells, np.nan)
    edges = [np.arange(count + 1) * size // count for count, size in zip(cells, image.shape, strict=True)]
    for j in range(cells[0]):
        for i in range(cells[1]):
            part = np.s_[edges[0][j] : edges[0][j + 1], edges[1][i] : edges[1][i + 1]]
            level[j, i], noise[j, i] = _cell(image[part].ravel(), usable[part].ravel(), min_fraction)
    return level, noise


def spline(mesh: Array, shape: tuple[int, int]) -> Array:
    """Return the bicubic natural spline through the cells' centres at every pixel."""
    return _spline_matrix(mesh.shape[0], shape[0]) @ mesh @ _spline_matrix(mesh.shape[1], shape[1]).T


def _cell(values: Array, usable: npt.NDArray[np.bool_], min_fraction: float) -> tuple[float, float]:
    step = -(-values.size // _SAMPLE) | 1
    sample = values[::step][usable[::step]]
    if sample.size == 0 or usable.sum() < min_fraction * usable.size:
        return np.nan, np.nan
    middle = np.median(sample)
    sigma = np.median(np.abs(sample - middle)) * np.float32(1.4826)
    if sigma == 0:
        sigma = np.float32(np.sqrt(np.mean((sample - middle).astype(float) ** 2)))
    per_unit = np.float32(_BINS / (2 * _RANGE)) / sigma if sigma > 0 else np.float32(np.inf)
    low = middle - np.float32(_RANGE) * sigma
    if np.isinf(per_unit):
        return float(middle), 0.0
    if not np.isfinite(low) or not np.isfinite(sigma):
        return np.nan, np.nan
    place = (values[usable] - low) * per_unit
    bins = np.sort(place[(place >= 0) & (place < _BINS)].astype(int))
    mean, median, spread = _clipped(bins)
    if np.isnan(median):
        return float(middle), 0.0
    mode = 2.5 * median - 1.5 * mean if abs(mean - median) < 0.3 * spread else median
    return float(low) + mode / float(per_unit), spread / _TRUNCATED / float(per_unit)


def _clipped(bins: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    while True:
        mean, spread = bins.mean(), np.sqrt(max(0.0, (bins**2).mean() - bins.mean() ** 2))
        middle = bins[(len(bins) + 1) // 2 - 1]  # the bin in which half of the pixels are reached
        inside = (bins == middle).sum()
        median = middle + (0.5 * len(bins) - (bins < middle).sum()) / inside
        keep = bins[(bins >= np.floor(median - 3 * spread)) & (bins <= np.floor(median + 3 * spread))]
        if len(keep) == len(bins) or spread == 0:
            return mean + 0.5, median, spread
        bins = keep


def _spline_matrix(cells: int, pixels: int) -> Array:
    """Return the matrix from knots to pixels."""
    if cells == 1:
        return np.ones((pixels, 1))
    eye = np.eye(cells)
    system, right = np.eye(cells), np.zeros((cells, cells))
    for i in range(1, cells - 1):
        system[i, i - 1 : i + 2] = 1, 4, 1
        right[i] = 6 * (eye[i - 1] - 2 * eye[i] + eye[i + 1])
    second = np.linalg.solve(system, right)
    place = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    knot = np.clip(np.floor(place).astype(int), 0, cells - 2)
    t = (place - knot)[:, None]
    u = np.clip(t, 0, 1)
    slope = eye[knot + 1] - eye[knot] - (2 * second[knot] + second[knot + 1]) / 6
    bend = (second[knot + 1] - second[knot]) / 6
    inside = eye[knot] + u * (slope + u * (second[knot] / 2 + u * bend))
    matrix: Array = inside + (t - u) * (slope + u * second[knot] + 3 * u * u * bend)
    return matrix
