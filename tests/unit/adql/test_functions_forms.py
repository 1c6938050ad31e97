"""Geometric functions that are no calls: the trees they become, their messages, areas and centroids of polygons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogs import plan, resolved
from support.shapes import directions, place

from qserv_py import errors
from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, FORMS, FUNCTIONS, SHAPE_NAMES, Kind
from qserv_py.adql.geometry.sphere import area, centroid
from qserv_py.adql.tree import Literal
from qserv_py.planner.plan.query_plan import ShardStage

_HERE = "CONTAINS(POINT(ra, dec), {})"


def chunk_query(condition: str, source: str = "Object") -> ShardStage:
    [stage] = plan(f"SELECT objectId FROM {source} WHERE {condition}").stages
    assert isinstance(stage, ShardStage)
    return stage


@pytest.mark.parametrize(
    ("written", "same_as"),
    [
        ("scisql_s2PtInCircle(ra, dec, 10, 20, 3) = 1", _HERE.format("CIRCLE(10, 20, 3)") + " = 1"),
        ("SCISQL_S2PTINCIRCLE(ra, dec, 10, 20, 3) = 0", _HERE.format("CIRCLE(10, 20, 3)") + " = 0"),
        ("1 = qserv_areaspec_circle(10, 20, 3)", _HERE.format("CIRCLE(10, 20, 3)") + " = 1"),
        ("qserv_areaspec_circle(10, 20, 3)", _HERE.format("CIRCLE(10, 20, 3)") + " = 1"),
        ("NOT qserv_areaspec_circle(10, 20, 3)", _HERE.format("CIRCLE(10, 20, 3)") + " = 0"),
        ("qserv_areaspec_poly(1, 2, 8, 2, 4, 7)", _HERE.format("POLYGON(1, 2, 8, 2, 4, 7)") + " = 1"),
        ("scisql_s2PtInCPoly(ra, dec, 1, 2, 8, 2, 4, 7) = 1", _HERE.format("POLYGON(1, 2, 8, 2, 4, 7)") + " = 1"),
        ("qserv_areaspec_box(10, 20, 30, 40)", "ra BETWEEN 10.0 AND 30.0 AND dec BETWEEN 20.0 AND 40.0"),
        ("scisql_s2PtInBox(ra, dec, 10, 20, 30, 40) = 1", "ra BETWEEN 10.0 AND 30.0 AND dec BETWEEN 20.0 AND 40.0"),
        ("qserv_areaspec_box(-10, 20, 10, 40)", "(ra >= 350.0 OR ra <= 10.0) AND dec BETWEEN 20.0 AND 40.0"),
        ("qserv_areaspec_box(370, 20, 380, 40)", "ra BETWEEN 10.0 AND 20.0 AND dec BETWEEN 20.0 AND 40.0"),
        ("qserv_areaspec_box(0, 20, 360, 40)", "dec BETWEEN 20.0 AND 40.0"),
        ("scisql_angSep(ra, dec, 10, 20) < 0.1", "DISTANCE(ra, dec, 10, 20) < 0.1"),
        ("DISTANCE(CENTROID(CIRCLE(10, 20, 3)), POINT(ra, dec)) < 0.1", "DISTANCE(10, 20, ra, dec) < 0.1"),
        ("COORD1(POINT(ra, dec)) < 5", "ra < 5"),
    ],
)
def test_a_form_is_planned_as_what_it_stands_for(written: str, same_as: str) -> None:
    ours, theirs = chunk_query(written), chunk_query(same_as)
    assert len(ours.chunks) == len(theirs.chunks)
    assert str(ours.template) == str(theirs.template)


@pytest.mark.parametrize(
    "condition",
    [
        "qserv_areaspec_circle(10, 20, 0.1)",
        "qserv_areaspec_box(359.9, -1, 0.1, 1)",
        "qserv_areaspec_ellipse(10, 20, 3600, 60, 45)",
        "scisql_s2PtInEllipse(ra, dec, 10, 20, 3600, 60, 45) = 1",
        "qserv_areaspec_poly(1, 2, 3, 2, 2, 4)",
        "scisql_angSep(10, 20, ra, dec) < 0.1",
    ],
)
def test_a_region_prunes(condition: str) -> None:
    assert len(chunk_query(condition).chunks) <= 4


def test_the_first_director_of_a_join_is_meant() -> None:
    [stage] = plan(
        "SELECT s.sourceId FROM Source AS s JOIN Object AS o ON s.objectId = o.objectId"
        " WHERE qserv_areaspec_circle(10, 20, 0.1)"
    ).stages
    assert isinstance(stage, ShardStage)
    assert len(stage.chunks) <= 1


def test_a_rows_own_cell_is_read_from_its_key() -> None:
    for arguments in ("ra, dec", "POINT(ra, dec)", "COORD1(POINT(ra, dec)), dec"):
        item = resolved(f"SELECT ivo_healpix_index(10, {arguments}) AS h FROM Object").query.items[0]
        assert "healpix29" in repr(item.expr)
    for arguments in ("dec, ra", "ra + 0.0, dec", "10, 20", "ra, 20"):
        item = resolved(f"SELECT ivo_healpix_index(10, {arguments}) AS h FROM Object").query.items[0]
        assert "healpix29" not in repr(item.expr)


@pytest.mark.parametrize(
    ("query", "kind", "match"),
    [
        (
            "scisql_s2PtInCircle(ra, dec, 1, 2)",
            errors.UnknownFunctionError,
            "scisql_s2PtInCircle does not take 4 arguments",
        ),
        ("qserv_areaspec_circle(1, 2)", errors.UnknownFunctionError, "qserv_areaspec_circle does not take 2 arguments"),
        ("scisql_s2PtInCPoly(ra, dec, 1, 2, 3, 4, 5)", errors.UnknownFunctionError, "does not take 7 arguments"),
        ("scisql_angSep(ra, dec, 1)", errors.UnknownFunctionError, "scisql_angSep does not take 3 arguments"),
        ("scisql_angSep(POINT(ra, dec), POINT(1, 2))", errors.UnknownFunctionError, "takes numbers, not shapes"),
        ("scisql_s2PtInBox(ra, dec, ra, 2, 3, 4)", errors.QueryNotSupportedError, "is answered for a constant region"),
        ("scisql_s2PtInBox(ra, dec, 1, 2, 'x', 4)", errors.TypeMismatchError, "scisql_s2PtInBox needs numbers"),
        (
            "scisql_s2PtInBox(ra, dec, 1, -91, 3, 4)",
            errors.TypeMismatchError,
            r"declination -91 is outside \[-90, 90\]",
        ),
        ("scisql_s2PtInBox(ra, dec, 370, 1, 10, 4)", errors.TypeMismatchError, "370 to 10 are no range"),
        ("scisql_s2PtInEllipse(ra, dec, 1, 2, 3, 4, 5)", errors.TypeMismatchError, "semi-axes 3 and 4"),
        ("scisql_s2PtInEllipse(ra, dec, 1, 2, 36001, 4, 5)", errors.TypeMismatchError, "semi-axes 36001 and 4"),
        ("AREA(ra)", errors.UnknownFunctionError, "AREA takes one shape"),
        ("AREA(POLYGON(0, 0, 120, 0, 240, 0))", errors.QueryNotSupportedError, "larger than a hemisphere"),
        ("COORD1(CIRCLE(1, 2, 3))", errors.UnknownFunctionError, "COORD1 takes a POINT, found a CIRCLE"),
        ("MAX(CIRCLE(1, 2, 3))", errors.TypeMismatchError, "MAX needs numbers, text or times, found CIRCLE"),
        ("ivo_healpix_index(30, ra, dec)", errors.TypeMismatchError, "order 30 is not in 0 to 29"),
        ("ivo_healpix_index(-1, rFlux, dec)", errors.TypeMismatchError, "order -1 is not in 0 to 29"),
        ("gaia_healpix_index(13, objectId)", errors.TypeMismatchError, "order 13 is not in 0 to 12"),
        ("ivo_healpix_center(30, objectId)", errors.TypeMismatchError, "order 30 is not in 0 to 29"),
        (
            "ivo_epoch_prop_pos(NULL, dec, 1, 2, 3, 4, 2000, 2010)",
            errors.TypeMismatchError,
            "argument 1 of ivo_epoch_prop_pos is NULL",
        ),
        (
            "epoch_prop_pos(ra, dec, 1, 2, 3, 4, 2000, CAST(NULL AS REAL))",
            errors.TypeMismatchError,
            "argument 8 of epoch_prop_pos is NULL",
        ),
        ("ivo_histogram(ra, 5, 10 / 2, 3)", errors.TypeMismatchError, "borders of ivo_histogram are the same number"),
        (
            "scisql_s2PtInCPoly(ra, dec, 10, 20, 11, 21, 11, 20, 10, 21)",
            errors.TypeMismatchError,
            "scisql_s2PtInCPoly takes a convex polygon",
        ),
        (
            "qserv_areaspec_poly(10, 20, 11, 20, 10.2, 20.2, 10, 21)",
            errors.TypeMismatchError,
            "qserv_areaspec_poly takes a convex polygon",
        ),
        ("ivo_healpix_index(3, ra)", errors.UnknownFunctionError, "does not take 2 arguments"),
        ("ivo_healpix_index(3, CIRCLE(1, 2, 3))", errors.UnknownFunctionError, "does not take 2 arguments"),
        ("GREATEST(ra)", errors.UnknownFunctionError, "GREATEST does not take 1 arguments"),
        ("GREATEST(ra, label)", errors.TypeMismatchError, "GREATEST mixes"),
        ("LEAST(extended, extended)", errors.TypeMismatchError, "LEAST needs value, found BOOLEAN"),
        ("ivo_to_mjd(ra)", errors.TypeMismatchError, "ivo_to_mjd needs time, found DOUBLE PRECISION"),
        ("SUBSTRING(label, 1.5)", errors.TypeMismatchError, "SUBSTRING needs integer"),
        ("STDDEV(label)", errors.TypeMismatchError, "STDDEV needs number, found VARCHAR"),
        ("STDDEV(ra, dec)", errors.UnknownFunctionError, "STDDEV does not take 2 arguments"),
        ("STDDEV()", errors.UnknownFunctionError, "STDDEV does not take 0 arguments"),
        ("STDDEV(SUM(ra))", errors.TypeMismatchError, "STDDEV holds another aggregate"),
        ("STDDEV(ra) OVER ()", errors.QueryNotSupportedError, "STDDEV with OVER is not answered"),
        ("SUM(STDDEV(ra))", errors.TypeMismatchError, "SUM holds another aggregate"),
        ("MEDIAN(DISTINCT ra)", errors.UnknownFunctionError, "MEDIAN does not take DISTINCT"),
        ("PERCENTILE(ra, 1.5)", errors.TypeMismatchError, "PERCENTILE needs a constant, 0 to 1"),
        ("PERCENTILE(ra, dec)", errors.TypeMismatchError, "PERCENTILE needs a constant, 0 to 1"),
        ("scisql_percentile(ra, 101)", errors.TypeMismatchError, "scisql_percentile needs a constant, 0 to 100"),
        ("STRING_AGG(label, label)", errors.TypeMismatchError, "STRING_AGG needs a text constant"),
        ("BIT_AND(ra)", errors.TypeMismatchError, "BIT_AND needs integer, found DOUBLE PRECISION"),
        ("BOOL_AND(ra)", errors.TypeMismatchError, "BOOL_AND needs a condition"),
        ("scisql_nanojanskyToAbMga(ra)", errors.UnknownFunctionError, '"scisql_nanojanskyToAbMga" is not known'),
    ],
)
def test_messages(query: str, kind: type[errors.QservError], match: str) -> None:
    with pytest.raises(kind, match=match) as caught:
        plan(f"SELECT {query} AS x FROM Object")
    assert isinstance(caught.value, errors.AdqlError)
    assert caught.value.offset is not None


@pytest.mark.parametrize(
    ("query", "match", "hint"),
    [
        ("Visit WHERE qserv_areaspec_circle(1, 2, 3)", "needs a partitioned table in FROM", "scisql_s2PtIn"),
        (
            "(SELECT ra, dec FROM Object) AS t WHERE qserv_areaspec_circle(1, 2, 3)",
            "needs a partitioned table in FROM",
            "scisql_s2PtIn",
        ),
        (
            "Visit v LEFT JOIN Object o ON o.nObs = v.visit WHERE qserv_areaspec_circle(1, 2, 3)",
            "restricts no table that an outer join may fill with NULL",
            "restrict a sub-query",
        ),
        ("Source WHERE qserv_areaspec_circle(1, flux, 3)", 'restricts "Source", which has no position', ""),
    ],
)
def test_a_region_needs_a_table_to_restrict(query: str, match: str, hint: str) -> None:
    with pytest.raises(errors.QueryNotSupportedError, match=match) as caught:
        plan(f"SELECT 1 AS one FROM {query}")
    assert hint in caught.value.hint


_OF = "qserv_areaspec_circle(10, 20, 3)"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (
            f"FROM Object a, Object b WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.001 AND {_OF}",
            "FROM Object a, Object b WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.001"
            " AND scisql_s2PtInCircle(a.ra, a.dec, 10, 20, 3) = 1 AND scisql_s2PtInCircle(b.ra, b.dec, 10, 20, 3) = 1",
        ),
        (
            f"FROM Object o, Source s, Visit v WHERE {_OF} AND v.visit = s.visit AND s.objectId = o.objectId",
            "FROM Object o, Source s, Visit v WHERE scisql_s2PtInCircle(o.ra, o.dec, 10, 20, 3) = 1"
            " AND v.visit = s.visit AND s.objectId = o.objectId",
        ),
        (
            f"FROM Object o JOIN Source s USING (objectId) JOIN Source t ON t.objectId = s.objectId WHERE {_OF}",
            "FROM Object o JOIN Source s USING (objectId) JOIN Source t ON t.objectId = s.objectId"
            " WHERE scisql_s2PtInCircle(o.ra, o.dec, 10, 20, 3) = 1",
        ),
        (
            f"FROM Object o JOIN Source s ON s.visit = o.nObs WHERE {_OF}",
            "FROM Object o JOIN Source s ON s.visit = o.nObs WHERE scisql_s2PtInCircle(o.ra, o.dec, 10, 20, 3) = 1 AND"
            " s.objectId IN (SELECT objectId FROM Object WHERE scisql_s2PtInCircle(ra, dec, 10, 20, 3) = 1)",
        ),
        (
            f"FROM Object o LEFT JOIN Truth t ON t.truthId = o.objectId WHERE {_OF}",
            "FROM Object o LEFT JOIN Truth t ON t.truthId = o.objectId"
            " WHERE scisql_s2PtInCircle(o.ra, o.dec, 10, 20, 3) = 1",
        ),
        (
            f"FROM ObjectMatch m JOIN Truth t ON t.truthId = m.truthId WHERE {_OF}",
            "FROM ObjectMatch m JOIN Truth t ON t.truthId = m.truthId"
            " WHERE scisql_s2PtInCircle(t.ra, t.dec, 10, 20, 3) = 1",
        ),
        (
            f"FROM Source s WHERE NOT {_OF}",
            "FROM Source s WHERE NOT s.objectId IN"
            " (SELECT objectId FROM Object WHERE scisql_s2PtInCircle(ra, dec, 10, 20, 3) = 1)",
        ),
    ],
)
def test_an_area_restricts_every_partitioned_table(written: str, meant: str) -> None:
    queries = [resolved(f"SELECT COUNT(*) AS n {text}").query for text in (written, meant)]
    assert sorted(map(repr, queries[0].where)) == sorted(map(repr, queries[1].where))


@pytest.mark.parametrize("name", ["STDDEV(ra) > 1", "BOOL_AND(ra > 3)", "MEDIAN(ra) > 3"])
def test_aggregates_do_not_stand_in_where(name: str) -> None:
    with pytest.raises(errors.TypeMismatchError, match="aggregates cannot stand in WHERE"):
        plan(f"SELECT objectId FROM Object WHERE {name}")


def test_names_are_unlike() -> None:
    names = [*FUNCTIONS, *SHAPE_NAMES, *AGGREGATE_FUNCTIONS]
    assert len(names) == len(set(names))
    assert all(name == name.upper() for name in names)


def test_an_argument_stands_once() -> None:
    # nested calls would grow as 2**depth
    for function in FUNCTIONS.values():
        if function.repeats:
            continue
        least = len(function.parameters) - function.optional
        for count in range(least, len(function.parameters) + 1):
            for duckdb in (False, True):
                text = function.sql([f"<{index}>" for index in range(count)], duckdb=duckdb)
                assert all(text.count(f"<{index}>") <= 1 for index in range(count)), text
                assert "{" not in text


def test_only_aggregates_take_conditions() -> None:
    assert all(Kind.CONDITION not in function.parameters for function in FUNCTIONS.values())


def test_units_of_answers() -> None:
    query = "SELECT scisql_nanojanskyToAbMag(gFlux), scisql_abMagToNanojansky(22), DISTANCE(ra, dec, 1, 2) FROM Object"
    assert [column.unit for column in resolved(query).columns] == ["mag", "nJy", "deg"]


# polygons

_spokes = st.lists(st.tuples(st.integers(0, 359), st.integers(1, 60)), min_size=3, max_size=6)
_stars = st.tuples(st.integers(0, 359), st.integers(-80, 80), _spokes)


def around(ra: float, dec: float, spokes: list[tuple[int, int]]) -> np.ndarray:
    """Return the vertices of a star-shaped polygon around a place: directions and distances in degrees."""
    east = np.array([-math.sin(math.radians(ra)), math.cos(math.radians(ra)), 0])
    centre = directions(np.array(ra), np.array(dec))
    north = np.cross(centre, east)
    made = []
    for angle, reach in sorted(dict(spokes).items()):
        toward = math.cos(math.radians(angle)) * north + math.sin(math.radians(angle)) * east
        made.append(math.cos(math.radians(reach)) * centre + math.sin(math.radians(reach)) * toward)
    return np.array(made)


def numbers(vertices: np.ndarray) -> tuple[float, ...]:
    return tuple(number for vertex in vertices for number in place(vertex))


def pieces(a: np.ndarray, b: np.ndarray, c: np.ndarray, depth: int) -> list[tuple[np.ndarray, float]]:
    """Return small triangles that make up a spherical one: centres, and signed areas by the plane's formula."""
    if depth == 0:
        centre = a + b + c
        return [(centre / np.linalg.norm(centre), float(centre @ np.cross(b - a, c - a) / np.linalg.norm(centre) / 2))]
    ab, bc, ca = ((x + y) / np.linalg.norm(x + y) for x, y in ((a, b), (b, c), (c, a)))
    parts = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    return [piece for part in parts for piece in pieces(*part, depth - 1)]


@settings(max_examples=25, deadline=None)
@given(_stars)
def test_area_and_centroid_by_small_pieces(drawn: tuple[int, int, list[tuple[int, int]]]) -> None:
    ra, dec, spokes = drawn
    vertices = around(ra, dec, spokes)
    gaps = np.diff(sorted({angle for angle, _ in spokes}), append=min(angle for angle, _ in spokes) + 360)
    if len(vertices) < 3 or gaps.max() >= 170:
        return  # the place would not be inside
    centre = directions(np.array(ra), np.array(dec))
    small = [
        piece
        for one, other in zip(vertices, np.roll(vertices, -1, axis=0), strict=True)
        for piece in pieces(centre, one, other, 4)
    ]
    expected = abs(sum(size for _, size in small)) * math.degrees(1) ** 2
    assert area(numbers(vertices)) == pytest.approx(expected, rel=5e-3)
    assert area(numbers(vertices[::-1])) == pytest.approx(area(numbers(vertices)), rel=1e-9)
    mass = sum(place * size for place, size in small)
    mass = mass / np.linalg.norm(mass) * np.sign(mass @ centre)
    found = directions(*(np.array(value) for value in centroid(numbers(vertices))))
    assert math.degrees(math.acos(min(1.0, float(found @ mass)))) < 0.1


def test_area_of_large_and_of_small_polygons() -> None:
    assert area((0, 0, 90, 0, 0, 90)) == pytest.approx(129600 / math.pi / 8, rel=1e-12)
    second = 1 / 3600
    assert area((0, 0, second, 0, second, second, 0, second)) == pytest.approx(second**2, rel=1e-9)


def test_centroid_of_an_octant() -> None:
    ra, dec = centroid((0, 0, 90, 0, 0, 90))
    assert (ra, dec) == (
        pytest.approx(45, abs=1e-12),
        pytest.approx(math.degrees(math.atan(math.sqrt(0.5))), abs=1e-12),
    )


def test_a_polygon_without_area_has_the_mean_of_its_vertices() -> None:
    assert centroid((10, 20, 10, 20, 10, 20)) == (pytest.approx(10), pytest.approx(20))


def test_measures_of_a_polygon_are_constants() -> None:
    items = resolved("SELECT AREA(POLYGON(0, 0, 90, 0, 0, 90)) AS a FROM Object").query.items
    assert isinstance(items[0].expr, Literal)


def test_every_form_has_a_name_of_its_own() -> None:
    assert {form.name.upper() for form in FORMS} < set(SHAPE_NAMES)
