"""The shape functions of a shard against those of Python, which the merges use and the property tests check."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.postgres import TestServer
from support.shapes import Numbers, pairs, shapes

from qserv_py.adql.geometry import astrometry, sphere
from qserv_py.adql.geometry.frames import ROTATIONS, from_icrs, to_icrs
from qserv_py.adql.geometry.region_text import numbers_of


@pytest.fixture(scope="module")
def shard(postgres_server: TestServer) -> Iterator[psycopg.Connection]:
    conninfo = postgres_server.create_shard()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection
    postgres_server.drop_database(conninfo)


def ask(shard: psycopg.Connection, text: str, *values: Any) -> Any:
    found = shard.execute(f"SELECT {text}".encode(), values).fetchone()
    assert found is not None
    return found[0]


def alike(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-13, abs_tol=1e-13)
    return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))


_BOTH = "%s(qserv.body(%%s::float8[]), qserv.body(%%s::float8[]))"


def test_relations(shard: psycopg.Connection) -> None:
    @settings(max_examples=500, deadline=None)
    @given(pairs())
    @example(((0.0, 0.0, 1.0), (0.0, 90.0)))
    def check(drawn: tuple[Numbers, Numbers]) -> None:
        one, other = (list(numbers) for numbers in drawn)
        bodies = sphere.body_of(one), sphere.body_of(other)
        for name, function in (("qserv.contains", sphere.contains), ("qserv.intersects", sphere.intersects)):
            expected = None if bodies[0] is None or bodies[1] is None else function(bodies[0], bodies[1])
            assert ask(shard, _BOTH % name, one, other) is expected, (name, drawn)

    check()


def test_bodies_and_measures(shard: psycopg.Connection) -> None:
    @settings(max_examples=200, deadline=None)
    @given(shapes(), st.sampled_from(sorted(ROTATIONS)))
    def check(numbers: Numbers, frame: str) -> None:
        given_numbers = list(numbers)
        body = sphere.body_of(numbers)
        assert alike(ask(shard, "qserv.body(%s::float8[])", given_numbers), body and list(body))
        assert alike(
            ask(shard, "qserv.rotated(%s::float8[], qserv.rotation(%s))", given_numbers, frame),
            list(sphere.rotated(numbers, from_icrs(frame))),
        )
        if body is not None:
            assert alike(ask(shard, "qserv.area(%s::float8[])", given_numbers), sphere.area(numbers))
            assert alike(ask(shard, "qserv.centroid(%s::float8[])", given_numbers), list(sphere.centroid(numbers)))

    check()


_words = ["", "Position ", "point ", "CIRCLE ", "Box ", "Polygon ", "Union ", "circle\t"]
_frames = [
    "",
    "ICRS ",
    "icrs\n",
    "FK5 ",
    "j2000 ",
    "Galactic ",
    "SUPER_GALACTIC ",
    "ECLIPTIC ",
    "FK4 ",
    "UNKNOWNFRAME ",
]
_further = ["", "GEOCENTER ", "BARYCENTER SPHERICAL2 ", "spherical2 ", "cartesian2 "]
_number = st.sampled_from(
    ["0", "10", "-20.5", "+1e1", ".5", "3.", "359.99", "89", "-90", "91", "1e9", "-0.1", "1e999", "x"]
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Something like a region."""
    head = draw(st.sampled_from(_words)) + draw(st.sampled_from(_frames)) + draw(st.sampled_from(_further))
    numbers = draw(st.lists(_number, max_size=9))
    return draw(st.sampled_from(["", " "])) + head + draw(st.sampled_from([" ", "  ", "\n"])).join(numbers)


def test_texts(shard: psycopg.Connection) -> None:
    @settings(max_examples=400, deadline=None)
    @given(st.one_of(texts(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)))
    @example("Circle ICRS 10 20 0.5")
    @example("POLYGON 10 20 11 20 11 21")
    @example("POLYGON 10 20 11 20 11 21 10 20")
    @example("Box GALACTIC 10 20 1 2")
    @example("10 20")
    @example("10 20 1")
    @example("10 20 1 2")
    @example("polygon 1 2 3")
    @example("CIRCLE 10 20 \u00b2")
    def check(text: str) -> None:
        expected = numbers_of(text)
        assert alike(ask(shard, "qserv.region(%s)", text), None if expected is None else list(expected)), text

    check()


def test_boxes(shard: psycopg.Connection) -> None:
    @settings(max_examples=100, deadline=None)
    @given(st.floats(-720, 720), st.floats(-90, 90), st.floats(0, 179), st.floats(0, 179))
    def check(ra: float, dec: float, width: float, height: float) -> None:
        found = ask(shard, "qserv.box(%s, %s, %s, %s)", ra, dec, width, height)
        expected = sphere.corners_of_box(ra, dec, width, height)
        for place in range(0, 8, 2):
            one, other = sphere.body_of(found[place : place + 2]), sphere.body_of(expected[place : place + 2])
            assert one is not None
            assert other is not None
            assert alike(list(one), list(other))

    check()


def test_rotations_go_back() -> None:
    for frame in ROTATIONS:
        there = sphere.rotated((10.0, 20.0, 0.5), from_icrs(frame))
        assert alike(list(sphere.rotated(there, to_icrs(frame))), [10.0, 20.0, 0.5])


_cells = st.integers(0, 29).flatmap(lambda order: st.tuples(st.just(order), st.integers(-1, 12 * 4**order)))


def test_healpix_centers(shard: psycopg.Connection) -> None:
    @settings(max_examples=200, deadline=None)
    @given(_cells)
    def check(drawn: tuple[int, int]) -> None:
        order, cell = drawn
        expected = astrometry.healpix_center(order, cell)
        found = ask(shard, "qserv.healpix_center(%s, %s)", order, cell)
        assert alike(found, None if expected is None else list(expected))

    check()


_some = st.one_of(st.none(), st.sampled_from([0.0, -3.0, 1e300, float("nan"), float("inf")]), st.floats(-5000, 5000))


def test_epoch_propagation(shard: psycopg.Connection) -> None:
    @settings(max_examples=200, deadline=None)
    @given(st.tuples(st.floats(-10, 400), st.floats(-91, 91), _some, _some, _some, _some, st.floats(-3000, 3000)))
    @example((0.0, 90.0, None, None, None, None, 2000.0))
    @example((5e-324, -1e-310, 5e-324, 5e-324, 1e-200, 1e-200, 2000.0))
    def check(drawn: tuple[Any, ...]) -> None:
        numbers = [*drawn, 2000.0]
        expected = astrometry.epoch_prop_pos(*numbers)
        found = ask(shard, f"qserv.epoch_prop_pos({', '.join(['%s'] * 8)})", *numbers)
        assert alike(found, None if expected is None else list(expected)), numbers

    check()
