"""Random conditions on a row: comparisons, lists, patterns, and regions of the sky."""

from __future__ import annotations

import math

from support.random_queries.columns import Columns, Inside
from support.random_queries.drawing import Drawing, Text, text_of
from support.random_queries.numbers import cut_texts, numbers

OBJECT_IDS = ("objectId", "detId")
"""Names of columns that hold ids of objects."""

_PATTERNS = ["%a", "b%", "_", "%%%", "o''%", "g", "%t%", "1%"]
_COMPARISONS = [
    *(Text(sign, sign) for sign in ("<", "<=", "=", "<>", ">", ">=")),
    Text("<=>", "IS NOT DISTINCT FROM"),
    *(Text(words, words) for words in ("IS DISTINCT FROM", "IS NOT DISTINCT FROM")),
]


def conditions(d: Drawing, columns: Columns, depth: int = 2) -> Text:
    """Return a condition."""
    kinds = ["compare", "compare", "between", "in", "null", "like", "key"]
    kinds += ["region"] * 4 if columns.position else []
    kinds += ["boolean"] if columns.booleans else []
    kinds += ["and", "or", "not"] if depth else []
    kind = d.pick(kinds)
    if kind in {"and", "or"}:
        word = Text(d.pick([kind.upper(), "&&"]) if kind == "and" else "OR", kind.upper())
        return text_of("({} {} {})", conditions(d, columns, depth - 1), word, conditions(d, columns, depth - 1))
    if kind == "not":
        form = d.pick(["NOT ({})", "NOT ({})", "({}) IS NOT TRUE", "({}) IS FALSE"])
        return text_of(form, conditions(d, columns, depth - 1))
    if kind == "region" and columns.position:
        return regions(d, columns.position)
    if kind == "boolean":
        return _truth(d, columns)
    if kind == "like":
        return _like(d, columns)
    if kind == "null":
        return text_of(f"{{}} IS {d.pick(['', 'NOT ', 'NOT '])}NULL", d.pick(columns.numbers + columns.texts))
    if kind == "in":
        one = d.pick(columns.integers + columns.texts)
        listed = [d.constant(one, whole=True) for _ in range(d.whole(1, 4))]
        return text_of(f"{{}} {d.pick(['', 'NOT '])}IN ({', '.join('{}' for _ in listed)})", one, *listed)
    if kind == "key":
        return _key(d, columns)
    return _compared(d, columns, kind)


_TRUTHS = [
    ("{0} = 1", "{0}"),
    ("{0} = 0", "NOT {0}"),
    ("{0}", "{1} = 1"),
    ("NOT {0}", "{1} = 0"),
    ("0 = {0}", "{1} = 0"),
    ("{0} <> 0", "{1} <> 0"),
    ("{0} >= 0", "{1} >= 0"),
    ("{0} = 'true'", "{1} = 1"),
    ("{0} <> ' F '", "{1} <> 0"),
    ("{0} IN (0, 1)", "{1} IN (0, 1)"),
    ("{0} NOT IN ('true')", "{1} NOT IN (1)"),
    ("{0} IN (FALSE, {2})", "{1} IN (0, {2})"),
    ("{0} BETWEEN 1 AND 3", "{1} BETWEEN 1 AND 3"),
    ("{0} < {2}", "{1} < {2}"),
    ("{0} = ({2} > 1)", "{1} = ({2} > 1)::integer"),
    ("{0} + ({2} > 1) = 2", "{1} + ({2} > 1)::integer = 2"),
    ("COALESCE({0}, 0) = 0", "COALESCE({1}, 0) = 0"),
    ("CASE {0} WHEN 1 THEN {2} ELSE 5 END > 1", "CASE {1} WHEN 1 THEN {2} ELSE 5 END > 1"),
]
"""Conditions on what is true or false; for the plain server beside it as 1 or 0, and a whole number."""


def _truth(d: Drawing, columns: Columns) -> Text:
    one, whole = d.pick(columns.booleans), d.pick(columns.integers)
    adql, sql = d.pick(_TRUTHS)
    return Text(
        f"({adql.format(one.adql, '', whole.adql)})", f"({sql.format(one.sql, f'({one.sql})::integer', whole.sql)})"
    )


def _compared(d: Drawing, columns: Columns, kind: str) -> Text:
    one = numbers(d, columns, 1, of_rows=True)
    if kind == "between":
        low, high = d.constant(one), d.constant(one)
        if float(low.adql) > float(high.adql):
            low, high = high, low
        return text_of("{} BETWEEN {} AND {}", one, low, high)
    other = numbers(d, columns, 0) if d.seldom(3) else d.constant(one)
    return text_of("{} {} {}", one, d.pick(_COMPARISONS), other)


def _like(d: Drawing, columns: Columns) -> Text:
    """Return that a text has a pattern: mostly one of a value of its column; or that a number has."""
    if d.seldom(6):
        number = d.pick(columns.integers)
        pattern = d.pick(["1%", "%7", "_", "%0%", "-%"])
        return Text(f"{number.adql} LIKE '{pattern}'", f"({number.sql})::text LIKE '{pattern}'")
    one = d.pick([d.pick(columns.texts), cut_texts(d, columns)])
    pattern = d.pick(_PATTERNS)
    if one.column and not d.seldom(3):
        value = d.constant(one).adql[1:-1].replace("''", "'")
        pattern = d.pick([value[:1] + "%", "%" + value[-2:], "_" + value[1:], value]).replace("'", "''")
    return text_of(f"{{}} LIKE '{pattern}'", one)


def _key(d: Drawing, columns: Columns) -> Text:
    """Return a condition on an id, which some row has in most cases."""
    one = d.pick([columns.unique, *(c for c in columns.integers if c.column in OBJECT_IDS)])
    step = 7 if one.column in OBJECT_IDS else 3
    first = int(d.pick(d.constants.values[one.column]))
    second = first + 5 * step * d.whole(1, 50)
    form = d.pick(["{0} = {1}", "{0} = {1}", "{0} IN ({1}, {2})", "{0} BETWEEN {1} AND {2}"])
    return Text(*(form.format(text, first, second) for text in (one.adql, one.sql)))


_HOLDS = ["1 = {}", "{} = 1", "{}"]
"""How what answers 1 or 0 is a condition."""


def regions(d: Drawing, position: tuple[Text, Text]) -> Text:
    """Return a condition on the place."""
    ra, dec = position
    lon, lat, size = _place(d)
    kind = d.pick(["circle", "distance", "box", "polygon", "between", "bounds", "relation", "relation"])
    separation = f"oracle.separation({ra.sql}, {dec.sql}, {lon}, {lat})"
    if kind == "circle":
        shape = d.pick(
            [
                f"CONTAINS(POINT('ICRS', {ra.adql}, {dec.adql}), CIRCLE('ICRS', {lon}, {lat}, {size}))",
                f"scisql_s2PtInCircle({ra.adql}, {dec.adql}, {lon}, {lat}, {size})",
            ]
        )
        return Text(d.pick(_HOLDS).format(shape), f"{separation} <= {size}")
    if kind == "distance":
        operator = d.pick(["<", "<=", ">"])
        form = d.pick(["DISTANCE(POINT({0}, {1}), POINT({2}, {3}))", "DISTANCE({2}, {3}, {0}, {1})"])
        return Text(f"{form.format(ra.adql, dec.adql, lon, lat)} {operator} {size}", f"{separation} {operator} {size}")
    if kind == "box":
        height = d.pick([8.0, 0.9, 0.01, size])
        shape = f"CONTAINS(POINT({ra.adql}, {dec.adql}), BOX({lon}, {lat}, {size}, {height}))"
        return Text(d.pick(_HOLDS).format(shape), f"oracle.in_box({ra.sql}, {dec.sql}, {lon}, {lat}, {size}, {height})")
    if kind == "polygon":
        flat = _corners(lon, lat, size)
        return Text(
            d.pick(_HOLDS).format(f"CONTAINS(POINT({ra.adql}, {dec.adql}), POLYGON({flat}))"),
            f"oracle.in_triangle({ra.sql}, {dec.sql}, {flat})",
        )
    if kind == "relation":
        return _relations(d, position, (lon, lat, size))
    if kind == "between":
        west, south = max(0.0, lon - size), max(-90.0, lat - size)
        bounds = f"({{}} BETWEEN {west} AND {lon + size} AND {{}} BETWEEN {south} AND {lat + size})"
        return text_of(bounds, ra, dec)
    which, value = d.pick([(ra, lon), (dec, lat)])
    return text_of(f"{{}} {d.pick(['<', '>', '<=', '>='])} {value}", which)


def areas(d: Drawing, columns: Columns) -> Text:
    """Return Qserv's restriction of all tables."""
    adql, inside = d.pick([_circle, _polygon, _bounds])(*_place(d))
    return Text(d.pick(["{}", "{} = 1"]).format(adql), " AND ".join(area(inside) for area in columns.areas))


def _circle(lon: float, lat: float, size: float) -> tuple[str, Inside]:
    """Return a circle as Qserv's area and, of a position, for the plain server."""
    return (
        f"qserv_areaspec_circle({lon}, {lat}, {size})",
        lambda ra, dec: f"oracle.separation({ra}, {dec}, {lon}, {lat}) <= {size}",
    )


def _polygon(lon: float, lat: float, size: float) -> tuple[str, Inside]:
    """Return a triangle as ``_circle`` does a circle."""
    flat = _corners(lon, lat, size)
    return f"qserv_areaspec_poly({flat})", lambda ra, dec: f"oracle.in_triangle({ra}, {dec}, {flat})"


def _bounds(lon: float, lat: float, size: float) -> tuple[str, Inside]:
    """Return bounds of both coordinates as ``_circle`` does a circle."""
    west, east = round((lon - size) % 360, 6), round((lon + size) % 360, 6)
    south, north = round(max(-90.0, lat - size), 6), round(min(90.0, lat + size), 6)
    both = "AND" if west <= east else "OR"
    return (
        f"qserv_areaspec_box({west}, {south}, {east}, {north})",
        lambda ra, dec: f"(({ra} >= {west} {both} {ra} <= {east}) AND {dec} BETWEEN {south} AND {north})",
    )


def _place(d: Drawing) -> tuple[float, float, float]:
    """Return a place and a radius: mostly of the catalogue, so that there are rows, else one that is hard."""
    if d.seldom(6):
        lon = d.pick([0.0, 359.9, 10.0, 11.0, 45.0, 90.0, 180.0, 315.0, 200.0])
        lat = d.pick([0.0, -30.0, -29.5, 44.9, -70.0, 89.7, -89.5, 41.8])
        return lon, lat, d.pick([25.0, 3.0, 0.7, 0.05, 0.002])
    lon, lat = d.pick(d.constants.places)
    return lon, lat, min(25.0, d.pick(d.constants.sizes))


def _corners(lon: float, lat: float, size: float) -> str:
    """Return the corners of a triangle around a place, as wide as high, also near a pole."""
    lat = max(-88.0, min(88.0, lat))
    far = min(size, 8.0, 89.0 - abs(lat))
    wide = min(far / math.cos(math.radians(lat)), 60.0)
    corners = [(lon + wide, lat - far / 3), (lon, lat + far), (lon - wide, lat - far)]
    return ", ".join(f"{round(x % 360, 6)}, {round(y, 6)}" for x, y in corners)


def _relations(d: Drawing, position: tuple[Text, Text], place: tuple[float, float, float]) -> Text:
    """Return that a circle around the row's place meets a shape, or lies in one."""
    (ra, dec), (lon, lat, size) = position, place
    name, form = d.pick(["INTERSECTS", "CONTAINS"]), d.pick([*_HOLDS, "{} = 0", "NOT {}"])
    reach = d.pick([0.0, 0.01, round(size / 3, 4), 6.0])
    around = f"CIRCLE({ra.adql}, {dec.adql}, {reach})"
    if d.flag():
        shape = d.pick([f"CIRCLE({lon}, {lat}, {size})", f"REGION('Circle ICRS {lon} {lat} {size}')"])
        apart, own = f"oracle.separation({ra.sql}, {dec.sql}, {lon}, {lat})", size
    else:
        flat = _corners(lon, lat, size)
        shape = f"POLYGON({flat})"
        apart, own = f"oracle.from_triangle({ra.sql}, {dec.sql}, {flat})", 0.0
    pair = f"{around}, {shape}" if name == "CONTAINS" or d.flag() else f"{shape}, {around}"
    truth = f"({apart} <= {own} {'+' if name == 'INTERSECTS' else '-'} {reach})"
    return Text(form.format(f"{name}({pair})"), truth if form in _HOLDS else f"(NOT {truth})")
