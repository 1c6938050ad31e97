"""Overlap loses no pair: whatever lies within the radius across a border stands beside the chunk."""

from __future__ import annotations

import healpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.skies import skies

from qserv_py.catalog.chunk import ChunkId
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.density import DensityCounter
from qserv_py.partitioner.healpix import healpix29_of, unit_vectors
from qserv_py.partitioner.overlap import neighbours_of, overlap_pairs, working_order

Sky = tuple[np.ndarray, np.ndarray]


def chunk_map_of(cells: np.ndarray, target_rows: int, max_order: int) -> ChunkMap:
    counter = DensityCounter(order=max_order)
    counter.add(cells)
    return ChunkMap(*ChunkMap.empty().cells_for(counter.density(), min_order=0, target_rows=target_rows))


@given(
    sky=skies(),
    arcsec=st.sampled_from([0.5, 10.0, 60.0, 900.0, 36000.0]),
    target_rows=st.integers(1, 60),
    max_order=st.integers(0, 13),
)
def test_no_pair_is_lost(sky: Sky, arcsec: float, target_rows: int, max_order: int) -> None:
    ra, dec = sky
    cells = healpix29_of(ra, dec)
    chunk_map = chunk_map_of(cells, target_rows, max_order)
    own = chunk_map.index_of(cells)
    pairs = overlap_pairs(ra, dec, cells, chunk_map=chunk_map, overlap_arcsec=arcsec)
    found = set(zip(pairs.rows.tolist(), pairs.chunks.tolist(), strict=True))
    assert len(found) == len(pairs.rows), "each pair once"
    assert all(own[row] != chunk for row, chunk in found), "no row beside its own chunk"
    vectors = unit_vectors(ra, dec)
    chord = np.sqrt(((vectors[:, np.newaxis, :] - vectors[np.newaxis, :, :]) ** 2).sum(axis=-1))
    near = chord <= 2 * np.sin(np.radians(arcsec / 3600.0) / 2)
    for row, other in zip(*np.nonzero(near & (own[:, np.newaxis] != own[np.newaxis, :])), strict=True):
        assert (row, own[other]) in found
    far_pairs = neighbours_of(chunk_map, np.unique(pairs.chunks), overlap_arcsec=arcsec)
    holders = {int(own[row]) for row, _ in found}
    assert holders <= set(far_pairs.tolist()) | set(pairs.chunks.tolist())


@given(sky=skies(), target_rows=st.integers(1, 40))
def test_targets_narrow_the_answer(sky: Sky, target_rows: int) -> None:
    ra, dec = sky
    cells = healpix29_of(ra, dec)
    chunk_map = chunk_map_of(cells, target_rows, 10)
    everything = overlap_pairs(ra, dec, cells, chunk_map=chunk_map, overlap_arcsec=600.0)
    targets = np.arange(0, len(chunk_map), 2)
    some = overlap_pairs(ra, dec, cells, chunk_map=chunk_map, overlap_arcsec=600.0, targets=targets)
    wanted = np.isin(everything.chunks, targets)
    assert some.rows.tolist() == everything.rows[wanted].tolist()
    assert some.chunks.tolist() == everything.chunks[wanted].tolist()


@pytest.mark.parametrize("order", [2, 5, 8])
def test_little_is_kept_too_much(order: int) -> None:
    """Copies lie within 1.1 times the radius: measured with healpy from points along the cell's border."""
    radius = np.degrees(0.1 / (1 << order)) * 3600.0
    chunk = ChunkId(order, 7)
    random = np.random.default_rng(1)
    lon, lat = healpy.pix2ang(1 << order, chunk.pixel, nest=True, lonlat=True)
    ra = (lon + random.uniform(-200, 200, 20000) / (1 << order)) % 360.0
    dec = np.clip(lat + random.uniform(-100, 100, 20000) / (1 << order), -90.0, 90.0)
    cells = healpix29_of(ra, dec)
    pairs = overlap_pairs(ra, dec, cells, chunk_map=ChunkMap.of_chunks([chunk]), overlap_arcsec=radius)
    border = healpy.boundaries(1 << order, chunk.pixel, step=256, nest=True)
    distance = np.arccos(np.clip((unit_vectors(ra, dec) @ border).max(axis=1), -1, 1))
    outside = ChunkMap.of_chunks([chunk]).index_of(cells) < 0
    kept = np.zeros(len(ra), dtype=bool)
    kept[pairs.rows] = True
    exact = outside & (np.degrees(distance) * 3600.0 <= radius)
    assert exact.sum() > 100
    assert kept[exact].all()
    assert np.degrees(distance[kept]).max() * 3600.0 < 1.1 * radius


def test_no_overlap_without_a_radius() -> None:
    ra, dec = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    cells = healpix29_of(ra, dec)
    chunk_map = chunk_map_of(cells, 1, 10)
    assert len(overlap_pairs(ra, dec, cells, chunk_map=chunk_map, overlap_arcsec=0.0).rows) == 0
    assert len(neighbours_of(chunk_map, np.array([0]), overlap_arcsec=0.0)) == 0


def test_the_working_order_is_wider_than_the_overlap() -> None:
    assert working_order(60.0) == 11
    assert working_order(48 * 3600.0) == 0
    assert working_order(1e-7) == 29
