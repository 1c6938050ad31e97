"""Finds the cells within a radius of others: around a region, and along the border of a chunk.

Both answers hold a little more than they must and never less. They rest on one fact (see ``overlap``): no way of length
``r`` leads from a cell that is wider than ``r`` past the cells that touch it. So a region grows by one cell of such an
order or some of a finer one, and what is near the border of a chunk stands in the outermost rings of its cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qserv_py.catalog.chunk import HEALPIX_ORDER, ChunkId
from qserv_py.catalog.snapshot import IntArray
from qserv_py.partitioner import ranges
from qserv_py.partitioner.chunk_map import expand_ranges
from qserv_py.partitioner.healpix import block_of_neighbours
from qserv_py.partitioner.overlap import NARROWEST, working_order

MOST_CELLS = 4096
"""Cells that a region is made of before it grows; a larger one grows by coarser cells."""

_FINER = 3
"""Orders below the cells as wide as the radius in which rings are counted: at most an eighth of the radius too much."""

_ROUNDING = 1e-9
"""Fraction by which a radius is made longer, so that rounding cannot make it too short."""


def dilated(found: IntArray, radius: float) -> IntArray:
    """Return a region with everything within a radius of it.

    Parameters
    ----------
    found
        Ranges of order-29 cells, sorted, disjoint, shape (n, 2).
    radius
        Radius by which the region grows, degrees.

    Returns
    -------
    ranges
        Sorted, disjoint, shape (m, 2).
    """
    if not len(found):
        return ranges.NOTHING
    if math.radians(radius) * (1 + _ROUNDING) > NARROWEST:
        return ranges.EVERYTHING
    order = min(HEALPIX_ORDER, _order_for(radius) + 1)
    while order and _cells(found, order) > MOST_CELLS:
        order -= 1
    shift = 2 * (HEALPIX_ORDER - order)
    grown = np.unique(expand_ranges(found[:, 0] >> shift, ((found[:, 1] - 1) >> shift) + 1))
    outermost = grown
    for _ in range(_rings(radius, order)):
        around = np.unique(block_of_neighbours(outermost, order=order))
        outermost = np.setdiff1d(around[around >= 0], grown, assume_unique=True)
        grown = np.union1d(grown, outermost)
    return ranges.of_cells(grown, np.full(len(grown), order))


def _order_for(radius: float) -> int:
    """Return the finest order whose cells are all wider than a radius."""
    return working_order(max(radius * 3600 * (1 + _ROUNDING), 1e-3))


def _rings(radius: float, order: int) -> int:
    """Return how many cells of an order lie side by side within a radius, at the most."""
    return max(1, math.ceil(math.radians(radius) * (1 + _ROUNDING) * (1 << order) / NARROWEST))


def _cells(found: IntArray, order: int) -> int:
    shift = 2 * (HEALPIX_ORDER - order)
    return ranges.total(np.stack([found[:, 0] >> shift, ((found[:, 1] - 1) >> shift) + 1], axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """The cells of a chunk along its border, as a condition on the bits of ``healpix29``.

    NESTED interleaves the bits of a cell's two coordinates in its chunk. A coordinate whose bits stand apart still
    compares as it does with its bits together, so each of the four sides is one comparison.
    """

    shift: int
    """Bits of ``healpix29`` below the cells."""

    x_bits: int
    y_bits: int
    """Masks of ``healpix29`` that leave the bits of one of the two coordinates."""

    low: int
    high: int
    """Coordinates below ``low`` or from ``high`` on are near the border; their bits stand as those of x."""

    share: float
    """Fraction of the chunk's area that is along the border."""


def border_of(chunk: ChunkId, radius: float) -> Border | None:
    """Return where in a chunk the points are that another chunk may have within a radius (degrees).

    Returns
    -------
    border
        The cells along the border; None when all cells of the chunk are that near to it.
    """
    if math.radians(radius) * (1 + _ROUNDING) > NARROWEST:
        return None
    order = min(HEALPIX_ORDER, _order_for(radius) + _FINER)
    rings = _rings(radius, order)
    depth = order - chunk.order
    if depth <= 0 or 2 * rings >= 1 << depth:
        return None
    x_bits = ((1 << (2 * depth)) - 1) // 3
    return Border(
        shift=2 * (HEALPIX_ORDER - order),
        x_bits=x_bits,
        y_bits=x_bits << 1,
        low=_apart(rings),
        high=_apart((1 << depth) - rings),
        share=1 - (1 - 2 * rings / 2**depth) ** 2,
    )


def around(chunk: ChunkId, radius: float) -> IntArray:
    """Return few ranges that hold everything within a radius (degrees) of a chunk."""
    if math.radians(radius) * (1 + _ROUNDING) > NARROWEST:
        return ranges.EVERYTHING
    order = min(chunk.order, _order_for(radius))
    pixel = np.array([chunk.pixel >> (2 * (chunk.order - order))], dtype=np.int64)
    block = block_of_neighbours(pixel, order=order).ravel()
    block = block[block >= 0]
    return ranges.of_cells(block, np.full(len(block), order))


def _apart(number: int) -> int:
    """Return a number with a zero bit between any two of its bits."""
    return sum(1 << (2 * place) for place in range(number.bit_length()) if number >> place & 1)
