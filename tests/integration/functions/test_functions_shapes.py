"""Everything that is asked of shapes on both engines, and against astropy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import astropy.units as u
import healpy
import numpy as np
import pytest
from astropy.coordinates import FK5, BarycentricMeanEcliptic, Galactic, SkyCoord, Supergalactic
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engines import Engines, assert_alike, open_engines
from support.postgres import TestServer
from support.shapes import Numbers, border, gap, inside, pairs, shapes, step


@pytest.fixture(scope="module")
def engines(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with open_engines(postgres_server, tmp_path_factory.mktemp("spill")) as opened:
        yield opened


def written(numbers: Numbers) -> str:
    """Return a shape as ADQL."""
    name = {2: "POINT", 3: "CIRCLE"}.get(len(numbers), "POLYGON")
    return f"{name}({', '.join(map(repr, numbers))})"


def text(numbers: Numbers) -> str:
    """Return a shape as STC-S."""
    name = {2: "Position", 3: "Circle"}.get(len(numbers), "Polygon")
    return f"{name} ICRS {' '.join(map(repr, numbers))}"


def large(numbers: Numbers) -> bool:
    """Whether the resolver may refuse a constant shape: its border goes far around."""
    return len(numbers) > 3 and bool((border(numbers) @ border(numbers).mean(axis=0) < 0.1).any())


@pytest.mark.parametrize("name", ["CONTAINS", "INTERSECTS"])
def test_a_region_column_and_a_constant(engines: Engines, name: str) -> None:
    @settings(max_examples=150, deadline=None)
    @given(pairs(), st.booleans())
    def check(drawn: tuple[Numbers, Numbers], first: bool) -> None:
        one, other = drawn
        if large(one) or large(other):
            return
        row = {"s_region": text(one)}
        arguments = f"s_region, {written(other)}" if first else f"{written(other)}, s_region"
        left, right = engines.both(f"{name}({arguments})", row, table="Footprint")
        assert left == right, (arguments, row)
        apart = gap(border(one), border(other))
        if name == "INTERSECTS" and apart > 2 * max(step(border(one)), step(border(other))) + 1e-11:
            meets = inside(other, border(one)).any() or inside(one, border(other)).any()
            assert left == int(meets), (arguments, row)

    check()


def test_shapes_whose_numbers_are_columns(engines: Engines) -> None:
    @settings(max_examples=80, deadline=None)
    @given(shapes(), st.integers(0, 359), st.integers(-90, 90), st.integers(0, 60))
    def check(other: Numbers, ra: int, dec: int, size: int) -> None:
        if large(other):
            return
        row = {"ra": float(ra), "dec": float(dec), "size": float(size)}
        for shape in ("CIRCLE(ra, dec, size)", "BOX(ra, dec, size, 2)", "POLYGON(ra, dec, ra + 3, 1, 10, dec / 2)"):
            for name in ("CONTAINS", "INTERSECTS"):
                for pair in (f"{shape}, {written(other)}", f"{written(other)}, {shape}"):
                    left, right = engines.both(f"{name}({pair})", row, table="Footprint")
                    assert left == right, (name, pair, row)

    check()


@pytest.mark.parametrize(
    ("same", "as_"),
    [
        ("INTERSECTS(POINT(ra, dec), CIRCLE(10, 20, 5))", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 5))"),
        ("INTERSECTS(CIRCLE(10, 20, 5), POINT(ra, dec))", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 5))"),
        ("CONTAINS(POINT(ra, dec), REGION('Circle 10 20 5'))", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 5))"),
        ("CONTAINS(POINT(ra, dec), CAST('Circle 10 20 5' AS CIRCLE))", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 5))"),
        ("INTERSECTS(CIRCLE(ra, dec, 2), CIRCLE(10, 20, 3))", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 5))"),
        ("CONTAINS(CIRCLE(ra, dec, 2), CIRCLE(10, 20, 7))", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 5))"),
        ("CONTAINS(CIRCLE(ra, dec, size), CIRCLE(10, 20, 5))", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 5))"),
        ("CONTAINS(POINT(ra, dec), BOX(10, 20, 4, 6))", "CONTAINS(BOX(ra, dec, 0, 0), BOX(10, 20, 4, 6))"),
        ("CONTAINS(CIRCLE(ra, dec, 200), CIRCLE(10, 20, 180))", "1"),
        ("CONTAINS(CIRCLE(ra, dec, 3), CIRCLE(10, 20, 2))", "0"),
        ("CONTAINS(CIRCLE(10, 20, 3), POINT(ra, dec))", "0"),
        ("DISTANCE(CENTROID(BOX(ra, dec, 1, 1)), POINT(10, 20))", "DISTANCE(ra, dec, 10, 20)"),
        ("DISTANCE(POINT(10, 20), ivo_epoch_prop_pos(ra, dec, 1, 0, 0, 3, 2000, 2020))", "DISTANCE(ra, dec, 10, 20)"),
        ("COORD2(middle)", "20.5"),
        ("COORD1(CAST(middle AS POINT))", "10.25"),
        ("DISTANCE(middle, POINT(10.25, 20.5))", "0.0"),
        ("AREA(CAST(note AS REGION))", "AREA(CIRCLE(10, 20, 5))"),
        ("COORD1(CENTROID(CAST(note AS REGION)))", "10.0"),
        ("COORDSYS(s_region)", "CAST(NULL AS VARCHAR)"),
        ("COORDSYS(middle)", "'ICRS'"),
        ("CONTAINS(middle, s_region)", "CAST(NULL AS INTEGER)"),
        ("ivo_healpix_index(5, middle)", "ivo_healpix_index(5, 10.25, 20.5)"),
        ("AREA(CIRCLE(middle, size))", "0.0"),
        ("q3c_dist(ra, dec, 10, 20)", "DISTANCE(ra, dec, 10, 20)"),
        ("CASE WHEN q3c_join(ra, dec, 10, 20, 5) THEN 1 ELSE 0 END", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 5))"),
        (
            "CASE WHEN q3c_radial_query(ra, dec, 10, 20, 5) = 1 THEN 1 ELSE 0 END",
            "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 5))",
        ),
        (
            "CASE WHEN q3c_poly_query(ra, dec, ARRAY[8, 18, 12, 18, 10, 24]) THEN 1 ELSE 0 END",
            "CONTAINS(POINT(ra, dec), POLYGON(8, 18, 12, 18, 10, 24))",
        ),
        ("COALESCE(POINT(NULL, dec), POINT(ra, dec))", "POINT(ra, dec)"),
        ("CASE WHEN ra > 1000 THEN CIRCLE(1, 2, 3) ELSE CIRCLE(ra, dec, size) END", "CIRCLE(ra, dec, size)"),
    ],
)
def test_forms_that_mean_the_same(engines: Engines, same: str, as_: str) -> None:
    for ra, dec in ((10.0, 20.0), (13.0, 22.0), (200.0, -3.0), (10.0, 24.99)):
        row = {"ra": ra, "dec": dec, "size": 0.0, "middle": "10.25 20.5", "note": "Circle 10 20 5"}
        ours = engines.both(same, row, table="Footprint")
        theirs = engines.both(as_, row, table="Footprint")
        for one, other in zip(ours, theirs, strict=True):
            assert_alike((one, other), absolute=1e-9)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("POINT(ra, dec)", [370.5, -20.0]),
        ("CIRCLE(ra, dec, size)", [370.5, -20.0, 1.5]),
        ("CIRCLE(POINT('ICRS', 1, 2), 3)", [1.0, 2.0, 3.0]),
        ("POLYGON(1, 2, 3, 4, 5, dec)", [1.0, 2.0, 3.0, 4.0, 5.0, -20.0]),
        ("POLYGON(POINT(1, 2), POINT(3, 4), middle)", [1.0, 2.0, 3.0, 4.0, 10.25, 20.5]),
        ("REGION('circle 1 2 3')", [1.0, 2.0, 3.0]),
        ("CENTROID(CIRCLE(ra, dec, size))", [370.5, -20.0]),
        ("CAST(note AS POLYGON)", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        ("CAST('1 2' AS POINT)", [1.0, 2.0]),
        ("ivo_geom_transform('ICRS', 'ICRS', POINT(ra, dec))", [370.5, -20.0]),
    ],
)
def test_shapes_as_values(engines: Engines, expression: str, expected: list[float]) -> None:
    row = {"ra": 370.5, "dec": -20.0, "size": 1.5, "middle": "10.25 20.5", "note": "1 2 3 4 5 6"}
    assert engines.both(expression, row, table="Footprint") == (expected, expected)


def test_a_box_is_its_corners(engines: Engines) -> None:
    left, right = engines.both("BOX(ra, dec, size, 2)", {"ra": 10.0, "dec": 0.0, "size": 4.0}, table="Footprint")
    assert_alike((left, right))
    constant, _ = engines.both("BOX(10, 0, 4, 2)", {}, table="Footprint")
    assert_alike((left, constant))
    assert left[0::2] == pytest.approx([8, 12, 12, 8])
    # the arms of the cross are 2 degrees long, the corners a little nearer to the equator
    assert left[1::2] == pytest.approx([-0.99939, -0.99939, 0.99939, 0.99939], abs=1e-5)


@pytest.mark.parametrize(
    ("expression", "row"),
    [
        ("POINT(ra, dec)", {"ra": 1.0}),
        ("POINT(ra, dec)", {"ra": 1.0, "dec": 90.5}),
        ("POINT(ra, dec)", {"ra": float("nan"), "dec": 1.0}),
        ("CIRCLE(ra, dec, size)", {"ra": 1.0, "dec": 1.0, "size": -1.0}),
        ("CIRCLE(ra, dec, size)", {"ra": 1.0, "dec": 1.0, "size": float("inf")}),
        ("BOX(ra, dec, size, 1)", {"ra": 1.0, "dec": 1.0, "size": 180.0}),
        ("POLYGON(1, 2, 3, 4, ra, dec)", {"ra": 1.0}),
        ("CONTAINS(s_region, CIRCLE(1, 2, 3))", {"s_region": "nonsense"}),
        ("INTERSECTS(s_region, CIRCLE(1, 2, 3))", {"s_region": "Circle FK4 1 2 3"}),
        ("INTERSECTS(s_region, CIRCLE(1, 2, 3))", {"s_region": "Polygon 0 0 120 0 240 0"}),
        ("INTERSECTS(s_region, CIRCLE(1, 2, 3))", {}),
        ("INTERSECTS(CIRCLE(ra, dec, size), s_region)", {"s_region": "1 2 3", "ra": 1.0, "dec": 1.0}),
        ("AREA(s_region)", {"s_region": "Polygon 0 0 120 0 240 0"}),
        ("CENTROID(s_region)", {"s_region": ""}),
        ("COORD1(middle)", {"middle": "Circle 1 2 3"}),
        ("DISTANCE(middle, POINT(ra, dec))", {"middle": "1 2", "ra": 1.0}),
        ("ivo_epoch_prop_pos(ra, dec, 1, 2, 3, 4, 2000, size)", {"ra": 1.0, "dec": 1.0, "size": 1e7}),
        ("ivo_healpix_center(3, CAST(size AS BIGINT))", {"size": 768.0}),
        ("ivo_geom_transform('ICRS', 'GALACTIC', POINT(ra, dec))", {"ra": 1.0}),
        ("CAST(note AS REGION)", {}),
    ],
)
def test_what_is_no_shape_is_null(engines: Engines, expression: str, row: dict[str, Any]) -> None:
    if expression.startswith("CAST"):
        expression = f"AREA({expression})"
    assert engines.both(expression, row, table="Footprint") == (None, None)


@pytest.mark.parametrize("expression", ["CAST(note AS POINT)", "CAST(note AS POLYGON)", "AREA(CAST(note AS REGION))"])
def test_a_cast_of_a_bad_text_fails(engines: Engines, expression: str) -> None:
    row = {"note": "Circle 1 2 3" if "REGION" not in expression else "a circle"}
    assert engines.both(expression, row, table="Footprint") == ("error", "error")


_FRAMES = {
    "FK5": FK5(), "J2000": FK5(), "GALACTIC": Galactic(), "SUPER_GALACTIC": Supergalactic(),
    "ECLIPTIC": BarycentricMeanEcliptic(),
}  # fmt: skip
_places = st.tuples(
    st.integers(0, 359_999).map(lambda n: n / 1000), st.integers(-90_000, 90_000).map(lambda n: n / 1000)
)


def apart(found: list[float], place: SkyCoord) -> float:
    """Return the distance of an answer from a place, arcseconds."""
    other = place.represent_as("unitspherical")
    return float(SkyCoord(*found, unit="deg").separation(SkyCoord(other.lon, other.lat)).arcsec)


@pytest.mark.parametrize("frame", sorted(_FRAMES))
def test_frames_are_those_of_astropy(engines: Engines, frame: str) -> None:
    @settings(max_examples=30, deadline=None)
    @given(_places)
    def check(place: tuple[float, float]) -> None:
        row = {"ra": place[0], "dec": place[1]}
        here = SkyCoord(*place, unit="deg")
        for found in engines.both(f"ivo_geom_transform('ICRS', '{frame}', POINT(ra, dec))", row, table="Footprint"):
            assert apart(found, here.transform_to(_FRAMES[frame])) < 1e-8
        there = SkyCoord(*place, unit="deg", frame=_FRAMES[frame]) if frame != "ECLIPTIC" else None
        if there is not None and frame != "SUPER_GALACTIC":
            for found in engines.both(f"ivo_geom_transform('{frame}', 'ICRS', POINT(ra, dec))", row, table="Footprint"):
                assert apart(found, there.icrs) < 1e-8

    check()


def test_a_circle_keeps_its_radius_in_another_frame(engines: Engines) -> None:
    row = {"s_region": "Circle 10 20 3.5"}
    query = "AREA(ivo_geom_transform('FK5', 'ECLIPTIC', s_region)) / AREA(s_region)"
    for ratio in engines.both(query, row, table="Footprint"):
        assert ratio == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("order", [0, 1, 5, 13, 29])
def test_healpix_centers_are_those_of_healpy(engines: Engines, order: int) -> None:
    random = np.random.default_rng(order)
    cells = np.unique(np.concatenate([[0, 12 * 4**order - 1], random.integers(0, 12 * 4**order, 40)]))
    lon, lat = healpy.pix2ang(2**order, cells, nest=True, lonlat=True)
    for cell, ra, dec in zip(cells.tolist(), lon.tolist(), lat.tolist(), strict=True):
        row = {"nObs": order, "objectId": cell}
        for found in engines.both("ivo_healpix_center(nObs, objectId)", row):
            assert found == pytest.approx([ra, dec], abs=1e-11)
    assert engines.both("ivo_healpix_center(nObs, objectId)", {"nObs": 30, "objectId": 1}) == (None, None)


def test_the_middle_of_a_cell_lies_in_it(engines: Engines) -> None:
    for cell in range(0, 3072, 7):
        row = {"nObs": 4, "objectId": cell}
        assert engines.both("ivo_healpix_index(nObs, ivo_healpix_center(nObs, objectId))", row) == (cell, cell)


_motions = st.tuples(
    _places,
    st.integers(1, 800),
    st.integers(-5000, 5000),
    st.integers(-5000, 5000),
    st.integers(-150, 150),
    st.sampled_from([-100.0, -16.0, 0.0, 24.5, 100.0]),
)


def test_motion_is_that_of_astropy(engines: Engines) -> None:
    """Astropy adds the light-time and Doppler terms of SOFA, milliarcseconds for the fastest stars in a century."""

    @settings(max_examples=60, deadline=None)
    @given(_motions)
    def check(drawn: tuple[tuple[float, float], int, int, int, int, float]) -> None:
        (ra, dec), parallax, pmra, pmdec, speed, years = drawn
        if abs(dec) > 89.9 or math.hypot(pmra, pmdec) > 50 * parallax:
            return  # astropy divides the motion by cos(dec), and moves what is too fast nearer
        star = SkyCoord(
            ra * u.deg,
            dec * u.deg,
            distance=(1000 / parallax) * u.pc,
            pm_ra_cosdec=pmra * u.mas / u.yr,
            pm_dec=pmdec * u.mas / u.yr,
            radial_velocity=speed * u.km / u.s,
            obstime=Time(2016.0, format="jyear", scale="tdb"),
        )
        moved = star.apply_space_motion(new_obstime=Time(2016.0 + years, format="jyear", scale="tdb"))
        written_ = f"ivo_epoch_prop_pos(ra, dec, {parallax}, {pmra}, {pmdec}, {speed}, 2016, {2016 + years})"
        path = math.hypot(pmra, pmdec) * abs(years) / 1000
        for found in engines.both(written_, {"ra": ra, "dec": dec}):
            assert apart(found, moved) <= 1e-6 + path * 2e-5

    check()


def test_motion_is_straight_in_space(engines: Engines) -> None:
    @settings(max_examples=60, deadline=None)
    @given(_motions)
    def check(drawn: tuple[tuple[float, float], int, int, int, int, float]) -> None:
        (ra, dec), parallax, pmra, pmdec, speed, years = drawn
        lon, lat = np.radians([ra, dec])
        outward = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        east, north = np.array([-np.sin(lon), np.cos(lon), 0]), np.cross(outward, [-np.sin(lon), np.cos(lon), 0])
        distance = (1000 / parallax) * u.pc
        velocity = (
            (distance * pmra * u.mas / u.yr).to(u.km / u.s, u.dimensionless_angles()) * east
            + (distance * pmdec * u.mas / u.yr).to(u.km / u.s, u.dimensionless_angles()) * north
            + speed * u.km / u.s * outward
        )
        x, y, z = (distance * outward + velocity * (years * u.yr)).to_value(u.pc)
        place = SkyCoord(math.atan2(y, x) * u.rad, math.atan2(z, math.hypot(x, y)) * u.rad)
        for name in ("ivo_epoch_prop_pos", "epoch_prop_pos"):
            query = f"{name}(ra, dec, {parallax}, {pmra}, {pmdec}, {speed}, 2016, {2016 + years})"
            for found in engines.both(query, {"ra": ra, "dec": dec}):
                assert apart(found, place) < 1e-8

    check()


@pytest.mark.parametrize("name", ["ivo_epoch_prop_pos", "epoch_prop_pos"])
def test_what_is_not_known_of_a_star_counts_as_nothing(engines: Engines, name: str) -> None:
    row = {"ra": 10.0, "dec": 20.0, "objectId": 5}
    for query, same in (
        ("ra, dec, NULL, 100, 200, 30, 2000, 2100", "ra, dec, 0, 100, 200, 30, 2000, 2100"),
        ("ra, dec, -5, 100, 200, 30, 2000, 2100", "ra, dec, 0, 100, 200, 0, 2000, 2100"),
        ("ra, dec, 10, NULL, 200, NULL, 2000, 2100", "ra, dec, 10, 0, 200, 0, 2000, 2100"),
        ("ra, dec, rFlux, 100, gFlux, 30, 2000, 2100", "ra, dec, 0, 100, 0, 30, 2000, 2100"),
    ):
        for one, other in zip(engines.both(f"{name}({query})", row), engines.both(f"{name}({same})", row), strict=True):
            assert_alike((one, other))
