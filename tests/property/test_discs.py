"""No position within a disc lies in a cell that the disc is not said to touch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qserv_py.catalog.chunk import HEALPIX_ORDER
from qserv_py.partitioner.discs import cells_of_discs, order_of_discs
from qserv_py.partitioner.healpix import healpix29_of

radii = st.one_of(st.sampled_from([0.0, 1e-7, 1 / 3600, 0.02, 1.0, 9.0, 19.0, 60.0, 179.0]), st.floats(0, 30))
densities = st.sampled_from([0.0, 0.1, 25.0, 1e5])
places = st.sampled_from(
    [
        (0, 0),
        (45, 41.8103),
        (45, 41.8104),
        (90, 41.81),
        (10, 90),
        (0, -90),
        (359.9999999, 0),
        (45, 0),
        (22.5, -60),
        (0, 89),
    ]
)
anywhere = st.tuples(st.floats(0, 359.9999), st.floats(-90, 90))


def around(ra: float, dec: float, radius: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return places within a disc, many of them on its border."""
    angle = np.radians(radius) * np.where(random.random(400) < 0.5, 1.0, np.sqrt(random.random(400)))
    turn = random.random(400) * 2 * np.pi
    lon, lat = np.radians(ra), np.radians(dec)
    centre = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    north = np.cross(centre, east)
    side = np.cos(turn)[:, None] * east + np.sin(turn)[:, None] * north
    points = np.cos(angle)[:, None] * centre + np.sin(angle)[:, None] * side
    ras = np.degrees(np.arctan2(points[:, 1], points[:, 0])) % 360
    return np.where(ras >= 360, 0.0, ras), np.degrees(np.arcsin(np.clip(points[:, 2], -1, 1)))


@given(st.one_of(places, anywhere), radii, densities, st.integers(0, 2**32))
@example((45.0, 89.99999), 15.0, 0.0, 1)
def test_a_disc_lies_in_its_cells(place: tuple[float, float], radius: float, density: float, seed: int) -> None:
    ra, dec = place
    order = order_of_discs(radius, per_deg2=density)
    rows, cells = cells_of_discs(np.array([ra, 5.0]), np.array([dec, 5.0]), np.array([radius, -1.0]), order=order)
    assert set(rows.tolist()) == {0}
    assert len(set(cells.tolist())) == len(cells)
    inside = healpix29_of(*around(ra, dec, radius, np.random.default_rng(seed))) >> (2 * (HEALPIX_ORDER - order))
    assert set(inside.tolist()) <= set(cells.tolist())


@given(st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_any_angle_is_a_direction(ra: float, dec: float) -> None:
    lon, lat = np.radians(ra), np.radians(dec)
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    plain = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(z))
    [cell] = healpix29_of(np.array([plain[0] % 360]), np.array([plain[1]])) >> (2 * (HEALPIX_ORDER - 12))
    assert cell in cells_of_discs(np.array([ra]), np.array([dec]), 1e-4, order=12)[1]


def test_what_has_no_disc() -> None:
    nan, inf = float("nan"), float("inf")
    ra, dec = np.array([nan, 1.0, inf, 1.0, 1.0]), np.array([1.0, nan, 1.0, 1.0, 1.0])
    rows, _ = cells_of_discs(ra, dec, np.array([1.0, 1.0, 1.0, nan, 1.0]), order=3)
    assert set(rows.tolist()) == {4}
    rows, cells = cells_of_discs(np.empty(0), np.empty(0), 1.0, order=3)
    assert len(rows) == len(cells) == 0


@pytest.mark.parametrize(("density", "most"), [(25.0, 1.6), (1e6, 4.0)])
def test_most_discs_touch_one_cell_where_positions_are_sparse(density: float, most: float) -> None:
    random = np.random.default_rng(3)
    ra, dec = random.random(20_000) * 360, np.degrees(np.arcsin(random.uniform(-1, 1, 20_000)))
    order = order_of_discs(1 / 3600, per_deg2=density)
    assert len(cells_of_discs(ra, dec, 1 / 3600, order=order)[0]) / 20_000 < most
