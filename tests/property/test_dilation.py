"""Grown regions and borders of chunks lose no position, and hold little too much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.skies import skies

from qserv_py.catalog.chunk import HEALPIX_CELLS, ChunkId
from qserv_py.partitioner import ranges
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.cover import circle
from qserv_py.partitioner.density import DensityCounter
from qserv_py.partitioner.dilation import Border, around, border_of, dilated
from qserv_py.partitioner.healpix import healpix29_of, unit_vectors

Sky = tuple[np.ndarray, np.ndarray]
RADII = st.sampled_from([1e-9, 0.0002, 0.01, 0.5, 7.0, 38.0, 45.0, 179.0])


def near(sky: Sky, radius: float) -> np.ndarray:
    """Return which positions are within a radius of which, shape (n, n)."""
    vectors = unit_vectors(*sky)
    chord = np.sqrt(((vectors[:, np.newaxis, :] - vectors[np.newaxis, :, :]) ** 2).sum(axis=-1))
    return chord <= 2 * np.sin(np.radians(radius) / 2)


def is_in(cells: np.ndarray, found: np.ndarray) -> np.ndarray:
    place = np.searchsorted(found[:, 1], cells, side="right")
    inside = place < len(found)
    inside[inside] = cells[inside] >= found[place[inside], 0]
    return inside


def is_on(border: Border | None, cell: int) -> bool:
    """Do what the statement of a chunk does."""
    if border is None:
        return True
    x, y = (cell >> border.shift) & border.x_bits, (cell >> border.shift) & border.y_bits
    return x < border.low or x >= border.high or y < border.low << 1 or y >= border.high << 1


@given(sky=skies(), radius=RADII, order=st.integers(0, 29), share=st.integers(1, 5))
def test_a_grown_region_holds_all_that_is_near(sky: Sky, radius: float, order: int, share: int) -> None:
    cells = healpix29_of(*sky)
    region = ranges.of_cells(
        np.unique(cells[::share] >> (2 * (29 - order))),
        np.full(len(np.unique(cells[::share] >> (2 * (29 - order)))), order),
    )
    grown = dilated(region, radius)
    assert not len(ranges.difference(region, grown))
    inside = is_in(cells, region)
    wanted = near(sky, radius)[inside].any(axis=0)
    assert is_in(cells, grown)[wanted].all()


@given(sky=skies(), radius=RADII, target_rows=st.integers(1, 60), max_order=st.integers(0, 13))
def test_every_row_near_another_chunk_is_on_the_border_of_its_own(
    sky: Sky, radius: float, target_rows: int, max_order: int
) -> None:
    cells = healpix29_of(*sky)
    counter = DensityCounter(order=max_order)
    counter.add(cells)
    chunk_map = ChunkMap(*ChunkMap.empty().cells_for(counter.density(), min_order=0, target_rows=target_rows))
    own = chunk_map.index_of(cells)
    foreign = near(sky, radius) & (own[:, np.newaxis] != own[np.newaxis, :])
    for row in np.flatnonzero(foreign.any(axis=1)):
        assert is_on(border_of(chunk_map.chunk(int(own[row])), radius), int(cells[row]))
    for chunk in np.unique(own):
        wanted = near(sky, radius)[own == chunk].any(axis=0)
        assert is_in(cells, around(chunk_map.chunk(int(chunk)), radius))[wanted].all()


@pytest.mark.parametrize("order", [1, 4, 7])
def test_a_border_is_narrow(order: int) -> None:
    """A border of a fiftieth of the width of a chunk is less than a seventh of its area; the four sides are 8 %."""
    chunk = ChunkId(order, 5)
    cells = np.random.default_rng(1).integers(chunk.first, chunk.end, 20_000).tolist()
    border = border_of(chunk, 58.6 / 2**order / 50)
    assert border is not None
    assert 0.06 < np.mean([is_on(border, cell) for cell in cells]) < 0.14
    assert np.mean([is_on(border, cell) for cell in cells]) == pytest.approx(border.share, abs=0.02)


def test_a_region_grows_little() -> None:
    grown = dilated(circle(10.0, -20.0, 1.0).maybe, 0.5)
    assert 1.5**2 * np.pi < ranges.total(grown) / HEALPIX_CELLS * 41253 < 2.5**2 * np.pi
    assert ranges.total(dilated(circle(10.0, 89.0, 0.2).maybe, 0.001)) / HEALPIX_CELLS * 41253 < 0.3**2 * np.pi
    assert dilated(ranges.NOTHING, 1.0).tolist() == []
