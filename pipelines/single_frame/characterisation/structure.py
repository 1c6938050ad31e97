"""How much more an image scatters, seen through the filter of detection, than its noise says.

Nebulae, the arms of near galaxies and the wings of bright stars are light that is no source, and neighbouring pixels of
plates, scans and resampled images share their noise: there the filtered image swings by many of its standard
deviations, up and down. A source must stand out from that, not from the noise of pixels alone. How much it is, is seen
at the low end of the filtered image's values, which has no sources.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import FloatArray, FloatImage, MaskImage
from qserv_py.pipelines.kernels.background import UNUSABLE, filled, lines_between, smoothed
from qserv_py.pipelines.kernels.detection import Detections, Flag

_LOW, _HIGH = 2.5, 12.5
"""Per cent of the pixels below two values of the filtered image, sources or not."""

_APART = 0.8096
"""Standard deviations between these two."""

_TOLERANCE = 1.5
"""Confused faint stars, 5,000 in a million pixels, scatter as much: they are sources."""

_CROWDED = 0.25
"""Share of a cell in footprints that are crowds, which swing by their stars."""

_UNLIKE = 8.0
"""Times as much as the calmer half of a cell is what a border inside of it does: an overscan, the edge of a mosaic."""

_STEP = 2  # pixels, along rows and columns, between those that are looked at
_LEAST = 100  # of them in a cell


def structure_of(found: Detections, mask: MaskImage, *, side: int) -> FloatImage | None:
    """Return the scatter of a filtered image where there is no source, in units of what its noise says.

    Parameters
    ----------
    found
        Of the image, with its significance.
    mask
        Planes of each pixel.
    side
        Pixels along a cell in which it is looked for.

    Returns
    -------
    scatter
        Of every pixel, 1 where it is less than ``_TOLERANCE`` times the noise, and in crowds; None for 1 everywhere.
    """
    shape = found.significance.shape
    cells = tuple(max(1, round(size / side)) for size in shape)
    crowd = np.concatenate([[False], (found.sources["flags"] & int(Flag.CROWD)) != 0])
    parts = np.s_[::_STEP, ::_STEP]
    usable = (mask[parts] & int(UNUSABLE)) == 0
    scatter = _scatter(found.significance[parts], usable, crowd[found.segments[parts]], cells)
    measured = np.isfinite(scatter)
    if not measured.any():
        return None
    scatter = smoothed(filled(scatter, measured), 3)
    if not (scatter > _TOLERANCE).any():
        return None
    return lines_between(np.where(scatter > _TOLERANCE, scatter, 1.0), shape)


def _scatter(
    significance: FloatImage, usable: npt.NDArray[np.bool_], crowd: npt.NDArray[np.bool_], cells: tuple[int, ...]
) -> FloatArray:
    """Return the scatter in every cell; 1 in crowds, NaN where too little can be seen."""
    found = np.full(cells, np.nan)
    rows, columns = (np.linspace(0, size, n + 1).astype(int) for size, n in zip(significance.shape, cells, strict=True))
    for j in range(cells[0]):
        for i in range(cells[1]):
            cell = np.s_[rows[j] : rows[j + 1], columns[i] : columns[i + 1]]
            values = significance[cell][usable[cell]]
            if crowd[cell].mean() > _CROWDED:
                found[j, i] = 1.0
            elif len(values) >= _LEAST:
                found[j, i] = _at_low_end(values)
                if found[j, i] > _TOLERANCE:
                    found[j, i] = _without_borders(found[j, i], significance[cell], usable[cell])
    return found


def _at_low_end(values: FloatImage) -> float:
    """Return the scatter of Gaussian values with anything brighter among them."""
    low, high = (round(share / 100 * (len(values) - 1)) for share in (_LOW, _HIGH))
    values = np.partition(values, (low, high))
    return float((values[high] - values[low]) / _APART)


def _without_borders(whole: float, significance: FloatImage, usable: npt.NDArray[np.bool_]) -> float:
    """Return the scatter of a cell, or of the calmer half of its quarters where a border makes it much more."""
    middle = [size // 2 for size in significance.shape]
    quarters = [
        significance[part][usable[part]]
        for part in itertools.product(*[(slice(None, half), slice(half, None)) for half in middle])
    ]
    calm = sorted(_at_low_end(values) for values in quarters if len(values) >= _LEAST)
    if not calm:
        return whole
    calmer = calm[(len(calm) - 1) // 2]
    return calmer if whole > _UNLIKE * max(calmer, 1.0) else whole
