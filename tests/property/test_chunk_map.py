"""Positions to chunks and back: healpy is the oracle, and no chunk map loses or doubles a place."""

from __future__ import annotations

import subprocess
import sys

import healpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.skies import skies

from qserv_py.catalog.chunk import HEALPIX_CELLS, ChunkId
from qserv_py.catalog.model import Family
from qserv_py.errors import InternalError, UserError
from qserv_py.partitioner.chunk_map import ChunkMap, expand_ranges
from qserv_py.partitioner.density import DensityCounter
from qserv_py.partitioner.healpix import healpix29_of, unit_vectors

FAMILIES = st.builds(
    Family,
    name=st.just("f"),
    target_rows=st.integers(1, 50),
    min_order=st.integers(0, 3),
    max_order=st.integers(3, 11),
)


def grown(chunk_map: ChunkMap, cells: np.ndarray, family: Family) -> ChunkMap:
    counter = DensityCounter(order=family.max_order)
    for start in range(0, len(cells), 97):
        counter.add(cells[start : start + 97])
    assert family.target_rows is not None
    cells = chunk_map.cells_for(counter.density(), min_order=family.min_order, target_rows=family.target_rows)
    return chunk_map.with_chunks(*cells)


@given(sky=skies())
def test_cells_are_healpys(sky: tuple[np.ndarray, np.ndarray]) -> None:
    ra, dec = sky
    ours = healpix29_of(ra, dec)
    theirs = healpy.ang2pix(1 << 29, ra, dec, nest=True, lonlat=True)
    differ = ours != theirs
    # On the border of two cells rounding decides; both cells must then be at the position.
    for cell in (ours[differ], theirs[differ]):
        lon, lat = healpy.pix2ang(1 << 29, cell, nest=True, lonlat=True)
        apart = np.linalg.norm(unit_vectors(lon, lat) - unit_vectors(ra[differ], dec[differ]), axis=-1)
        assert (np.degrees(apart) * 3600.0 < 0.002).all()


@given(sky=skies(), family=FAMILIES)
def test_every_row_has_its_chunk(sky: tuple[np.ndarray, np.ndarray], family: Family) -> None:
    cells = healpix29_of(*sky)
    chunk_map = grown(ChunkMap.empty(), cells, family)
    index = chunk_map.index_of(cells)
    assert (index >= 0).all()
    for chunk, rows in zip(chunk_map.chunks(), np.bincount(index, minlength=len(chunk_map)), strict=True):
        inside = (cells >= chunk.first) & (cells < chunk.end)
        assert inside.sum() == rows > 0, "a chunk has rows, and all rows in its cell"
        assert rows <= family.target_rows or chunk.order == family.max_order
        assert chunk.order >= family.min_order


@given(first=skies(), second=skies(), family=FAMILIES)
def test_growing_changes_no_chunk(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], family: Family
) -> None:
    before = grown(ChunkMap.empty(), healpix29_of(*first), family)
    cells = healpix29_of(*second)
    after = grown(before, cells, family)  # a map with overlapping chunks cannot be made
    assert set(before.chunks()) <= set(after.chunks())
    assert (after.index_of(cells) >= 0).all()


@given(sky=skies(), family=FAMILIES, cuts=st.lists(st.integers(0, HEALPIX_CELLS), max_size=12, unique=True))
def test_overlapping_finds_the_chunks_of_ranges(
    sky: tuple[np.ndarray, np.ndarray], family: Family, cuts: list[int]
) -> None:
    chunk_map = grown(ChunkMap.empty(), healpix29_of(*sky), family)
    cuts = sorted(cuts)[: len(cuts) // 2 * 2]
    starts, ends = np.array(cuts[::2], dtype=np.int64), np.array(cuts[1::2], dtype=np.int64)
    found = chunk_map.overlapping(starts, ends).tolist()
    expected = [
        index
        for index, chunk in enumerate(chunk_map.chunks())
        if any(start < chunk.end and chunk.first < end for start, end in zip(starts, ends, strict=True))
    ]
    assert found == expected


@given(cells=st.lists(st.integers(0, HEALPIX_CELLS - 1), max_size=200), removed=st.data())
@settings(max_examples=30)
def test_density_counts_and_takes_back(cells: list[int], removed: st.DataObject) -> None:
    taken = removed.draw(st.lists(st.sampled_from(cells), unique=True, max_size=len(cells)) if cells else st.just([]))
    counter = DensityCounter(order=4)
    for start in range(0, len(cells), 7):
        counter.add(np.array(cells[start : start + 7], dtype=np.int64))
    counter.remove(np.array(taken, dtype=np.int64))
    density = counter.density()
    left = list(cells)
    for cell in taken:
        left.remove(cell)
    pixels, counts = np.unique(np.array(left, dtype=np.int64) >> 50, return_counts=True)
    assert density.pixels.tolist() == pixels.tolist()
    assert density.counts.tolist() == counts.tolist()
    assert density.rows == len(left)


@pytest.mark.parametrize("max_order", [2, 6, 11])
def test_many_cells_are_found_as_few_are(max_order: int) -> None:
    random = np.random.default_rng(max_order)
    cells = np.sort(random.integers(0, HEALPIX_CELLS, 3000))
    cells = np.concatenate((cells, cells[:2000] // 1000, cells[0] + random.integers(0, 1 << 30, 500)))
    family = Family(name="f", target_rows=3, max_order=max_order)
    chunk_map = grown(ChunkMap.empty(), cells, family)
    wanted = np.concatenate((cells, random.integers(0, HEALPIX_CELLS, 20_000), chunk_map.firsts, chunk_map.ends - 1))
    few = np.concatenate([chunk_map.index_of(part) for part in np.array_split(wanted, 10)])
    assert chunk_map.index_of(wanted).tolist() == few.tolist()
    assert (-1 in few) == (max_order > 2), "at order 2 so many rows leave no cell empty"


def test_a_map_does_not_take_overlapping_cells() -> None:
    with pytest.raises(InternalError, match="overlap"):
        ChunkMap.of_chunks([ChunkId(0, 0), ChunkId(1, 2)])


def test_an_empty_map_holds_nothing() -> None:
    chunk_map = ChunkMap.empty()
    assert chunk_map.index_of(np.array([5, 7])).tolist() == [-1, -1]
    assert chunk_map.overlapping(np.array([0]), np.array([100])).tolist() == []


def test_ranges_expand() -> None:
    assert expand_ranges(np.array([3, 9, 4]), np.array([5, 9, 7])).tolist() == [3, 4, 4, 5, 6]


@pytest.mark.parametrize(("ra", "dec"), [(360.0, 0.0), (-0.1, 0.0), (10.0, 90.1), (np.nan, 0.0), (0.0, np.inf)])
def test_no_place_on_the_sky(ra: float, dec: float) -> None:
    with pytest.raises(UserError, match=r"position 1 is ra .*, dec .*: ra must be in \[0, 360\)"):
        healpix29_of(np.array([1.0, ra]), np.array([1.0, dec]))


def test_the_package_of_the_functions_is_there_for_others() -> None:
    """The compiled functions are loaded without their package; who imports it gets the same ones, and a whole one."""
    program = (
        "from qserv_py.partitioner.healpix_functions import functions; import sys;"
        "assert 'astropy' not in sys.modules; from cdshealpix.nested import healpix;"
        "assert healpix.cdshealpix is functions; import mocpy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
