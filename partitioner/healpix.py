"""Positions to order-29 HEALPix cells (``healpix29``) and back, on whole arrays.

The arithmetic is cdshealpix's. Its compiled functions are called directly, because the wrappers around them want
astropy quantities, which cost more than the arithmetic.
"""

from __future__ import annotations

import numpy as np

from qserv_py.catalog.chunk import HEALPIX_ORDER, ChunkId
from qserv_py.catalog.snapshot import BoolArray, FloatArray, IntArray
from qserv_py.errors import UserError
from qserv_py.partitioner.healpix_functions import functions

_BLOCK = 1 << 18
"""Positions handled at a time; the temporary arrays of a block stay in the processor's cache."""


def positions_out_of_range(ra: FloatArray, dec: FloatArray) -> BoolArray:
    """Return which positions are no place on the sky: not finite, ra outside [0, 360), dec outside [-90, 90].

    An ``ra`` of exactly 360 is refused rather than turned into 0: the stored value would then lie on the other side of
    the sky from the chunk that ``ra BETWEEN 359 AND 360`` selects.
    """
    return ~((ra >= 0.0) & (ra < 360.0) & (dec >= -90.0) & (dec <= 90.0))


def healpix29_of(ra: FloatArray, dec: FloatArray, *, threads: int = 1) -> IntArray:
    """Return the order-29 cell of each position.

    Parameters
    ----------
    ra, dec
        ICRS, degrees, shape (n,); ``ra`` in [0, 360), ``dec`` in [-90, 90].
    threads
        Threads to use.

    Returns
    -------
    cells
        NESTED cell numbers at order 29, shape (n,). A position on a border belongs to exactly one cell.

    Raises
    ------
    UserError
        If a position is no place on the sky; names the first bad row.

    References
    ----------
    Gorski et al. 2005, ApJ 622, 759, section 4.
    """
    bad = positions_out_of_range(ra, dec)
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"position {row} is ra {ra[row]}, dec {dec[row]}: ra must be in [0, 360), dec in [-90, 90] degrees"
        )
    cells = np.empty(ra.shape, dtype=np.int64)
    for start in range(0, len(ra), _BLOCK):
        block = slice(start, start + _BLOCK)
        _cells_into(cells[block], ra[block], dec[block], threads=threads)
    return cells


def _cells_into(cells: IntArray, ra: FloatArray, dec: FloatArray, *, threads: int) -> None:
    size = len(cells)
    lon, lat = np.radians(ra, dtype=np.float64), np.radians(dec, dtype=np.float64)
    offset_x, offset_y = np.empty(size), np.empty(size)
    order = np.full(size, HEALPIX_ORDER, dtype=np.uint8)
    functions.lonlat_to_healpix(order, lon, lat, cells.view(np.uint64), offset_x, offset_y, np.uint16(threads))


def unit_vectors(ra: FloatArray, dec: FloatArray) -> FloatArray:
    """Return the Cartesian unit vectors of positions in degrees, shape (n, 3)."""
    lon, lat = np.radians(ra), np.radians(dec)
    flat = np.cos(lat)
    return np.stack((flat * np.cos(lon), flat * np.sin(lon), np.sin(lat)), axis=-1)


def separations(cells: IntArray, others: IntArray) -> FloatArray:
    """Return how far apart the places of two lists of order-29 cells are at the most, degrees, shape (n,)."""
    chord = np.sqrt(((_centres(cells) - _centres(others)) ** 2).sum(axis=-1))
    between: FloatArray = np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1.0)))
    return between + 2 * _CELL_RADIUS


_CELL_RADIUS = 62.0 / (1 << HEALPIX_ORDER)
"""Degrees: no point of an order-29 cell is further than this from the cell's centre."""


def _centres(cells: IntArray) -> FloatArray:
    lon, lat = np.empty(len(cells)), np.empty(len(cells))
    depths = np.full(len(cells), HEALPIX_ORDER, dtype=np.uint8)
    functions.healpix_to_lonlat(depths, cells.astype(np.uint64), 0.5, 0.5, lon, lat, np.uint16(1))
    return unit_vectors(np.degrees(lon), np.degrees(lat))


def border_vectors(orders: IntArray, pixels: IntArray, *, steps: int) -> FloatArray:
    """Return points on the border of each cell as unit vectors, ``steps`` on each of its four edges.

    Returns
    -------
    vectors
        Shape (n, 4 * steps, 3), in the order in which they follow each other around the cell.
    """
    lon = np.empty((len(pixels), 4 * steps))
    lat = np.empty_like(lon)
    functions.vertices(orders.astype(np.uint8), pixels.astype(np.uint64), steps, lon, lat, np.uint16(1))
    flat = np.cos(lat)
    return np.stack((flat * np.cos(lon), flat * np.sin(lon), np.sin(lat)), axis=-1)


def block_of_neighbours(pixels: IntArray, *, order: int) -> IntArray:
    """Return each cell and those that share an edge or a corner with it, shape (n, 9); -1 where there is none."""
    found = np.zeros((len(pixels), 9), dtype=np.int64)
    functions.neighbours(order, pixels.astype(np.uint64), found, np.uint16(1))
    return found


def centre(chunk: ChunkId) -> tuple[float, float]:
    """Return right ascension and declination of the centre of a chunk, degrees."""
    lon, lat = np.empty(1), np.empty(1)
    depth, pixel = np.array([chunk.order], dtype=np.uint8), np.array([chunk.pixel], dtype=np.uint64)
    functions.healpix_to_lonlat(depth, pixel, 0.5, 0.5, lon, lat, np.uint16(1))
    return float(np.degrees(lon[0])), float(np.degrees(lat[0]))


def centre_dec(chunk: ChunkId) -> float:
    """Return the declination of the centre of a chunk, degrees."""
    return centre(chunk)[1]
