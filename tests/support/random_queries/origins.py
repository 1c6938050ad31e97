"""What a random query reads: a table, an upload, or a join of some, with the columns that there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from support.random_queries.columns import (
    Area,
    Columns,
    both,
    detection_columns,
    folded,
    object_columns,
    same,
    source_columns,
    truth_columns,
    upload_columns,
)
from support.random_queries.conditions import conditions
from support.random_queries.drawing import Drawing, Text, near, text_of

Origin = tuple[Text, Columns]


def origins(d: Drawing) -> Origin:
    """Return what follows FROM, and the columns."""
    kinds = [one for one, weight in _ORIGINS.items() for _ in range(weight)]
    return d.pick(kinds + [_detection] * 4 if d.database == "gaps" else kinds)(d)


def _table(d: Drawing, name: str, alias: str = "") -> Text:
    written = f"`{d.database}`.`{name}`" if d.seldom(12) else f"{d.database}.{name}"
    called = alias and f" {alias}"
    return Text(f"{written}{called}", f'"{d.database}"."{name.lower()}"{called}')


def _key(first: str, second: str) -> Text:
    return Text(f"{first} = {second}", f"{folded(first)} = {folded(second)}")


def _equal(d: Drawing, first: str, second: str) -> Text:
    """Return that two keys are equal, or both NULL."""
    if d.seldom(6):
        return Text(f"{first} <=> {second}", f"{folded(first)} IS NOT DISTINCT FROM {folded(second)}")
    return _key(first, second)


def _object(d: Drawing) -> Origin:
    return _table(d, "Object"), replace(object_columns(), areas=(_area("coord_ra", "coord_dec"),))


def _source(d: Drawing) -> Origin:
    return _table(d, "Source"), replace(source_columns(), areas=(_area_of_source(d, "source"),))


def _area(ra: str, dec: str) -> Area:
    return lambda inside: inside(ra, dec)


def _area_of_source(d: Drawing, alias: str) -> Area:
    """Return the area of a source: by its own position where it has one, else by that of its object."""
    if d.database == "gaps":
        return _area(f"{alias}.s_ra", f"{alias}.s_dec")
    director = f'"{d.database}"."object" y WHERE y.objectid = {alias}.objectid'
    return lambda inside: f"EXISTS (SELECT 1 FROM {director} AND {inside('y.coord_ra', 'y.coord_dec')})"


def _join(d: Drawing) -> Origin:
    form = d.pick(["{0} AS o JOIN {1} AS s ON {2}", "{1} s INNER JOIN {0} o ON {2}"])
    origin = text_of(form, _table(d, "Object"), _table(d, "Source"), _equal(d, "o.objectId", "s.objectId"))
    areas = (_area("o.coord_ra", "o.coord_dec"), _area_of_source(d, "s"))
    return origin, replace(both(object_columns("o."), source_columns("s.")), areas=areas)


def _three(d: Drawing) -> Origin:
    origin, columns = _join(d)
    origin = text_of("{} JOIN {} ON {}", origin, _table(d, "Visit", "v"), _equal(d, "s.visit", "v.visit"))
    return origin, replace(columns, numbers=columns.numbers + same("v.seeing"))


def _ref(d: Drawing) -> Origin:
    side = d.pick(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
    columns = source_columns("s.")
    columns = replace(
        columns,
        numbers=columns.numbers + same("v.seeing"),
        texts=columns.texts + same("v.site"),
        has_unique=side == "JOIN",
    )
    tables = _table(d, "Source", "s"), _table(d, "Visit", "v")
    return text_of(f"{{}} {side} {{}} ON {{}}", *tables, _key("s.visit", "v.visit")), columns


def _moved(d: Drawing) -> Origin:
    """Return a join without the key: the rows are brought together."""
    o, s = _table(d, "Object", "o"), _table(d, "Source", "s")
    apart = Text("s.visit = o.n AND o.k = 0 AND o.n < 3", '"s"."visit" = "o"."n" AND "o"."k" = 0 AND "o"."n" < 3')
    side = d.pick(["JOIN", "LEFT JOIN", "RIGHT JOIN"])
    if d.flag():
        # few rows of one side: they are brought to the chunks of the other
        few = d.pick(["o.objectId", "s.objectId"])
        ids = ", ".join(d.pick(d.constants.values["objectId"]) for _ in range(3))
        apart = Text(f"s.visit = o.n AND {few} IN ({ids})", f'"s"."visit" = "o"."n" AND {folded(few)} IN ({ids})')
    columns = both(object_columns("o."), source_columns("s."))
    return text_of(f"{{}} {side} {{}} ON {{}}", o, s, apart), replace(columns, has_unique=False)


def _outer_join(d: Drawing) -> Origin:
    side = d.pick(["LEFT", "RIGHT", "FULL", "LEFT OUTER"])
    form = d.pick([f"{{0}} o {side} JOIN {{1}} s ON {{2}}", f"{{1}} s {side} JOIN {{0}} o ON {{2}}"])
    on = _key("o.objectId", "s.objectId")
    if side != "FULL" and d.flag():
        on = text_of("{} AND {}", on, conditions(d, source_columns("s."), 0))
    columns = both(object_columns("o."), source_columns("s."))
    return text_of(form, _table(d, "Object"), _table(d, "Source"), on), replace(columns, has_unique=False)


def _upload(d: Drawing) -> Origin:
    """Return an upload alone, or joined with tables of the catalogue by key and by place, inner and outer."""
    kind = d.pick(["alone", "key", "child", "near", "near", "near", "ref", "ref_near", "chain", "chain"])
    mine = Text(f"TAP_UPLOAD.{d.database}_u u", f'"TAP_UPLOAD"."{d.database}_u" u')
    if kind == "alone":
        return mine, upload_columns("u.")
    if kind == "ref_near":
        return _ref_near(d)
    ties = {
        "key": Text("o.objectId = u.target", "o.objectId = u.target"),
        "child": Text("u.target = s.objectId", "u.target = s.objectId"),
        "ref": Text("u.uid = v.visit", "u.uid = v.visit"),
    }
    on = ties.get(kind) or _upload_near(d)
    side = d.pick(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", *(["FULL JOIN"] if kind in ties else [])])
    table, columns = {
        "child": (_table(d, "Source", "s"), source_columns("s.")),
        "ref": (_table(d, "Visit", "v"), upload_columns("u.")),
    }.get(kind, (_table(d, "Object", "o"), object_columns("o.")))
    if side != "FULL JOIN" and d.seldom(4):
        on = text_of("{} AND {}", on, conditions(d, upload_columns("u."), 0))
    origin = text_of(f"{{}} {side} {{}} ON {{}}", *d.pick([(mine, table), (table, mine)]), on)
    if kind == "chain":
        origin, child = _with_child(d, origin, "o")
        columns = both(columns, child) if d.flag() else columns
    return origin, replace(both(columns, upload_columns("u.")), has_unique=False)


def _with_child(d: Drawing, origin: Text, alias: str) -> Origin:
    """Return a join with the sources of an object, and their columns."""
    side, tie = d.pick(["JOIN", "LEFT JOIN", "RIGHT JOIN"]), f"s.objectId = {alias}.objectId"
    return text_of(f"{{}} {side} {{}} ON {{}}", origin, _table(d, "Source", "s"), Text(tie, tie)), source_columns("s.")


def _ref_near(d: Drawing) -> Origin:
    """Return a join with a ref table whose rows are places by an expression."""
    separation = "(o.coord_ra, o.coord_dec, 30.0 * v.visit, 40 * v.seeing - 45)"
    near = Text(f"DISTANCE{separation} < 12", f"oracle.separation{separation} < 12")
    side = d.pick(["JOIN", "LEFT JOIN", "RIGHT JOIN"])
    origin = text_of(f"{{}} {side} {{}} ON {{}}", _table(d, "Object", "o"), _table(d, "Visit", "v"), near)
    return origin, replace(object_columns("o."), numbers=same("v.seeing"), has_unique=False)


_OBJECT_PLACE = ("o.coord_ra", "o.coord_dec")

_UPLOAD_FORMS = [
    "DISTANCE(POINT(o.coord_ra, o.coord_dec), POINT(u.u_ra, u.u_dec)) < {}",
    "{} >= DISTANCE(u.u_ra, u.u_dec, o.coord_ra, o.coord_dec)",
    "1 = CONTAINS(POINT('ICRS', u.u_ra, u.u_dec), CIRCLE('ICRS', o.coord_ra, o.coord_dec, {}))",
    "CONTAINS(POINT(o.coord_ra, o.coord_dec), CIRCLE(u.u_ra, u.u_dec, {})) = 1",
    "scisql_angSep(o.coord_ra, o.coord_dec, u.u_ra + 0, u.u_dec) <= {}",
]


def _upload_near(d: Drawing) -> Text:
    """Return that an object is near an uploaded position: a radius for all, one of the row's own, in any form."""
    radius = d.pick(["0.05", "0.006", "0.0007", "1e-7", "2.0", "35.0", "u.radius / 3600", "u.radius / 60"])
    form = d.pick(_UPLOAD_FORMS)
    operator = "<" if form.endswith("< {}") else "<="
    return Text(form.format(radius), near(_OBJECT_PLACE, ("u.u_ra", "u.u_dec"), f"{operator} {radius}"))


def _match(d: Drawing) -> Origin:
    """Return a match table with one or both of its directors, in any order, inner and outer."""
    texts = {
        "o": _table(d, "Object", "o"),
        "m": _table(d, d.pick(["Pairs", "Pairs", "FarPairs"]), "m"),
        "t": _table(d, "Truth", "t"),
    }
    ties = {"o": "o.objectId = m.objectId", "t": "m.truthId = t.truthId"}
    order = d.pick(["omt", "mot", "mto", "tmo", "mt", "tm", "om", "mo"])
    columns = truth_columns("t.") if "t" in order else object_columns("o.")
    if "o" in order and "t" in order:
        columns = both(object_columns("o."), columns)
        columns = replace(columns, position=d.pick([columns.position, truth_columns("t.").position]))
    rank, keys = same("m.rank"), tuple(d.some(same("m.objectId", "m.truthId"), 2, 2))
    integers = d.pick([(*columns.integers, *rank, *keys), (*keys, *rank, *columns.integers)])
    origin = texts[order[0]]
    for before, alias in pairwise(order):
        join = d.pick(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        on = Text(*[ties[before if alias == "m" else alias]] * 2)
        if join in {"JOIN", "LEFT JOIN"} and d.seldom(4):
            extra = conditions(d, truth_columns("t."), 0) if alias == "t" else Text("m.rank > 0", "m.rank > 0")
            on = text_of("{} AND {}", on, extra)
        origin = text_of(f"{{}} {join} {{}} ON {{}}", origin, texts[alias], on)
    return origin, replace(columns, numbers=columns.numbers + rank, integers=integers, has_unique=False)


def _detection(d: Drawing) -> Origin:
    """Return a director whose ids repeat: alone, joined by id with itself and with others, or by place."""
    table, columns = _table(d, "Detection", "d"), detection_columns("d.")
    kind = d.pick(["alone", "alone", "self", "object", "object", "source", "near", "near"])
    if kind == "alone":
        return table, columns
    other, tie, further = {
        "self": (_table(d, "Detection", "e"), "d.detId = e.detId AND d.number < e.number", detection_columns("e.")),
        "object": (_table(d, "Object", "o"), "o.objectId = d.detId", object_columns("o.")),
        "source": (_table(d, "Source", "s"), "s.objectId = d.detId", source_columns("s.")),
        "near": (
            _table(d, "Object", "o"),
            "DISTANCE(o.coord_ra, o.coord_dec, d.d_ra, d.d_dec) < 0.004",
            object_columns("o."),
        ),
    }[kind]
    on = Text(tie, near(_OBJECT_PLACE, ("d.d_ra", "d.d_dec"), "< 0.004") if kind == "near" else tie)
    side = d.pick(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN"])
    origin = text_of(f"{{}} {side} {{}} ON {{}}", *d.pick([(table, other), (other, table)]), on)
    return origin, replace(both(columns, further), has_unique=False)


def _near(d: Drawing) -> Origin:
    """Return pairs near each other, within the overlap of 60 arcsec and beyond it; some with a child of one side."""
    child = d.pick(["", "", "o", "p"])
    other = "Object" if child == "p" else d.pick(["Object", "Object", "Truth"])
    ra, dec = {"Object": ("p.coord_ra", "p.coord_dec"), "Truth": ("p.t_ra", "p.t_dec")}[other]
    radius = d.pick([0.003, 0.0002] if child else [0.003, 0.0002, 0.0166, 0.0166, 0.05])
    form = d.pick(
        [
            f"DISTANCE(POINT(o.coord_ra, o.coord_dec), POINT({ra}, {dec})) < {radius}",
            f"{radius} >= DISTANCE({ra}, {dec}, o.coord_ra, o.coord_dec)",
            f"1 = CONTAINS(POINT('ICRS', {ra}, {dec}), CIRCLE('ICRS', o.coord_ra, o.coord_dec, {radius}))",
        ]
    )
    operator = "<" if "< " in form else "<="
    on = Text(form, near(_OBJECT_PLACE, (ra, dec), f"{operator} {radius}"))
    side = d.pick(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN"])
    origin = text_of(f"{{}} {side} {{}} ON {{}}", _table(d, "Object", "o"), _table(d, other, "p"), on)
    columns = both(object_columns("o."), object_columns("p.") if other == "Object" else truth_columns("p."))
    if child:
        origin, further = _with_child(d, origin, child)
        columns = both(columns, further)
    return origin, replace(columns, has_unique=False)


_ORIGINS: dict[Callable[[Drawing], Origin], int] = {
    _object: 3,
    _source: 2,
    _join: 3,
    _ref: 2,
    _three: 2,
    _outer_join: 2,
    _moved: 1,
    _near: 2,
    _match: 2,
    _upload: 3,
}
"""How often each kind of origin is drawn."""
