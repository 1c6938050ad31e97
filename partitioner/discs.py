"""Finds the HEALPix cells that discs around many positions touch; a cross-match sorts its rows by them.

For example, 100,000 uploaded stars are to be paired with objects within 1 arc second. Each star gets the one to four
cells that the disc of 1 arc second around it touches; an object stands in one cell and meets the stars of this cell.

All discs of a set use cells of one order, wide enough that a disc stays within the cell of its centre and those that
touch it, and most discs within one cell. Which of the neighbours a disc may touch is read from the place of its centre
within its cell: HEALPix cells are squares in the plane of the projection, and no step of an angle on the sphere is
longer there than ``_STRETCH`` times the angle. Cells that a disc only nearly touches may be among the answers.
"""

from __future__ import annotations

import math

import numpy as np

from qserv_py.catalog.chunk import HEALPIX_ORDER
from qserv_py.catalog.snapshot import BoolArray, FloatArray, IntArray
from qserv_py.partitioner.cover import MARGIN_DEG
from qserv_py.partitioner.healpix import block_of_neighbours, unit_vectors
from qserv_py.partitioner.healpix_functions import functions

_STRETCH = 1.62
"""Largest gradient of a coordinate along a cell's edge, in the plane of the projection.

In the equatorial zone it is sqrt((1 / c**2 + (3 pi c / 8)**2) / 2) at most 1.134 for c = cos(dec); in the polar caps,
with z = sin(dec) and t <= pi / 4 the distance from the middle of a facet, sqrt((3 / (1 + z) + (t + pi / 4)**2 *
3 (1 + z) / 4) / 2), which grows to 1.612 at the pole (Calabretta and Roukema 2007, MNRAS 381, 865, section 2).
"""

_SIDE = math.pi / (2 * math.sqrt(2))
"""Side of a cell of order 0 in the plane of the projection, radians."""

_WIDEST = 0.5
"""Largest reach of a disc in sides of a cell: a disc touches at most four cells."""

_NARROWEST = 1 / 32
"""Reach, in sides of a cell, below which coarser cells would hardly lower the share of discs that touch several."""

_SKY_DEG2 = 129_600 / math.pi


def order_of_discs(radius: float, *, per_deg2: float) -> int:
    """Return the order of the cells for discs of a radius (degrees) that are looked for among others.

    Parameters
    ----------
    radius
        The largest radius, degrees.
    per_deg2
        Density of the positions that are looked for. Where they are sparse, cells are larger: fewer discs touch two.
    """
    reach = _STRETCH * math.radians(min(radius, 180.0) + MARGIN_DEG) / _SIDE  # in sides of a cell of order 0
    finest = math.floor(math.log2(_WIDEST / reach))
    coarsest = math.ceil(math.log2(_NARROWEST / reach))
    wanted = math.ceil(math.log(max(per_deg2, 1e-9) * _SKY_DEG2 / 12, 4))  # a cell holds about one position
    return max(0, min(HEALPIX_ORDER, finest, max(coarsest, wanted)))


def cells_of_discs(
    ra: FloatArray, dec: FloatArray, radius: FloatArray | float, *, order: int
) -> tuple[IntArray, IntArray]:
    """Return which cells of an order each disc touches.

    Parameters
    ----------
    ra, dec
        Centres, ICRS, degrees, shape (n,). Any finite angles; one that is not finite has no disc.
    radius
        Radii, degrees, shape (n,) or one for all; a negative one, or NaN, makes no disc.
    order
        Order of the cells, from ``order_of_discs``.

    Returns
    -------
    rows
        Index of a disc, shape (m,).
    cells
        A cell of the order that the disc touches, shape (m,); each pair once.
    """
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), ra.shape)
    given = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & (radii >= 0))
    reach = _STRETCH * np.radians(radii[given] + MARGIN_DEG) / (_SIDE / 2**order)
    if (reach > _WIDEST).any():
        base = np.arange(12 << (2 * order), dtype=np.int64)  # a disc of many degrees gets all cells
        return np.repeat(given, len(base)), np.tile(base, len(given))
    pixels, x, y = _places(ra[given], dec[given], order)
    crossing = np.flatnonzero((np.minimum(x, y) <= reach) | (np.maximum(x, y) >= 1 - reach))
    rows, cells = [given], [pixels]
    block = block_of_neighbours(pixels[crossing], order=order)
    x, y, reach = x[crossing], y[crossing], reach[crossing]
    for step in range(9):
        if step != 4:
            touched = _reaches(x, reach, step % 3 - 1) & _reaches(y, reach, step // 3 - 1) & (block[:, step] >= 0)
            rows.append(given[crossing[touched]])
            cells.append(block[touched, step])
    return np.concatenate(rows), np.concatenate(cells)


def _reaches(offset: FloatArray, reach: FloatArray, step: int) -> BoolArray:
    """Whether discs at an offset within their cell reach one cell below (-1), their own (0) or one above (1)."""
    if step == 0:
        return np.ones(len(offset), dtype=np.bool_)
    near: BoolArray = offset <= reach if step < 0 else offset >= 1 - reach
    return near


def _places(ra: FloatArray, dec: FloatArray, order: int) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the cell of each direction and its place in the cell, 0 to 1 along each edge."""
    lon, lat = np.radians(ra % 360.0), np.radians(dec)
    beyond = np.flatnonzero(np.abs(dec) > 90.0)  # over the pole: the direction counts, as in DISTANCE
    if len(beyond):
        vectors = unit_vectors(ra[beyond] % 360.0, dec[beyond] % 360.0)
        lon[beyond] = np.arctan2(vectors[:, 1], vectors[:, 0]) % (2 * np.pi)
        lat[beyond] = np.arcsin(np.clip(vectors[:, 2], -1.0, 1.0))
    pixels, x, y = np.empty(len(ra), dtype=np.int64), np.empty(len(ra)), np.empty(len(ra))
    depth = np.full(len(ra), order, dtype=np.uint8)
    functions.lonlat_to_healpix(depth, lon, lat, pixels.view(np.uint64), x, y, np.uint16(1))
    return pixels, x, y
