"""Sets of cells as ranges, against Python's sets of the cells of a low order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.catalog.chunk import HEALPIX_CELLS
from qserv_py.catalog.snapshot import IntArray
from qserv_py.partitioner import ranges

ORDER = 2
CELLS = 12 * 4**ORDER
SIZE = HEALPIX_CELLS // CELLS
EVERY_CELL = frozenset(range(CELLS))

cells = st.frozensets(st.integers(0, CELLS - 1), max_size=CELLS)


def ranges_of(found: frozenset[int]) -> IntArray:
    pixels = np.array(sorted(found), dtype=np.int64)
    return ranges.of_cells(pixels, np.full(len(pixels), ORDER))


def cells_of(found: IntArray) -> frozenset[int]:
    """Return the cells of ranges, after checking that they are sorted, disjoint, merged and whole cells."""
    assert found.shape == (len(found), 2)
    assert found.dtype == np.int64
    assert (found % SIZE == 0).all()
    assert (found[:, 0] < found[:, 1]).all()
    assert (found[1:, 0] >= found[:-1, 1]).all()
    return frozenset(cell for low, high in (found // SIZE).tolist() for cell in range(low, high))


@given(cells)
def test_round_trip(a: frozenset[int]) -> None:
    found = ranges_of(a)
    assert cells_of(found) == a
    assert (found[1:, 0] > found[:-1, 1]).all(), "neighbours are one range"
    assert ranges.total(found) == len(a) * SIZE


@given(cells, cells)
def test_sets_combine(a: frozenset[int], b: frozenset[int]) -> None:
    left, right = ranges_of(a), ranges_of(b)
    assert cells_of(ranges.union(left, right)) == a | b
    assert cells_of(ranges.intersection(left, right)) == a & b
    assert cells_of(ranges.difference(left, right)) == a - b
    assert cells_of(ranges.complement(left)) == EVERY_CELL - a


@given(st.lists(st.tuples(st.integers(0, 12 * 4**4 - 1), st.integers(0, 4)), max_size=30))
def test_cells_of_mixed_order(found: list[tuple[int, int]]) -> None:
    pixels = np.array([pixel % (12 * 4**order) for pixel, order in found], dtype=np.int64)
    orders = np.array([order for _, order in found], dtype=np.int64)
    fine = {
        cell
        for pixel, order in zip(pixels.tolist(), orders.tolist(), strict=True)
        for cell in range(pixel << 2 * (4 - order), (pixel + 1) << 2 * (4 - order))
    }
    assert ranges.total(ranges.of_cells(pixels, orders)) == len(fine) * (HEALPIX_CELLS // (12 * 4**4))


@given(cells, st.integers(0, CELLS), st.integers(0, CELLS))
def test_clipped(a: frozenset[int], low: int, high: int) -> None:
    low, high = min(low, high), max(low, high)
    found = ranges.clipped(ranges_of(a), low * SIZE, high * SIZE)
    assert cells_of(found) == {cell for cell in a if low <= cell < high}


@given(cells, st.integers(1, 20))
def test_simplified_is_a_small_superset(a: frozenset[int], most: int) -> None:
    found = ranges.simplified(ranges_of(a), most)
    assert len(found) <= most
    assert cells_of(found) >= a
    if len(ranges_of(a)) <= most:
        assert cells_of(found) == a
