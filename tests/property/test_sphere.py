"""CONTAINS and INTERSECTS of any two shapes against sampled borders, at poles, at right ascension 0, of all sizes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.shapes import Numbers, border, gap, inside, pairs, shapes, step

from qserv_py.adql.geometry.sphere import body_of, centroid, contains, corners_of_box, intersects

# points of the other's border that rounding may put on either side
_ROUNDING = 1e-11


def bodies(one: Numbers, other: Numbers) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    first, second = body_of(one), body_of(other)
    return None if first is None or second is None else (first, second)


@settings(max_examples=400, deadline=None)
@given(pairs())
def test_shapes_meet_where_their_samples_do(drawn: tuple[Numbers, Numbers]) -> None:
    one, other = drawn
    made = bodies(one, other)
    if made is None:
        return
    first, second = border(one), border(other)
    if one == other:
        assert intersects(*made)
        return
    apart = gap(first, second)
    coarse = 2 * max(step(first), step(second)) + _ROUNDING
    meets = bool(inside(other, first).any() or inside(one, second).any())
    if apart > coarse:
        assert intersects(*made) == meets
        assert intersects(*made[::-1]) == meets
    elif meets and apart > _ROUNDING:
        assert intersects(*made)
        assert intersects(*made[::-1])


@settings(max_examples=400, deadline=None)
@given(pairs())
def test_a_shape_holds_another_where_it_holds_its_border(drawn: tuple[Numbers, Numbers]) -> None:
    inner, outer = drawn
    made = bodies(inner, outer)
    if made is None:
        return
    if inner == outer:
        assert contains(*made)
        return
    points = border(inner)
    rim = border(outer)
    within = inside(outer, points)
    # a circle beyond a quarter of the sky holds what its border surrounds on the other side: its centre tells
    centre = inside(outer, border(inner[:2]) if len(inner) <= 3 else border(centroid(inner)))
    coarse = 2 * max(step(points), step(rim)) + _ROUNDING
    if gap(points, rim) > coarse:
        surrounds = len(inner) == 3 and inside(inner, rim).all() and len(outer) != 2
        assert contains(*made) == bool(within.all() and (centre.all() or len(inner) > 3) and not surrounds)
    elif not within[[gap(point[None], rim) > _ROUNDING for point in points]].all():
        assert not contains(*made) or gap(points[~within], rim) < coarse


@settings(max_examples=100, deadline=None)
@given(shapes(), st.integers(0, 40))
def test_a_vertex_lies_in_its_polygon(numbers: Numbers, which: int) -> None:
    body = body_of(numbers)
    if body is None or len(numbers) < 6:
        return
    vertex = body_of(numbers[2 * (which % (len(numbers) // 2)) :][:2])
    assert vertex is not None
    assert contains(vertex, body)
    assert intersects(body, vertex)


@pytest.mark.parametrize("size", [1e-7, 1 / 3600, 1.0, 30.0])
@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (359.99999, 45.0), (10.0, 89.99999), (0.0, -90.0)])
def test_borders_belong_to_shapes(ra: float, dec: float, size: float) -> None:
    box = corners_of_box(ra, dec, size, size)
    square = body_of(box)
    middle = body_of((ra, dec, size / 2))
    around = body_of((ra, dec, math.degrees(math.atan(math.sqrt(2) * math.tan(math.radians(size / 2))))))
    assert square is not None
    assert middle is not None
    assert around is not None
    # the circle within touches the four sides, the one around it goes through the corners
    assert contains(middle, square)
    assert contains(square, around)
    assert contains(square, square)
    assert not contains(square, middle)
    assert not contains(around, square)
    wider = body_of((ra, dec, size / 2 * 1.01))
    assert wider is not None
    assert not contains(wider, square)


def test_two_shapes_that_share_a_side() -> None:
    left, right = body_of((0, 0, 1, 0, 1, 1, 0, 1)), body_of((1, 0, 2, 0, 2, 1, 1, 1))
    assert left is not None
    assert right is not None
    assert intersects(left, right)
    assert not contains(left, right)


def test_a_notch_is_not_in_the_polygon() -> None:
    notched = body_of((0, 0, 4, 0, 4, 4, 2, 1, 0, 4))
    bridge = body_of((0, 4, 4, 4, 4, 3.9, 0, 3.9))
    low = body_of((0.5, 0.2, 3.5, 0.2, 2, 0.9))
    assert notched is not None
    assert bridge is not None
    assert low is not None
    assert not contains(bridge, notched)
    assert intersects(bridge, notched)
    assert contains(low, notched)
    # both ends of the side from (0, 4) to (4, 4) lie on the border, the side itself does not
    lid = body_of((0, 4, 4, 4, 4, 0, 0, 0))
    assert lid is not None
    assert contains(notched, lid)
    assert not contains(lid, notched)


def test_circles_of_more_than_a_hemisphere() -> None:
    most, pole, octant = body_of((0, 90, 170)), body_of((0, -90, 5)), body_of((0, 0, 90, 0, 0, 90))
    assert most is not None
    assert pole is not None
    assert octant is not None
    assert contains(octant, most)
    assert not contains(pole, most)
    assert intersects(pole, body_of((0, 90, 175)) or ())
    assert not intersects(pole, most)
    assert contains(most, body_of((0, 0, 180)) or ())


def test_what_no_hemisphere_holds_has_no_body() -> None:
    assert body_of((0, 0, 120, 0, 240, 0)) is None
    assert body_of((0, 10, 90, 10, 180, 10, 270, 10)) is not None
