"""Regions hold what they are around, with their margin and not much more; the sky map's cells tile the sky."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.sphgeom import LonLat, UnitVector3d
from support.exposures import random_wcs

from qserv_py.errors import ConfigError
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.pipelines.repository.raws.footprints import detector_points, padded_hull
from qserv_py.pipelines.repository.skymap import SkyMap, cell_of_patch

RA, DEC = st.floats(0, 360, exclude_max=True), st.floats(-90, 90)


def vector(ra: float, dec: float) -> UnitVector3d:
    return UnitVector3d(LonLat.fromDegrees(ra, dec))


def moved(ra: float, dec: float, angle: float, arcsec: float) -> UnitVector3d:
    """A place some arcseconds away in a direction."""
    lon, lat, away = np.radians(ra), np.radians(dec), np.radians(arcsec / 3600)
    here = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east, north = np.array([-np.sin(lon), np.cos(lon), 0.0]), np.cross(here, [-np.sin(lon), np.cos(lon), 0.0])
    there = np.cos(away) * here + np.sin(away) * (np.cos(angle) * east + np.sin(angle) * north)
    return UnitVector3d(*there)


@given(st.integers(0, 2**32), st.integers(1, 5), st.floats(0, 6.3), st.floats(0, 1), st.floats(0, 1))
def test_a_detectors_region_holds_its_pixels_and_a_margin(
    seed: int, order: int, angle: float, x: float, y: float
) -> None:
    random = np.random.default_rng(seed)
    wcs = random_wcs(random, order=order)
    rows, columns = 200, 300
    region = padded_hull(detector_points(wcs, (rows, columns)), padding_arcsec=15.0)
    ra, dec = (float(one[0]) for one in wcs.to_sky([x * columns - 0.5], [y * rows - 0.5]))
    assert region.contains(moved(ra, dec, angle, 14.0))
    edge_ra, edge_dec = wcs.to_sky([-0.5, -0.5, columns - 0.5], [-0.5, rows / 2, rows - 0.5])
    for one_ra, one_dec in zip(edge_ra, edge_dec, strict=True):
        outside = [moved(one_ra, one_dec, turn, 60.0) for turn in np.linspace(0, 2 * np.pi, 16)]
        assert not all(region.contains(point) for point in outside)


@settings(max_examples=300)
@given(RA, DEC, st.integers(0, 8), st.integers(0, 6), st.floats(0, 6.3))
def test_every_place_is_in_its_patch_and_its_tract_with_a_border(
    ra: float, dec: float, tract_order: int, finer: int, angle: float
) -> None:
    skymap = SkyMap(tract_order=tract_order, patch_order=tract_order + finer, border_arcsec=30.0)
    cell = int(healpix29_of(np.array([ra]), np.array([dec]))[0])
    tract = cell >> 2 * (29 - tract_order)
    patch = (cell >> 2 * (29 - tract_order - finer)) - tract * skymap.patches_a_side**2
    for region in (skymap.tract_region(tract), skymap.patch_region(tract, patch)):
        assert region.contains(vector(ra, dec))
        assert region.contains(moved(ra, dec, angle, 29.0))
    assert tract in skymap.tracts_near(ra, dec, 0.01)
    column, row = cell_of_patch(patch)
    assert 0 <= column < skymap.patches_a_side
    assert 0 <= row < skymap.patches_a_side


@given(RA, st.floats(-80, 80), st.floats(0.01, 5), st.floats(0, 6.3), st.floats(0, 1))
def test_no_tract_of_a_circle_is_missing(ra: float, dec: float, radius: float, angle: float, share: float) -> None:
    skymap = SkyMap()
    inside = moved(ra, dec, angle, 3600 * radius * share)
    place = LonLat(inside)
    at = np.array([place.getLon().asDegrees() % 360]), np.array([place.getLat().asDegrees()])
    tract = int(healpix29_of(*at)[0]) >> 2 * (29 - skymap.tract_order)
    found = skymap.tracts_near(ra, dec, radius)
    assert tract in found
    assert len(set(found.tolist())) == len(found)
    assert len(found) < 30 + 2 * radius**2


def test_cells_of_patches_are_a_square() -> None:
    cells = {cell_of_patch(patch) for patch in range(64)}
    assert cells == {(column, row) for column in range(8) for row in range(8)}
    assert [cell_of_patch(patch) for patch in range(4)] == [(0, 0), (1, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize(
    "wrong", [{"tract_order": 6, "patch_order": 5}, {"patch_order": 18}, {"tract_order": 1}, {"border_arcsec": -1.0}]
)
def test_sky_maps_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="a sky map with"):
        SkyMap(**wrong)  # type: ignore[arg-type]
    assert SkyMap(name="a").digest() != SkyMap(name="b").digest()
