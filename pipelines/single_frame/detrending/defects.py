"""Pixels that do not do what their neighbours do: found in dark current and response, kept as a table of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels.planes import Plane

_SURROUNDINGS = 15  # pixels of a row whose median is the response around


def defects_of(dark: Exposure, flats: Sequence[Exposure], *, response: float, hot: float) -> Any:
    """Return the table of defects: x0, y0, width, height of boxes, int64.

    Parameters
    ----------
    dark
        Electrons per second.
    flats
        Of any filters.
    response
        A pixel whose response differs by more than this from the median around it in the row is bad.
    hot
        Electrons per second above which a pixel is bad.
    """
    with np.errstate(invalid="ignore"):
        bad = ~(dark.image <= hot) | ((dark.mask & Plane.BAD) != 0)
        for flat in flats:
            bad |= ~(np.abs(flat.image / _around(flat.image) - 1) <= response) | ((flat.mask & Plane.BAD) != 0)
    return boxes_of(bad)


def boxes_of(bad: npt.NDArray[np.bool_]) -> Any:
    """Return boxes that hold the bad pixels and no other: runs of a column, joined where neighbours are alike."""
    edges = np.diff(np.pad(bad, ((1, 1), (0, 0))).astype(np.int8), axis=0)
    runs: list[tuple[int, int, int]] = []
    for column in np.nonzero(bad.any(axis=0))[0].tolist():
        starts, ends = (np.nonzero(edges[:, column] == sign)[0] for sign in (1, -1))
        runs += [(int(start), int(end), column) for start, end in zip(starts, ends, strict=True)]
    boxes: list[list[int]] = []
    for start, end, column in sorted(runs):
        last = boxes[-1] if boxes else None
        if last is not None and last[1] == start and last[3] == end - start and last[0] + last[2] == column:
            last[2] += 1
        else:
            boxes.append([column, start, 1, end - start])
    values = np.array(boxes, np.int64).reshape(-1, 4)
    table = Table({name: values[:, place] for place, name in enumerate(("x0", "y0", "width", "height"))})
    table.meta["unit"] = "pixel"
    return table


def _around(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the median of each pixel's surroundings in its row."""
    half = _SURROUNDINGS // 2
    padded = np.pad(image, ((0, 0), (half, half)), mode="reflect" if image.shape[1] > half else "edge")
    around = np.empty_like(image)
    for first in range(0, image.shape[0], 256):  # bounds the memory of the windows
        rows = slice(first, first + 256)
        windows = np.lib.stride_tricks.sliding_window_view(padded[rows], _SURROUNDINGS, axis=1)
        around[rows] = np.median(windows, axis=2)
    return around
