"""Sets of order-29 cells as sorted, disjoint ranges ``[first, end)``; the planner keeps regions of the sky so.

For example, the cells 4 and 5 of order 0 touch in this numbering, and together are the one range
``[4 * 4**29, 6 * 4**29)``.
"""

from __future__ import annotations

import numpy as np

from qserv_py.catalog.chunk import HEALPIX_CELLS, HEALPIX_ORDER
from qserv_py.catalog.snapshot import IntArray

NOTHING: IntArray = np.empty((0, 2), dtype=np.int64)
EVERYTHING: IntArray = np.array([[0, HEALPIX_CELLS]], dtype=np.int64)


def of_cells(pixels: IntArray, orders: IntArray) -> IntArray:
    """Return the ranges of some cells.

    Parameters
    ----------
    pixels, orders
        NESTED cells of mixed order, shape (n,).

    Returns
    -------
    ranges
        Sorted, merged, shape (m, 2).
    """
    shifts = 2 * (HEALPIX_ORDER - orders.astype(np.int64))
    first = pixels.astype(np.int64) << shifts
    return merged(np.stack([first, (pixels.astype(np.int64) + 1) << shifts], axis=1))


def merged(ranges: IntArray) -> IntArray:
    """Return any ranges sorted, with those that touch or overlap made one."""
    if len(ranges) < 2:
        return ranges
    ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ranges[:, 1])
    starts = np.flatnonzero(np.concatenate([[True], ranges[1:, 0] > reach[:-1]]))
    ends = np.concatenate([starts[1:] - 1, [len(ranges) - 1]])
    return np.stack([ranges[starts, 0], reach[ends]], axis=1)


def union(a: IntArray, b: IntArray) -> IntArray:
    """Return what is in either set."""
    return merged(np.concatenate([a, b]))


def complement(ranges: IntArray) -> IntArray:
    """Return what is not in the set."""
    edges = np.concatenate([[0], ranges.ravel(), [HEALPIX_CELLS]]).reshape(-1, 2)
    return edges[edges[:, 0] < edges[:, 1]]


def intersection(a: IntArray, b: IntArray) -> IntArray:
    """Return what is in both sets."""
    if not len(a) or not len(b):
        return NOTHING
    low = np.searchsorted(b[:, 1], a[:, 0], side="right")
    high = np.searchsorted(b[:, 0], a[:, 1], side="left")
    counts = np.maximum(high - low, 0)
    left = np.repeat(np.arange(len(a)), counts)
    right = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)
    first = np.maximum(a[left, 0], b[right, 0])
    end = np.minimum(a[left, 1], b[right, 1])
    return np.stack([first, end], axis=1)


def difference(a: IntArray, b: IntArray) -> IntArray:
    """Return what is in ``a`` and not in ``b``."""
    return intersection(a, complement(b))


def clipped(ranges: IntArray, first: int, end: int) -> IntArray:
    """Return the part of a set that lies in ``[first, end)``; costs what is returned, not what the set holds."""
    low = int(np.searchsorted(ranges[:, 1], first, side="right"))
    high = int(np.searchsorted(ranges[:, 0], end, side="left"))
    return np.clip(ranges[low:high], first, max(first, end)) if first < end else NOTHING


def simplified(ranges: IntArray, most: int) -> IntArray:
    """Return a superset of at most ``most`` ranges, by filling the smallest gaps."""
    if len(ranges) <= most:
        return ranges
    gaps = ranges[1:, 0] - ranges[:-1, 1]
    keep = np.sort(np.argpartition(gaps, len(gaps) - (most - 1))[len(gaps) - (most - 1) :]) if most > 1 else gaps[:0]
    starts = np.concatenate([[0], keep + 1]).astype(np.int64)
    ends = np.concatenate([keep, [len(ranges) - 1]]).astype(np.int64)
    return np.stack([ranges[starts, 0], ranges[ends, 1]], axis=1)


def total(ranges: IntArray) -> int:
    """Return how many order-29 cells the set holds."""
    return int((ranges[:, 1] - ranges[:, 0]).sum())
