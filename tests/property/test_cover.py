"""Covers of regions: inside <= region <= maybe, wherever the region is; healpy says which cell a position is in."""

from __future__ import annotations

import math
from collections.abc import Callable

import healpy
import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.catalogs import resolved

from qserv_py.adql.tree import TableSource
from qserv_py.catalog.chunk import HEALPIX_ORDER
from qserv_py.catalog.snapshot import BoolArray, FloatArray, IntArray
from qserv_py.partitioner import cover
from qserv_py.partitioner.cover import Cover
from qserv_py.planner.sky import regions, shape_covers

Positions = tuple[FloatArray, FloatArray]

ras = st.one_of(st.sampled_from([0.0, 359.9999999, 45.0, 90.0, 180.0]), st.floats(0, 359.999999))
decs = st.one_of(st.sampled_from([90.0, -90.0, 0.0, 89.99, 41.810314895778596]), st.floats(-90, 90))
seeds = st.integers(0, 2**32 - 1)
sizes = st.one_of(st.floats(-7, 2.25).map(lambda power: 10.0**power), st.integers(1, 179).map(float))


def holds(found: IntArray, positions: Positions) -> BoolArray:
    """Return which positions lie in the cells."""
    ra, dec = positions
    cells = healpy.ang2pix(2**HEALPIX_ORDER, ra, dec, nest=True, lonlat=True)
    if not len(found):
        return np.zeros(len(ra), dtype=bool)
    index = np.searchsorted(found[:, 0], cells, side="right") - 1
    answer: BoolArray = (index >= 0) & (cells < found[np.maximum(index, 0), 1])
    return answer


def check(found: Cover, positions: Positions, truth: BoolArray) -> None:
    inside, maybe = holds(found.inside, positions), holds(found.maybe, positions)
    assert not (inside & ~truth).any(), "a position outside the region would be taken untested"
    assert not (truth & ~maybe).any(), "a position inside the region would be lost"


def separation(ra: FloatArray, dec: FloatArray, ra0: float, dec0: float) -> FloatArray:
    lon, lat, lon0, lat0 = np.radians(ra), np.radians(dec), math.radians(ra0), math.radians(dec0)
    chord = np.sin((lat0 - lat) / 2) ** 2 + np.cos(lat) * math.cos(lat0) * np.sin((lon0 - lon) / 2) ** 2
    answer: FloatArray = np.degrees(2 * np.arcsin(np.minimum(1.0, np.sqrt(chord))))
    return answer


def positions_around(ra0: float, dec0: float, radius: float, seed: int, *, number: int = 400) -> Positions:
    """Return positions around a centre, most of them near a distance of ``radius``."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 2 * math.pi, number)
    angle[:16] = np.arange(16) * math.pi / 8
    factor = np.where(
        random.random(number) < 0.6,
        1 + random.choice([0, 1e-9, -1e-9, 1e-4, -1e-4, 0.03, -0.03], number),
        random.uniform(0, 1.4, number),
    )
    reach = np.radians(np.minimum(radius * factor, 180.0))
    lat0 = math.radians(dec0)
    sines = math.sin(lat0) * np.cos(reach) + math.cos(lat0) * np.sin(reach) * np.cos(angle)
    lat = np.arcsin(np.clip(sines, -1, 1))
    lon = np.arctan2(np.sin(angle) * np.sin(reach) * math.cos(lat0), np.cos(reach) - math.sin(lat0) * np.sin(lat))
    ra = np.mod(ra0 + np.degrees(lon), 360.0)
    return np.where(ra >= 360.0, 0.0, ra), np.degrees(lat)


def gnomonic(positions: Positions, ra0: float, dec0: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return depth and plane coordinates."""
    lon, lat, lat0 = np.radians(positions[0] - ra0), np.radians(positions[1]), math.radians(dec0)
    depth = math.cos(lat0) * np.cos(lat) * np.cos(lon) + math.sin(lat0) * np.sin(lat)
    safe = np.where(depth > 1e-12, depth, np.nan)
    x = np.cos(lat) * np.sin(lon) / safe
    y = (math.cos(lat0) * np.sin(lat) - math.sin(lat0) * np.cos(lat) * np.cos(lon)) / safe
    return depth, x, y


@settings(max_examples=300)
@given(ras, decs, sizes, seeds)
@example(0.0, 0.0, 24.0, 1)  # cdshealpix calls the base cell 4 full, which reaches 45 degrees from there
@example(234.8187993074157, -78.6557252649447, 12.35475143520183, 1)
@example(90.0, 66.44353569089876, 3.8097467363392024e-05, 1)  # as wide as the narrowest cell of order 20
def test_circle(ra: float, dec: float, radius: float, seed: int) -> None:
    positions = positions_around(ra, dec, radius, seed)
    found = cover.circle(ra, dec, radius)
    check(found, positions, separation(*positions, ra, dec) <= radius)


@given(ras, decs, st.sampled_from([0.0, 1e-12, 1e-9, 180.0, 179.9999999]), seeds)
def test_circle_of_no_size_and_of_the_whole_sky(ra: float, dec: float, radius: float, seed: int) -> None:
    positions = positions_around(ra, dec, max(radius, 1e-9), seed)
    positions = (np.append(positions[0], ra), np.append(positions[1], dec))
    check(cover.circle(ra, dec, radius), positions, separation(*positions, ra, dec) <= radius)


@settings(max_examples=200)
@given(st.floats(-30, 380), st.floats(-95, 95), st.floats(-6, 2.6), st.floats(-6, 2.3), seeds)
def test_zone(west: float, south: float, width: float, height: float, seed: int) -> None:
    east, north = west + 10**width, south + 10**height
    random = np.random.default_rng(seed)
    ra = np.mod(random.uniform(west - 10**width / 3, east + 10**width / 3, 300), 360)
    dec = np.clip(random.uniform(south - 10**height / 3, north + 10**height / 3, 300), -90, 90)
    ra[:20], ra[20:40] = np.clip(west, 0, 359.999999), np.clip(east, 0, 359.999999)
    dec[10:30], dec[30:50] = np.clip(south, -90, 90), np.clip(north, -90, 90)
    ra = np.where(ra >= 360.0, 0.0, ra)
    truth = (ra >= west) & (ra <= east) & (dec >= south) & (dec <= north)
    check(cover.zone((west, east), (south, north)), (ra, dec), truth)


def test_zone_upside_down_is_empty() -> None:
    assert not len(cover.zone((10, 5), (0, 1)).maybe)
    assert not len(cover.zone((5, 10), (1, 0)).maybe)
    assert not len(cover.zone((400, 410), (0, 1)).maybe)


@settings(max_examples=150)
@given(ras, decs, st.floats(-5, 2.2), st.floats(-5, 2.2), seeds)
def test_box(ra: float, dec: float, width: float, height: float, seed: int) -> None:
    wide, high = min(10**width, 179.0), min(10**height, 179.0)
    positions = positions_around(ra, dec, min(89.9, max(wide, high) * 0.7), seed)
    depth, x, y = gnomonic(positions, ra, dec)
    with np.errstate(invalid="ignore"):
        truth = (depth > 1e-12) & (np.abs(x) <= math.tan(math.radians(wide / 2)))
        truth &= np.abs(y) <= math.tan(math.radians(high / 2))
    check(shape_covers._box(ra, dec, wide, high), positions, truth)


def in_plane_polygon(xs: FloatArray, ys: FloatArray, x: FloatArray, y: FloatArray) -> BoolArray:
    """Return the crossing number's answer, as the engines compute it."""
    inside = np.zeros(len(x), dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        for here, before in zip(range(len(xs)), range(-1, len(xs) - 1), strict=True):
            crosses = (ys[here] > y) != (ys[before] > y)
            at = (xs[before] - xs[here]) * (y - ys[here]) / (ys[before] - ys[here]) + xs[here]
            inside ^= crosses & (x < at)
    return inside


@settings(max_examples=200)
@given(
    ras,
    decs,
    st.floats(-4, 1.7),
    st.lists(st.tuples(st.integers(0, 6283).map(lambda n: n / 1000), st.floats(0.2, 1)), min_size=3, max_size=9),
    st.sampled_from(["star", "any order", "circle"]),
    seeds,
)
def test_polygon(ra: float, dec: float, size: float, corners: list[tuple[float, float]], kind: str, seed: int) -> None:
    angles = np.array([angle for angle, _ in corners])
    lengths = np.tan(math.radians(10**size)) * np.array([length for _, length in corners])
    if kind != "any order":
        angles = np.sort(angles)
    if kind == "circle":
        lengths[:] = lengths.max()
    xs, ys = lengths * np.cos(angles), lengths * np.sin(angles)
    vertices = from_plane(xs, ys, ra, dec)
    assume(np.ptp(xs) > 1e-7 and np.ptp(ys) > 1e-7)
    positions = positions_around(ra, dec, 10**size, seed)
    depth, x, y = gnomonic(positions, ra, dec)
    with np.errstate(invalid="ignore"):
        truth = (depth > 1e-12) & in_plane_polygon(xs, ys, x, y)
        # beside a side the oracle's own rounding decides
        near = np.zeros(len(x), dtype=bool)
        for shift in (1e-12, -1e-12):
            near |= in_plane_polygon(xs, ys, x + shift, y) != truth
            near |= in_plane_polygon(xs, ys, x, y + shift) != truth
    far = ~near
    check(cover.polygon(*vertices), (positions[0][far], positions[1][far]), truth[far])


def from_plane(xs: FloatArray, ys: FloatArray, ra0: float, dec0: float) -> tuple[list[float], list[float]]:
    """Return the positions of points of the plane that touches the sphere at a position."""
    lon, lat = math.radians(ra0), math.radians(dec0)
    ra = lon + np.arctan2(xs, math.cos(lat) - ys * math.sin(lat))
    dec = np.arcsin(np.clip((math.sin(lat) + ys * math.cos(lat)) / np.sqrt(1 + xs**2 + ys**2), -1, 1))
    return (np.degrees(ra) % 360).tolist(), np.degrees(dec).tolist()


def test_a_bow_tie_is_not_its_hull() -> None:
    found = cover.polygon([0, 10, 10, 0], [0, 10, 0, 10])
    outside = (np.array([5.0]), np.array([1.0]))
    assert not holds(found.inside, outside).any()


def test_a_convex_polygon_has_an_inside() -> None:
    assert len(cover.polygon([0, 10, 10, 0], [0, 0, 10, 10]).inside)
    assert len(cover.polygon([0, 0, 10, 10], [0, 10, 10, 0]).inside), "whichever way round"


Condition = tuple[str, Callable[[FloatArray, FloatArray], BoolArray]]
"""ADQL, and the same for arrays of positions."""


def near(ra0: int, dec0: int, radius: float) -> Condition:
    return f"DISTANCE(ra, dec, {ra0}, {dec0}) < {radius}", lambda ra, dec: separation(ra, dec, ra0, dec0) < radius


def in_box(ra0: int, dec0: int) -> Condition:
    def truth(ra: FloatArray, dec: FloatArray) -> BoolArray:
        depth, x, y = gnomonic((ra, dec), ra0, dec0)
        with np.errstate(invalid="ignore"):
            inside: BoolArray = (depth > 0) & (np.abs(x) <= math.tan(math.radians(10)))
            return inside & (np.abs(y) <= math.tan(math.radians(4)))

    return f"1 = CONTAINS(POINT(ra, dec), BOX({ra0}, {dec0}, 20, 8))", truth


def bound(column: str, operator: str, value: int) -> Condition:
    compare = {"<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal, "=": np.equal}[operator]
    return f"{column} {operator} {value}", lambda ra, dec: compare(ra if column == "ra" else dec, value)


def between(low: int, high: int) -> Condition:
    return f"ra BETWEEN {low} AND {high}", lambda ra, dec: (ra >= low) & (ra <= high)


def both(a: Condition, b: Condition) -> Condition:
    return f"({a[0]} AND {b[0]})", lambda ra, dec: a[1](ra, dec) & b[1](ra, dec)


def either(a: Condition, b: Condition) -> Condition:
    return f"({a[0]} OR {b[0]})", lambda ra, dec: a[1](ra, dec) | b[1](ra, dec)


def negated(a: Condition) -> Condition:
    return f"NOT ({a[0]})", lambda ra, dec: ~a[1](ra, dec)


_RA, _DEC = st.integers(0, 359), st.integers(-90, 90)
conditions = st.recursive(
    st.one_of(
        st.builds(near, _RA, _DEC, sizes),
        st.builds(in_box, _RA, _DEC),
        st.builds(bound, st.just("ra"), st.sampled_from(["<", ">", "<=", ">=", "="]), _RA),
        st.builds(bound, st.just("dec"), st.sampled_from(["<", ">", "<=", ">=", "="]), _DEC),
        st.builds(between, _RA, _RA),
    ),
    lambda inner: st.one_of(st.builds(both, inner, inner), st.builds(either, inner, inner), st.builds(negated, inner)),
    max_leaves=6,
)


@settings(max_examples=150)
@given(conditions, seeds)
def test_and_or_not(condition: Condition, seed: int) -> None:
    query = resolved(f"SELECT objectId FROM Object WHERE {condition[0]}").query
    source = query.sources[0]
    assert isinstance(source, TableSource)
    position = regions.Position.of(source)
    assert position is not None
    random = np.random.default_rng(seed)
    ra, dec = random.uniform(0, 359.999, 1000), np.degrees(np.arcsin(random.uniform(-1, 1, 1000)))
    ra[:300], dec[200:500] = np.round(ra[:300]), np.round(dec[200:500])
    truth = condition[1](ra, dec)
    check(regions.cover_of_all(query.where, position).cover, (ra, dec), truth)
    region = regions.region_of(query.where, position)
    if region is not None:
        check(region.cover, (ra, dec), truth)
