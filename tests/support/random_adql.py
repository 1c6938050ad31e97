"""Random queries, each in ADQL and, written independently of our translation, in PostgreSQL's SQL.

Both texts are made side by side from one grammar, so a mistake in the translation shows as a difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import strategies as st


@dataclass(frozen=True)
class Text:
    """The same thing in both languages."""

    adql: str
    sql: str


@dataclass(frozen=True)
class RandomQuery:
    """A query, and how its answers are compared."""

    adql: str
    sql: str
    ordered: bool = False
    """Whether the order of the rows is fixed."""

    any_of: str = ""
    """SQL of all rows, when any TOP n of them are right."""

    top: int = 0


@dataclass(frozen=True)
class Columns:
    """Columns that an expression may use."""

    numbers: tuple[Text, ...]
    integers: tuple[Text, ...]
    texts: tuple[Text, ...]
    booleans: tuple[Text, ...]
    unique: Text
    position: tuple[Text, Text] | None
    has_unique: bool = True
    """Whether ``unique`` tells every row from every other; not after an outer join."""


def _same(*names: str) -> tuple[Text, ...]:
    return tuple(Text(name, _folded(name)) for name in names)


def _folded(name: str) -> str:
    return ".".join(f'"{part.lower()}"' for part in name.split("."))


def object_columns(prefix: str = "") -> Columns:
    """Return the columns of Object."""
    p = prefix
    return Columns(
        numbers=_same(f"{p}gFlux", f"{p}rFlux", f"{p}n", f"{p}k", f"{p}coord_dec"),
        integers=_same(f"{p}n", f"{p}k", f"{p}objectId"),
        texts=_same(f"{p}label"),
        booleans=_same(f"{p}isPrimary"),
        unique=_same(f"{p}objectId")[0],
        position=(_same(f"{p}coord_ra")[0], _same(f"{p}coord_dec")[0]),
    )


def source_columns(prefix: str = "") -> Columns:
    """Return the columns of Source."""
    p = prefix
    return Columns(
        numbers=_same(f"{p}flux", f"{p}visit"),
        integers=_same(f"{p}visit", f"{p}sourceId", f"{p}objectId"),
        texts=_same(f"{p}band"),
        booleans=(),
        unique=_same(f"{p}sourceId")[0],
        position=None,
    )


def both(first: Columns, second: Columns) -> Columns:
    """Return the columns of a join; rows are told apart by the second's key."""
    return Columns(
        numbers=first.numbers + second.numbers,
        integers=first.integers + second.integers,
        texts=first.texts + second.texts,
        booleans=first.booleans + second.booleans,
        unique=second.unique,
        position=first.position,
    )


_reals = st.sampled_from(["0.5", "1.25", "3.0", "40.5", "1e2", "150.75"])
_wholes = st.integers(-6, 25)


def _real(text: str) -> Text:
    return Text(text, f"{text}::float8")


def _whole(value: int) -> Text:
    return Text(str(value), f"({value})")


@st.composite
def numbers(draw: st.DrawFn, columns: Columns, depth: int = 2) -> Text:
    """A numeric expression that never fails, whatever the rows."""
    kinds = ["column", "column", "column", "literal", "arithmetic", "function", "case", "bits", "cast", "unit"]
    kind = draw(st.sampled_from(kinds))
    if depth == 0 or kind == "column":
        return draw(st.sampled_from(columns.numbers))
    if kind == "bits":
        return draw(_bits(columns))
    if kind == "unit":
        return draw(_converted(columns))
    if kind == "literal":
        return draw(st.one_of(_reals.map(_real), _wholes.map(_whole)))
    inner = numbers(columns, depth - 1)
    if kind == "arithmetic":
        operator = draw(st.sampled_from("+-*"))
        left, right = draw(inner), draw(inner)
        return Text(f"({left.adql} {operator} {right.adql})", f"({left.sql} {operator} {right.sql})")
    one = draw(inner)
    if kind == "cast":
        target = draw(st.sampled_from([("DOUBLE PRECISION", "float8"), ("FLOAT", "float8")]))
        return Text(f"CAST({one.adql} AS {target[0]})", f"({one.sql})::{target[1]}")
    if kind == "case":
        default = draw(_wholes)
        return Text(f"COALESCE({one.adql}, {default})", f"COALESCE({one.sql}, ({default}))")
    name = draw(
        st.sampled_from(
            [
                "ABS",
                "FLOOR",
                "CEILING",
                "SQRT",
                "LOG",
                "LOG10",
                "ROUND",
                "DEGREES",
                "SIN",
                "DIV",
                "NULLIF",
                "WIDTH_BUCKET",
            ]
        )
    )
    safe = f"abs({one.sql})::float8"
    forms = {
        "ABS": (f"ABS({one.adql})", f"abs({one.sql})"),
        "FLOOR": (f"FLOOR({one.adql})", f"floor(({one.sql})::float8)"),
        "CEILING": (f"CEILING({one.adql})", f"ceiling(({one.sql})::float8)"),
        "SQRT": (f"SQRT(ABS({one.adql}))", f"sqrt({safe})"),
        "LOG": (f"LOG(1 + ABS({one.adql}))", f"ln(1 + {safe})"),
        "LOG10": (f"LOG10(1.0 + ABS({one.adql}))", f"log(1.0::float8 + {safe})"),
        "ROUND": (f"ROUND({one.adql})", f"round(({one.sql})::float8)"),
        "DEGREES": (f"DEGREES({one.adql})", f"degrees(({one.sql})::float8)"),
        "SIN": (f"SIN({one.adql})", f"sin(({one.sql})::float8)"),
        "DIV": (f"({one.adql} / 4)", f"({one.sql} / 4)"),
        "NULLIF": (f"NULLIF({one.adql}, 3)", f"nullif({one.sql}, 3)"),
        "WIDTH_BUCKET": (
            f"WIDTH_BUCKET({one.adql}, -5, 100, 7)",
            f"width_bucket(({one.sql})::float8, -5::float8, 100::float8, 7)",
        ),
    }
    return Text(*forms[name])


@st.composite
def _bits(draw: st.DrawFn, columns: Columns) -> Text:
    """Bit operators of whole numbers, without brackets: how they bind is PostgreSQL's."""
    parts = draw(st.lists(st.sampled_from(columns.integers), min_size=1, max_size=3))
    text = Text(parts[0].adql, parts[0].sql)
    if draw(st.booleans()):
        text = Text(f"~{text.adql}", f"~{text.sql}")
    for part in parts[1:]:
        operator = draw(st.sampled_from(["&", "|", "^", "#"]))
        text = Text(f"{text.adql} {operator} {part.adql}", f"{text.sql} {operator.replace('^', '#')} {part.sql}")
    mask = draw(st.integers(0, 255))
    text = Text(f"{text.adql} & 0x{mask:X}", f"{text.sql} & {mask}")
    if draw(st.booleans()):
        shift, by = draw(st.sampled_from(["<<", ">>"])), draw(st.integers(0, 40))
        text = Text(f"{text.adql} {shift} {by}", f"{text.sql} {shift} {by}")
    return Text(f"({text.adql})", f"({text.sql})")


_UNITS = {"coord_dec": ("arcsec", 3600.0), "gFlux": ("uJy", 1e-3), "rFlux": ("pJy", 1000.0)}
"""Columns that have a unit, with another one and how much of it one is."""


@st.composite
def _converted(draw: st.DrawFn, columns: Columns) -> Text:
    """A column in another unit."""
    known = [one for one in columns.numbers if one.adql.split(".")[-1] in _UNITS]
    if not known:
        return draw(st.sampled_from(columns.numbers))
    one = draw(st.sampled_from(known))
    unit, factor = _UNITS[one.adql.split(".")[-1]]
    return Text(f"IN_UNIT({one.adql}, '{unit}')", f"(({one.sql})::float8 * {factor!r}::float8)")


@st.composite
def regions(draw: st.DrawFn, position: tuple[Text, Text]) -> Text:
    """A condition on the place."""
    ra, dec = position
    lon = draw(st.sampled_from([0.0, 359.9, 10.0, 11.0, 45.0, 90.0, 180.0, 315.0, 200.0]))
    lat = draw(st.sampled_from([-30.0, -29.5, 44.9, 0.0, -70.0, 89.7, -89.5, 41.8]))
    size = draw(st.sampled_from([0.002, 0.05, 0.7, 3.0, 25.0]))
    kind = draw(st.sampled_from(["circle", "distance", "box", "polygon", "between", "bounds", "relation", "relation"]))
    separation = f"oracle.separation({ra.sql}, {dec.sql}, {lon}, {lat})"
    if kind == "circle":
        form = draw(st.sampled_from(["1 = {}", "{} = 1"]))
        shape = f"CONTAINS(POINT('ICRS', {ra.adql}, {dec.adql}), CIRCLE('ICRS', {lon}, {lat}, {size}))"
        return Text(form.format(shape), f"{separation} <= {size}")
    if kind == "distance":
        operator = draw(st.sampled_from(["<", "<=", ">"]))
        form = draw(st.sampled_from(["DISTANCE(POINT({0}, {1}), POINT({2}, {3}))", "DISTANCE({2}, {3}, {0}, {1})"]))
        return Text(f"{form.format(ra.adql, dec.adql, lon, lat)} {operator} {size}", f"{separation} {operator} {size}")
    if kind == "box":
        height = draw(st.sampled_from([0.01, 0.9, 8.0]))
        shape = f"CONTAINS(POINT({ra.adql}, {dec.adql}), BOX({lon}, {lat}, {size}, {height}))"
        return Text(f"1 = {shape}", f"oracle.in_box({ra.sql}, {dec.sql}, {lon}, {lat}, {size}, {height})")
    if kind == "polygon":
        lat = max(-80.0, min(80.0, lat))
        far = min(size, 8.0)
        corners = [(lon + far, lat), (lon, lat + far), (lon - far, lat - far / 3)]
        flat = ", ".join(f"{x % 360}, {y}" for x, y in corners)
        return Text(
            f"1 = CONTAINS(POINT({ra.adql}, {dec.adql}), POLYGON({flat}))",
            f"oracle.in_triangle({ra.sql}, {dec.sql}, {flat})",
        )
    if kind == "relation":
        return draw(_relations(position, lon, max(-80.0, min(80.0, lat)), size))
    if kind == "between":
        west, south = max(0.0, lon - size), max(-90.0, lat - size)
        text = "{0} BETWEEN {2} AND {3} AND {1} BETWEEN {4} AND {5}"
        numbers_ = (west, lon + size, south, lat + size)
        return Text(
            "(" + text.format(ra.adql, dec.adql, *numbers_) + ")", "(" + text.format(ra.sql, dec.sql, *numbers_) + ")"
        )
    operator = draw(st.sampled_from(["<", ">", "<=", ">="]))
    which, value = draw(st.sampled_from([(ra, lon), (dec, lat)]))
    return Text(f"{which.adql} {operator} {value}", f"{which.sql} {operator} {value}")


@st.composite
def _cut_texts(draw: st.DrawFn, columns: Columns) -> Text:
    """A text or a number as a text of some length."""
    one = draw(st.sampled_from(columns.texts + columns.integers))
    length = draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["VARCHAR", "CHAR"]))
    return Text(f"CAST({one.adql} AS {kind}({length}))", f"CAST({one.sql} AS {kind}({length}))")


@st.composite
def _relations(draw: st.DrawFn, position: tuple[Text, Text], lon: float, lat: float, size: float) -> Text:
    """A circle around the place that a shape meets, or that lies in one."""
    ra, dec = position
    name = draw(st.sampled_from(["INTERSECTS", "CONTAINS"]))
    reach = draw(st.sampled_from([0.0, 0.01, 0.4, 6.0]))
    around = f"CIRCLE({ra.adql}, {dec.adql}, {reach})"
    form = draw(st.sampled_from(["1 = {}", "{} = 0"]))
    if draw(st.booleans()):
        shape = draw(st.sampled_from([f"CIRCLE({lon}, {lat}, {size})", f"REGION('Circle ICRS {lon} {lat} {size}')"]))
        apart, own = f"oracle.separation({ra.sql}, {dec.sql}, {lon}, {lat})", size
    else:
        far = min(size, 8.0)
        flat = [lon + far, lat, lon, lat + far, lon - far, lat - far / 3]
        shape = f"POLYGON({', '.join(map(str, flat))})"
        apart, own = f"oracle.from_triangle({ra.sql}, {dec.sql}, {', '.join(map(str, flat))})", 0.0
    pair = f"{around}, {shape}" if name == "CONTAINS" or draw(st.booleans()) else f"{shape}, {around}"
    truth = f"({apart} <= {own} {'+' if name == 'INTERSECTS' else '-'} {reach})"
    return Text(form.format(f"{name}({pair})"), truth if form == "1 = {}" else f"(NOT {truth})")


def _places(position: tuple[Text, Text]) -> tuple[Text, ...]:
    """Return shapes to select."""
    ra, dec = position
    known = f"{ra.sql} IS NOT NULL"
    return (
        Text(f"POINT({ra.adql}, {dec.adql})", f"CASE WHEN {known} THEN ARRAY[{ra.sql}, {dec.sql}] END"),
        Text(f"CIRCLE({ra.adql}, {dec.adql}, 2.5)", f"CASE WHEN {known} THEN ARRAY[{ra.sql}, {dec.sql}, 2.5] END"),
    )


_OBJECT_IDS = ("objectId", "detId")
"""How the names of columns that hold ids of objects end."""


@st.composite
def conditions(draw: st.DrawFn, columns: Columns, depth: int = 2) -> Text:
    """A condition."""
    kinds = ["compare", "compare", "between", "in", "null", "like", "key"]
    kinds += ["region"] * 4 if columns.position else []
    kinds += ["boolean"] if columns.booleans else []
    kinds += ["and", "or", "not"] if depth else []
    kind = draw(st.sampled_from(kinds))
    if kind in {"and", "or"}:
        a, b = draw(conditions(columns, depth - 1)), draw(conditions(columns, depth - 1))
        return Text(f"({a.adql} {kind.upper()} {b.adql})", f"({a.sql} {kind.upper()} {b.sql})")
    if kind == "not":
        one = draw(conditions(columns, depth - 1))
        return Text(f"NOT ({one.adql})", f"NOT ({one.sql})")
    if kind == "region" and columns.position:
        return draw(regions(columns.position))
    if kind == "boolean":
        one = draw(st.sampled_from(columns.booleans))
        value = draw(st.sampled_from([0, 1]))
        return Text(f"{one.adql} = {value}", one.sql if value else f"NOT {one.sql}")
    if kind == "like":
        one = draw(st.one_of(st.sampled_from(columns.texts), _cut_texts(columns)))
        pattern = draw(st.sampled_from(["%a", "b%", "_", "%%%", "o''%", "g"]))
        return Text(f"{one.adql} LIKE '{pattern}'", f"{one.sql} LIKE '{pattern}'")
    if kind == "null":
        one = draw(st.sampled_from(columns.numbers + columns.texts))
        negated = draw(st.sampled_from(["", "NOT "]))
        return Text(f"{one.adql} IS {negated}NULL", f"{one.sql} IS {negated}NULL")
    if kind == "in":
        one = draw(st.sampled_from(columns.integers))
        values = ", ".join(str(draw(_wholes)) for _ in range(draw(st.integers(1, 4))))
        negated = draw(st.sampled_from(["", "NOT "]))
        return Text(f"{one.adql} {negated}IN ({values})", f"{one.sql} {negated}IN ({values})")
    if kind == "key":
        one = draw(st.sampled_from([columns.unique, *(c for c in columns.integers if c.adql.endswith(_OBJECT_IDS))]))
        first, step = (1_000_000_000_000, 7) if one.adql.endswith(_OBJECT_IDS) else (5, 3)
        value = first + step * draw(st.integers(0, 300))
        form = draw(st.sampled_from(["{0} = {1}", "{0} = {1}", "{0} IN ({1}, {2})", "{0} BETWEEN {1} AND {2}"]))
        return Text(*(form.format(text, value, value + 5 * step) for text in (one.adql, one.sql)))
    one = draw(numbers(columns, 1))
    if kind == "between":
        low = draw(_wholes)
        high = low + draw(st.integers(0, 60))
        return Text(f"{one.adql} BETWEEN {low} AND {high}", f"{one.sql} BETWEEN {low} AND {high}")
    operator = draw(st.sampled_from(["<", "<=", "=", "<>", ">", ">="]))
    other = draw(st.one_of(_reals.map(_real), _wholes.map(_whole), numbers(columns, 0)))
    return Text(f"{one.adql} {operator} {other.adql}", f"{one.sql} {operator} {other.sql}")


@st.composite
def aggregates(draw: st.DrawFn, columns: Columns) -> Text:
    """An aggregate."""
    kind = draw(st.sampled_from(["count", "count_of", "distinct", "sum", "sum_whole", "avg", "min", "max", "ratio"]))
    if kind == "count":
        return Text("COUNT(*)", "COUNT(*)")
    if kind == "distinct":
        one = draw(st.sampled_from(columns.integers + columns.texts))
        return Text(f"COUNT(DISTINCT {one.adql})", f"COUNT(DISTINCT {one.sql})")
    if kind == "sum_whole":
        one = draw(st.sampled_from(columns.integers))
        return Text(f"SUM({one.adql})", f"SUM({one.sql})::bigint")
    one = draw(numbers(columns, 1))
    if kind == "count_of":
        return Text(f"COUNT({one.adql})", f"COUNT({one.sql})")
    if kind == "ratio":
        return Text(f"(MAX({one.adql}) - MIN({one.adql})) / 2.0", f"(MAX({one.sql}) - MIN({one.sql})) / 2.0::float8")
    if kind in {"sum", "avg"}:
        # of positive numbers: the order of summation must not show
        name = kind.upper()
        return Text(f"{name}(1.0 * ABS({one.adql}))", f"{name}((1.0::float8 * abs({one.sql})))")
    return Text(f"{kind.upper()}({one.adql})", f"{kind.upper()}({one.sql})")


@st.composite
def queries(draw: st.DrawFn, database: str) -> RandomQuery:
    """A query over one database whose plain tables stand in a schema of the same name."""
    origin, columns = draw(_origins(database))
    where = draw(st.one_of(st.none(), conditions(columns), conditions(columns)))
    if draw(st.integers(0, 3)) == 0:
        extras = [_in_query(database, columns), _exists(database, columns), _scalar(database, columns)]
        extras += [_upload_condition(database, columns)]
        if columns.position is not None:
            extras += [_near_subquery(database, columns.position)] * 2
        extra = draw(st.one_of(*extras))
        where = extra if where is None else Text(f"{where.adql} AND {extra.adql}", f"({where.sql}) AND {extra.sql}")
    tail = Text(
        f"FROM {origin.adql}" + (f" WHERE {where.adql}" if where else ""),
        f"FROM {origin.sql}" + (f" WHERE {where.sql}" if where else ""),
    )
    shapes = [
        "rows",
        "top",
        "any",
        "distinct",
        "total",
        "groups",
        "groups",
        "key_groups",
        "derived",
        "set",
        "with",
        "window",
    ]
    shape = draw(
        st.sampled_from(shapes if columns.has_unique else [one for one in shapes if one not in {"top", "window"}])
    )
    if shape in {"set", "with"}:
        return draw(_set(tail, columns) if shape == "set" else _with(tail, columns))
    if shape == "window":
        return draw(_windows(tail, columns))
    if shape in {"rows", "top", "any", "distinct"}:
        return draw(_rows(tail, columns, shape))
    if shape == "derived":
        return draw(_derived(tail, columns))
    return draw(_grouped(tail, columns, shape))


@st.composite
def _origins(draw: st.DrawFn, database: str) -> tuple[Text, Columns]:
    kinds = [
        "object",
        "object",
        "source",
        "join",
        "join",
        "ref",
        "three",
        "outer",
        "outer",
        "ref_outer",
        "moved",
        "near",
        "near",
        "match",
        "match",
        "upload",
        "upload",
        "upload",
    ]
    if database == "gaps":
        kinds += ["detection"] * 4
    kind = draw(st.sampled_from(kinds))
    if kind == "detection":
        return draw(_detection(database))
    tables = {
        name: Text(f"{database}.{name}", f'"{database}"."{name.lower()}"') for name in ("Object", "Source", "Visit")
    }
    o, s, v = tables["Object"], tables["Source"], tables["Visit"]
    if kind == "object":
        return o, object_columns()
    if kind == "source":
        return s, source_columns()
    joined = both(object_columns("o."), source_columns("s."))
    on = Text("o.objectId = s.objectId", '"o"."objectid" = "s"."objectid"')
    form = draw(st.sampled_from(["{0} AS o JOIN {1} AS s ON {2}", "{1} s INNER JOIN {0} o ON {2}"]))
    if kind == "near":
        return draw(_near(database))
    if kind == "match":
        return draw(_match(database))
    if kind == "upload":
        return draw(_upload(database, o, s, v))
    if kind == "outer":
        return draw(_outer_join(o, s, on, joined))
    if kind == "ref_outer":
        side = draw(st.sampled_from(["LEFT", "RIGHT", "FULL"]))
        columns = source_columns("s.")
        numbers_ = columns.numbers + _same("v.seeing")
        texts = (*columns.texts, *_same("v.site"))
        text = f"{{0}} s {side} JOIN {{1}} v ON {{2}}"
        visit = Text("s.visit = v.visit", '"s"."visit" = "v"."visit"')
        origin = Text(text.format(s.adql, v.adql, visit.adql), text.format(s.sql, v.sql, visit.sql))
        return origin, Columns(numbers_, columns.integers, texts, (), columns.unique, None, has_unique=False)
    if kind == "moved":
        # no key: the rows are brought together
        apart = Text("s.visit = o.n AND o.k = 0 AND o.n < 3", '"s"."visit" = "o"."n" AND "o"."k" = 0 AND "o"."n" < 3')
        side = draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN"]))
        if draw(st.booleans()):
            # few rows of one side: they are brought to the chunks of the other
            few = draw(st.sampled_from(["o.objectId", "s.objectId"]))
            ids = ", ".join(str(draw(st.integers(0, 600)) * 7 + 1_000_000_000_000) for _ in range(3))
            apart = Text(f"s.visit = o.n AND {few} IN ({ids})", f'"s"."visit" = "o"."n" AND {_folded(few)} IN ({ids})')
        origin = Text(f"{o.adql} o {side} {s.adql} s ON {apart.adql}", f"{o.sql} o {side} {s.sql} s ON {apart.sql}")
        return origin, replace(joined, has_unique=False)
    if kind == "join":
        return Text(form.format(o.adql, s.adql, on.adql), form.format(o.sql, s.sql, on.sql)), joined
    visit = Text("s.visit = v.visit", '"s"."visit" = "v"."visit"')
    numbers_ = _same("v.seeing")
    if kind == "ref":
        columns = source_columns("s.")
        columns = Columns(
            columns.numbers + numbers_, columns.integers, (*columns.texts, *_same("v.site")), (), columns.unique, None
        )
        return Text(f"{s.adql} s JOIN {v.adql} v ON {visit.adql}", f"{s.sql} s JOIN {v.sql} v ON {visit.sql}"), columns
    joined = Columns(
        joined.numbers + numbers_, joined.integers, joined.texts, joined.booleans, joined.unique, joined.position
    )
    text = form + " JOIN {3} v ON {4}"
    return Text(
        text.format(o.adql, s.adql, on.adql, v.adql, visit.adql), text.format(o.sql, s.sql, on.sql, v.sql, visit.sql)
    ), joined


def upload_columns(prefix: str = "") -> Columns:
    """Return the columns of an upload."""
    p = prefix
    return Columns(
        numbers=_same(f"{p}w", f"{p}u_dec"),
        integers=_same(f"{p}uid", f"{p}target"),
        texts=_same(f"{p}tag"),
        booleans=(),
        unique=_same(f"{p}uid")[0],
        position=None,
        has_unique=False,
    )


@st.composite
def _upload(draw: st.DrawFn, database: str, o: Text, s: Text, v: Text) -> tuple[Text, Columns]:
    """An upload alone, and joined with tables of the catalogue by key and by place, inner and outer, in any order."""
    mine = Text(f"TAP_UPLOAD.{database}_u u", f'"TAP_UPLOAD"."{database}_u" u')
    kind = draw(st.sampled_from(["alone", "key", "child", "near", "near", "near", "ref", "ref_near", "chain"]))
    if kind == "alone":
        return mine, upload_columns("u.")
    if kind == "ref_near":
        # a ref table whose rows are places by an expression
        separation = "(o.coord_ra, o.coord_dec, 30.0 * v.visit, 40 * v.seeing - 45)"
        side = draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN"]))
        origin = Text(
            f"{o.adql} o {side} {v.adql} v ON DISTANCE{separation} < 12",
            f"{o.sql} o {side} {v.sql} v ON oracle.separation{separation} < 12",
        )
        return origin, replace(object_columns("o."), numbers=_same("v.seeing"), has_unique=False)
    on = {
        "key": Text("o.objectId = u.target", "o.objectId = u.target"),
        "child": Text("u.target = s.objectId", "u.target = s.objectId"),
        "ref": Text("u.uid = v.visit", "u.uid = v.visit"),
    }.get(kind) or draw(_upload_near())
    sides = ["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN"] + (["FULL JOIN"] if kind in {"key", "child", "ref"} else [])
    side = draw(st.sampled_from(sides))
    table, columns = {
        "child": (Text(f"{s.adql} s", f"{s.sql} s"), source_columns("s.")),
        "ref": (Text(f"{v.adql} v", f"{v.sql} v"), upload_columns("u.")),
    }.get(kind, (Text(f"{o.adql} o", f"{o.sql} o"), object_columns("o.")))
    if side != "FULL JOIN" and draw(st.integers(0, 3)) == 0:
        extra = draw(conditions(upload_columns("u."), 0))
        on = Text(f"{on.adql} AND {extra.adql}", f"{on.sql} AND {extra.sql}")
    first, second = draw(st.sampled_from([(mine, table), (table, mine)]))
    origin = Text(f"{first.adql} {side} {second.adql} ON {on.adql}", f"{first.sql} {side} {second.sql} ON {on.sql}")
    if kind == "chain":
        more = draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN"]))
        tie = "s.objectId = o.objectId"
        origin = Text(f"{origin.adql} {more} {s.adql} s ON {tie}", f"{origin.sql} {more} {s.sql} s ON {tie}")
    return origin, replace(both(columns, upload_columns("u.")), has_unique=False)


@st.composite
def _upload_near(draw: st.DrawFn) -> Text:
    """That an object is near an uploaded position: a radius for all, one of the row's own, in any form."""
    radius = draw(
        st.sampled_from(["1e-7", "0.0007", "0.006", "0.05", "2.0", "35.0", "u.radius / 3600", "u.radius / 60"])
    )
    form = draw(
        st.sampled_from(
            [
                "DISTANCE(POINT(o.coord_ra, o.coord_dec), POINT(u.u_ra, u.u_dec)) < {}",
                "{} >= DISTANCE(u.u_ra, u.u_dec, o.coord_ra, o.coord_dec)",
                "1 = CONTAINS(POINT('ICRS', u.u_ra, u.u_dec), CIRCLE('ICRS', o.coord_ra, o.coord_dec, {}))",
                "CONTAINS(POINT(o.coord_ra, o.coord_dec), CIRCLE(u.u_ra, u.u_dec, {})) = 1",
                "scisql_angSep(o.coord_ra, o.coord_dec, u.u_ra + 0, u.u_dec) <= {}",
            ]
        )
    )
    operator = "<" if form.endswith("< {}") else "<="
    separation = "oracle.separation(o.coord_ra, o.coord_dec, u.u_ra, u.u_dec)"
    return Text(form.format(radius), f"{separation} {operator} {radius}")


@st.composite
def _upload_condition(draw: st.DrawFn, database: str, columns: Columns) -> Text:
    """A condition on the rows of an upload: those near the row, those of its key, any."""
    table = Text(f"TAP_UPLOAD.{database}_u z", f'"TAP_UPLOAD"."{database}_u" z')
    number = draw(st.sampled_from(columns.integers))
    tie = Text(f"z.target = {number.adql}", f"z.target = {number.sql}")
    if columns.position is not None and draw(st.booleans()):
        (ra, dec), radius = columns.position, draw(st.sampled_from([0.0007, 0.06, 5.0]))
        tie = Text(
            f"DISTANCE(z.u_ra, z.u_dec, {ra.adql}, {dec.adql}) < {radius}",
            f"oracle.separation(z.u_ra, z.u_dec, {ra.sql}, {dec.sql}) < {radius}",
        )
    negated = draw(st.sampled_from(["", "NOT "]))
    return draw(
        st.sampled_from(
            [
                Text(
                    f"{negated}EXISTS (SELECT 1 FROM {table.adql} WHERE {tie.adql} AND z.w > 0)",
                    f"{negated}EXISTS (SELECT 1 FROM {table.sql} WHERE {tie.sql} AND z.w > 0)",
                ),
                Text(
                    f"(SELECT COUNT(*) FROM {table.adql} WHERE {tie.adql}) > 1",
                    f"(SELECT COUNT(*) FROM {table.sql} WHERE {tie.sql}) > 1",
                ),
                Text(
                    f"{number.adql} {negated}IN (SELECT z.target FROM {table.adql} WHERE z.target IS NOT NULL)",
                    f"{number.sql} {negated}IN (SELECT z.target FROM {table.sql} WHERE z.target IS NOT NULL)",
                ),
            ]
        )
    )


def truth_columns(prefix: str = "") -> Columns:
    """Return the columns of Truth."""
    p = prefix
    return Columns(
        numbers=_same(f"{p}mag", f"{p}t_dec"),
        integers=_same(f"{p}truthId"),
        texts=_same(f"{p}kind"),
        booleans=(),
        unique=_same(f"{p}truthId")[0],
        position=(_same(f"{p}t_ra")[0], _same(f"{p}t_dec")[0]),
    )


@st.composite
def _match(draw: st.DrawFn, database: str) -> tuple[Text, Columns]:
    """A match table with one or both of its directors, in any order, inner and outer."""
    match = draw(st.sampled_from(["Pairs", "Pairs", "FarPairs"]))
    texts = {
        alias: Text(f"{database}.{name} {alias}", f'"{database}"."{name.lower()}" {alias}')
        for alias, name in (("o", "Object"), ("m", match), ("t", "Truth"))
    }
    ties = {"o": "o.objectId = m.objectId", "t": "m.truthId = t.truthId"}
    order = draw(st.sampled_from(["omt", "mot", "mto", "tmo", "mt", "tm", "om", "mo"]))
    columns = truth_columns("t.") if "t" in order else object_columns("o.")
    if "o" in order and "t" in order:
        columns = both(object_columns("o."), columns)
        columns = replace(columns, position=draw(st.sampled_from([columns.position, truth_columns("t.").position])))
    rank, keys = _same("m.rank"), draw(st.permutations(_same("m.objectId", "m.truthId")))
    integers = draw(st.sampled_from([(*columns.integers, *rank, *keys), (*keys, *rank, *columns.integers)]))
    columns = replace(columns, numbers=columns.numbers + rank, integers=integers, has_unique=False)
    origin = texts[order[0]]
    for before, alias in pairwise(order):
        join = draw(st.sampled_from(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]))
        tie = ties[before if alias == "m" else alias]
        on = Text(tie, tie)
        if join in {"JOIN", "LEFT JOIN"} and draw(st.integers(0, 3)) == 0:
            extra = draw(conditions(truth_columns("t."), 0)) if alias == "t" else Text("m.rank > 0", "m.rank > 0")
            on = Text(f"{tie} AND {extra.adql}", f"{tie} AND {extra.sql}")
        origin = Text(
            f"{origin.adql} {join} {texts[alias].adql} ON {on.adql}",
            f"{origin.sql} {join} {texts[alias].sql} ON {on.sql}",
        )
    return origin, columns


def detection_columns(prefix: str = "") -> Columns:
    """Return the columns of Detection, whose ids are those of objects and repeat."""
    p = prefix
    return Columns(
        numbers=_same(f"{p}mag", f"{p}d_dec"),
        integers=_same(f"{p}detId", f"{p}number"),
        texts=_same(f"{p}kind"),
        booleans=(),
        unique=_same(f"{p}number")[0],
        position=(_same(f"{p}d_ra")[0], _same(f"{p}d_dec")[0]),
    )


@st.composite
def _detection(draw: st.DrawFn, database: str) -> tuple[Text, Columns]:
    """A director whose ids repeat: alone, joined by id with itself and with others, or by place."""
    table = Text(f"{database}.Detection d", f'"{database}"."detection" d')
    kind = draw(st.sampled_from(["alone", "alone", "self", "object", "object", "source", "near", "near"]))
    columns = detection_columns("d.")
    if kind == "alone":
        return table, columns
    side = draw(st.sampled_from(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN"]))
    other, tie, further = {
        "self": ("detection e", "d.detId = e.detId AND d.number < e.number", detection_columns("e.")),
        "object": ("object o", "o.objectId = d.detId", object_columns("o.")),
        "source": ("source s", "s.objectId = d.detId", source_columns("s.")),
        "near": ("object o", "{}(o.coord_ra, o.coord_dec, d.d_ra, d.d_dec) < 0.004", object_columns("o.")),
    }[kind]
    first, second = draw(st.sampled_from([(table, None), (None, table)]))
    others = Text(f"{database}.{other}", f'"{database}".{other}')
    first, second = first or others, second or others
    origin = Text(
        f"{first.adql} {side} {second.adql} ON {tie.format('DISTANCE')}",
        f"{first.sql} {side} {second.sql} ON {tie.format('oracle.separation')}",
    )
    return origin, replace(both(columns, further), has_unique=False)


@st.composite
def _near(draw: st.DrawFn, database: str) -> tuple[Text, Columns]:
    """Pairs near each other, within the overlap of 60 arcsec and beyond it; now and then with a child of one side."""
    child = draw(st.sampled_from(["", "", "o", "p"]))
    other = "Object" if child == "p" else draw(st.sampled_from(["Object", "Object", "Truth"]))
    ra, dec = {"Object": ("p.coord_ra", "p.coord_dec"), "Truth": ("p.t_ra", "p.t_dec")}[other]
    radius = draw(st.sampled_from([0.0002, 0.003] if child else [0.0002, 0.003, 0.0166, 0.0166, 0.05]))
    form = draw(
        st.sampled_from(
            [
                f"DISTANCE(POINT(o.coord_ra, o.coord_dec), POINT({ra}, {dec})) < {radius}",
                f"{radius} >= DISTANCE({ra}, {dec}, o.coord_ra, o.coord_dec)",
                f"1 = CONTAINS(POINT('ICRS', {ra}, {dec}), CIRCLE('ICRS', o.coord_ra, o.coord_dec, {radius}))",
            ]
        )
    )
    separation = f"oracle.separation(o.coord_ra, o.coord_dec, {ra}, {dec})"
    operator = "<" if "< " in form else "<="
    side = draw(st.sampled_from(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN"]))
    tables = [Text(f"{database}.{name}", f'"{database}"."{name.lower()}"') for name in ("Object", other, "Source")]
    origin = Text(
        f"{tables[0].adql} o {side} {tables[1].adql} p ON {form}",
        f"{tables[0].sql} o {side} {tables[1].sql} p ON {separation} {operator} {radius}",
    )
    second = object_columns("p.") if other == "Object" else truth_columns("p.")
    columns = both(object_columns("o."), second)
    if child:
        join = draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN"]))
        tie = f"s.objectId = {child}.objectId"
        origin = Text(
            f"{origin.adql} {join} {tables[2].adql} s ON {tie}", f"{origin.sql} {join} {tables[2].sql} s ON {tie}"
        )
        columns = both(columns, source_columns("s."))
    return origin, replace(columns, has_unique=False)


@st.composite
def _outer_join(draw: st.DrawFn, o: Text, s: Text, on: Text, columns: Columns) -> tuple[Text, Columns]:
    side = draw(st.sampled_from(["LEFT", "RIGHT", "FULL", "LEFT OUTER"]))
    form = draw(st.sampled_from([f"{{0}} o {side} JOIN {{1}} s ON {{2}}", f"{{1}} s {side} JOIN {{0}} o ON {{2}}"]))
    if side != "FULL" and draw(st.booleans()):
        extra = draw(conditions(source_columns("s."), 0))
        on = Text(f"{on.adql} AND {extra.adql}", f"{on.sql} AND {extra.sql}")
    origin = Text(form.format(o.adql, s.adql, on.adql), form.format(o.sql, s.sql, on.sql))
    return origin, replace(columns, has_unique=False)


@st.composite
def _exists(draw: st.DrawFn, database: str, columns: Columns) -> Text:
    """EXISTS: by the key, by another column, or without a look around."""
    table = Text(f"{database}.Source", f'"{database}"."source"')
    inner = draw(conditions(source_columns("x."), 1))
    outer = draw(st.sampled_from(columns.integers))
    around = {
        "key": Text(f"x.objectId = {outer.adql}", f'"x"."objectid" = {outer.sql}'),
        "other": Text(f"x.visit = {outer.adql}", f'"x"."visit" = {outer.sql}'),
        "none": Text("1 = 1", "1 = 1"),
    }[draw(st.sampled_from(["key", "key", "other", "none"]))]
    negated = draw(st.sampled_from(["", "NOT "]))
    return Text(
        f"{negated}EXISTS (SELECT x.band FROM {table.adql} x WHERE {around.adql} AND {inner.adql})",
        f'{negated}EXISTS (SELECT "x"."band" FROM {table.sql} x WHERE {around.sql} AND {inner.sql})',
    )


@st.composite
def _near_subquery(draw: st.DrawFn, database: str, position: tuple[Text, Text]) -> Text:
    """A condition on the neighbours of a row: whether there are any, how many, how far the nearest is."""
    table, ra, dec, key = draw(
        st.sampled_from([("Truth", "t_ra", "t_dec", "truthId"), ("Object", "coord_ra", "coord_dec", "objectId")])
    )
    radius = draw(st.sampled_from([0.0005, 0.008, 0.0166, 0.1]))
    least = draw(st.sampled_from([0.0001, 0.003]))
    adql = (
        f"FROM {database}.{table} z WHERE DISTANCE({position[0].adql}, {position[1].adql}, z.{ra}, z.{dec}) < {radius}"
    )
    apart = f"oracle.separation({position[0].sql}, {position[1].sql}, z.{ra}, z.{dec})"
    sql = f'FROM "{database}"."{table.lower()}" z WHERE {apart} < {radius}'
    away = f"DISTANCE({position[0].adql}, {position[1].adql}, z.{ra}, z.{dec})"
    some = draw(st.sampled_from(["", f" AND z.{key} > 1000000002000", f" AND z.{key} < 8000"]))
    negated = draw(st.sampled_from(["", "NOT "]))
    forms = {
        "exists": (f"{negated}EXISTS (SELECT 1 {adql}{some})", f"{negated}EXISTS (SELECT 1 {sql}{some})"),
        "closer": (
            f"NOT EXISTS (SELECT 1 {adql} AND {away} > {least}{some})",
            f"NOT EXISTS (SELECT 1 {sql} AND {apart} > {least}{some})",
        ),
        "or": (
            f"({position[1].adql} < -20 OR EXISTS (SELECT 1 {adql}{some}))",
            f"({position[1].sql} < -20 OR EXISTS (SELECT 1 {sql}{some}))",
        ),
        "count": (f"(SELECT COUNT(*) {adql}{some}) > 1", f"(SELECT COUNT(*) {sql}{some}) > 1"),
        "none": (f"(SELECT COUNT(z.{key}) {adql}{some}) = 0", f"(SELECT COUNT(z.{key}) {sql}{some}) = 0"),
        "nearest": (f"(SELECT MIN({away}) {adql}{some}) < {least}", f"(SELECT MIN({apart}) {sql}{some}) < {least}"),
        "no value": (f"(SELECT MAX(z.{key}) {adql}{some}) IS NULL", f"(SELECT MAX(z.{key}) {sql}{some}) IS NULL"),
    }
    return Text(*forms[draw(st.sampled_from(sorted(forms)))])


@st.composite
def _scalar(draw: st.DrawFn, database: str, columns: Columns) -> Text:
    """A comparison with the value of a sub-query."""
    number = draw(st.sampled_from(columns.numbers))
    table = Text(f"{database}.Source x", f'"{database}"."source" x')
    inner = draw(conditions(source_columns("x."), 0))
    key = next((c for c in columns.integers if c.adql.endswith("objectId")), None)
    around = Text("", "")
    if key is not None and draw(st.booleans()):
        around = Text(f" AND x.objectId = {key.adql}", f' AND "x"."objectid" = {key.sql}')
    what = draw(st.sampled_from(["COUNT(*)", "MIN(x.visit)", "MAX(x.flux)"]))
    sql = {"COUNT(*)": "COUNT(*)", "MIN(x.visit)": 'MIN("x"."visit")', "MAX(x.flux)": 'MAX("x"."flux")'}[what]
    return Text(
        f"{number.adql} > (SELECT {what} FROM {table.adql} WHERE {inner.adql}{around.adql})",
        f"{number.sql} > (SELECT {sql} FROM {table.sql} WHERE {inner.sql}{around.sql})",
    )


@st.composite
def _in_query(draw: st.DrawFn, database: str, columns: Columns) -> Text:
    if draw(st.integers(0, 3)) == 0:
        return draw(_in_pairs(database, columns))
    key, inner, table = draw(
        st.sampled_from(
            [
                ("objectId", source_columns(), "Source"),
                ("objectId", object_columns(), "Object"),
                ("visit", source_columns(), "Source"),
                ("visit", None, "Visit"),
                *([("detId", detection_columns(), "Detection")] * 2 if database == "gaps" else []),
            ]
        )
    )
    ends = _OBJECT_IDS if key in _OBJECT_IDS else key
    mine = [c for c in columns.integers if c.adql.endswith(ends)] or [columns.integers[0]]
    negated = draw(st.sampled_from(["", "", "NOT "])) if key != "visit" else ""
    where = Text("", "")
    if inner is not None:
        condition = draw(conditions(inner, 1))
        where = Text(f" WHERE {condition.adql}", f" WHERE {condition.sql}")
    return Text(
        f"{mine[0].adql} {negated}IN (SELECT {key} FROM {database}.{table}{where.adql})",
        f'{mine[0].sql} {negated}IN (SELECT "{key.lower()}" FROM "{database}"."{table.lower()}"{where.sql})',
    )


@st.composite
def _in_pairs(draw: st.DrawFn, database: str, columns: Columns) -> Text:
    """That an id is among the keys of a match table, which may be NULL."""
    key = draw(st.sampled_from(["objectId", "truthId"]))
    mine = draw(st.sampled_from([c for c in columns.integers if c.adql.endswith(key)] or [columns.integers[0]]))
    where = draw(st.sampled_from(["", " WHERE rank > 1", f" WHERE {key} IS NOT NULL", " WHERE truthId IS NULL"]))
    form = draw(st.sampled_from(["{} IN ({})", "{} NOT IN ({})", "NOT {} IN ({}) OR 1 = 2"]))
    return Text(
        f"({form.format(mine.adql, f'SELECT {key} FROM {database}.Pairs{where}')})",
        f"({form.format(mine.sql, f'SELECT {key} FROM {database}.pairs{where}')})",
    )


def _list(parts: list[Text]) -> Text:
    return Text(
        ", ".join(f"{part.adql} AS c{number}" for number, part in enumerate(parts)),
        ", ".join(f"{part.sql} AS c{number}" for number, part in enumerate(parts)),
    )


@st.composite
def _rows(draw: st.DrawFn, tail: Text, columns: Columns, shape: str) -> RandomQuery:
    plain = st.sampled_from(columns.texts + columns.integers + columns.booleans)
    values = st.one_of(numbers(columns, 2), plain, _cut_texts(columns))
    if columns.position:
        values = st.one_of(values, st.sampled_from(_places(columns.position)))
    parts = draw(st.lists(values, min_size=1, max_size=4))
    if shape == "distinct":
        shown = _list(
            draw(
                st.lists(
                    st.sampled_from(columns.texts + columns.integers[:1] + columns.booleans), min_size=1, max_size=2
                )
            )
        )
        return RandomQuery(f"SELECT DISTINCT {shown.adql} {tail.adql}", f"SELECT DISTINCT {shown.sql} {tail.sql}")
    shown = _list([*parts, columns.unique])
    if shape == "rows":
        return RandomQuery(f"SELECT {shown.adql} {tail.adql}", f"SELECT {shown.sql} {tail.sql}")
    top, offset = draw(st.integers(0, 12)), draw(st.sampled_from([0, 0, 3]))
    if shape == "any":
        everything = f"SELECT {shown.sql} {tail.sql}"
        return RandomQuery(
            f"SELECT TOP {top} {shown.adql} {tail.adql}", f"{everything} LIMIT {top}", any_of=everything, top=top
        )
    order = draw(st.lists(numbers(columns, 1), max_size=2))
    directions = [draw(st.sampled_from(["", " ASC", " DESC"])) for _ in range(len(order) + 1)]
    # "+ 0": a bare number would be the place of a column
    keys = [*(Text(f"({key.adql} + 0)", f"({key.sql} + 0)") for key in order), columns.unique]
    by = Text(
        ", ".join(key.adql + way for key, way in zip(keys, directions, strict=True)),
        ", ".join(f"({key.sql}){way}" for key, way in zip(keys, directions, strict=True)),
    )
    after = f" OFFSET {offset}" if offset else ""
    return RandomQuery(
        f"SELECT TOP {top} {shown.adql} {tail.adql} ORDER BY {by.adql}{after}",
        f"SELECT {shown.sql} {tail.sql} ORDER BY {by.sql} LIMIT {top}{after}",
        ordered=True,
    )


@st.composite
def _grouped(draw: st.DrawFn, tail: Text, columns: Columns, shape: str) -> RandomQuery:
    found = draw(st.lists(aggregates(columns), min_size=1, max_size=4))
    if shape == "total":
        shown = _list(found)
        return RandomQuery(f"SELECT {shown.adql} {tail.adql}", f"SELECT {shown.sql} {tail.sql}")
    if shape == "key_groups":
        key = next((c for c in columns.integers if c.adql.endswith("objectId")), columns.integers[0])
        keys = [key]
    else:
        small = [*columns.texts, *columns.booleans, columns.integers[0]]
        keys = draw(st.lists(st.sampled_from(small), min_size=1, max_size=2, unique=True))
        if draw(st.booleans()):
            one = columns.integers[0]
            keys.append(Text(f"{one.adql} / 3", f"{one.sql} / 3"))
    shown = _list([*keys, *found])
    group = Text(", ".join(key.adql for key in keys), ", ".join(f"({key.sql})" for key in keys))
    having = Text("", "")
    if draw(st.booleans()):
        least = draw(st.integers(0, 6))
        having = Text(f" HAVING COUNT(*) > {least}", f" HAVING COUNT(*) > {least}")
    return RandomQuery(
        f"SELECT {shown.adql} {tail.adql} GROUP BY {group.adql}{having.adql}",
        f"SELECT {shown.sql} {tail.sql} GROUP BY {group.sql}{having.sql}",
    )


@st.composite
def _derived_places(draw: st.DrawFn, tail: Text, columns: Columns, position: tuple[Text, Text]) -> RandomQuery:
    """A query over a sub-query that selects shapes."""
    place = draw(st.sampled_from(_places(position)))
    key = columns.integers[0]
    sub = Text(
        f"SELECT {place.adql} AS p, {key.adql} AS k {tail.adql}", f"SELECT {place.sql} AS p, {key.sql} AS k {tail.sql}"
    )
    top = draw(st.sampled_from(["", " ORDER BY k LIMIT 0", ""]))
    shown = draw(
        st.sampled_from(
            [
                Text("p, k", "p, k"),
                Text("COORD2(CENTROID(p)) AS x, k", "p[2] AS x, k"),
                Text("k, COUNT(p) AS n", "k, COUNT(p) AS n"),
            ]
        )
    )
    where = draw(
        st.sampled_from(
            [
                Text("", ""),
                Text(" WHERE p IS NOT NULL", " WHERE p IS NOT NULL"),
                Text(
                    " WHERE 1 = INTERSECTS(p, CIRCLE(45, 44.9, 30))",
                    " WHERE oracle.separation(p[1], p[2], 45, 44.9) <= 30 + COALESCE(p[3], 0)",
                ),
            ]
        )
    )
    group = " GROUP BY k" if "COUNT" in shown.adql else ""
    return RandomQuery(
        f"SELECT {shown.adql} FROM ({sub.adql}{top}) AS t{where.adql}{group}",
        f"SELECT {shown.sql} FROM ({sub.sql}{top}) AS t{where.sql}{group}",
    )


@st.composite
def _derived(draw: st.DrawFn, tail: Text, columns: Columns) -> RandomQuery:
    """A query over a sub-query in FROM."""
    inner = draw(st.sampled_from(["rows", "groups", "key_groups", *(["places"] if columns.position else [])]))
    if inner == "places" and columns.position:
        return draw(_derived_places(tail, columns, columns.position))
    if inner == "rows":
        number = draw(numbers(columns, 1))
        shown = _list([columns.integers[0], number])
        sub = Text(f"SELECT {shown.adql} {tail.adql}", f"SELECT {shown.sql} {tail.sql}")
    else:
        key = columns.integers[0] if inner == "groups" else columns.unique
        number = draw(numbers(columns, 1))
        shown = _list([key, Text(f"MAX({number.adql})", f"MAX({number.sql})")])
        sub = Text(
            f"SELECT {shown.adql} {tail.adql} GROUP BY {key.adql}", f"SELECT {shown.sql} {tail.sql} GROUP BY {key.sql}"
        )
    least = draw(_wholes)
    outer = draw(
        st.sampled_from(
            [
                "SELECT COUNT(*) AS a, MIN(t.c1) AS b, MAX(t.c0) AS c FROM ({}) AS t",
                "SELECT t.c0 AS a, COUNT(t.c1) AS b FROM ({}) AS t GROUP BY t.c0",
                "SELECT DISTINCT t.c0 AS a FROM ({}) AS t WHERE t.c1 > " + str(least),
                "SELECT c1 AS a, c0 AS b FROM ({}) AS t WHERE c0 >= " + str(least),
            ]
        )
    )
    return RandomQuery(outer.format(sub.adql), outer.format(sub.sql))


@st.composite
def _set(draw: st.DrawFn, tail: Text, columns: Columns) -> RandomQuery:
    """A set operation of two queries over the same tables."""
    word, text = draw(st.sampled_from(columns.integers)), draw(st.sampled_from(columns.texts))
    other = draw(st.sampled_from(columns.integers))
    number = draw(_reals.map(_real))
    operator = draw(st.sampled_from(["UNION", "UNION ALL", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL"]))
    left = Text(
        f"SELECT {word.adql} AS a, {text.adql} AS b {tail.adql}", f"SELECT {word.sql} AS a, {text.sql} AS b {tail.sql}"
    )
    first = draw(st.sampled_from([other, number, word]))
    right = Text(
        f"SELECT {first.adql} AS a, {text.adql} AS b {tail.adql}",
        f"SELECT {first.sql} AS a, {text.sql} AS b {tail.sql}",
    )
    order = draw(st.sampled_from(["", " ORDER BY a DESC, 2", " ORDER BY b, a"]))
    return RandomQuery(
        f"{left.adql} {operator} {right.adql}{order}",
        f"({left.sql}) {operator} ({right.sql}){order}",
        ordered=bool(order),
    )


@st.composite
def _with(draw: st.DrawFn, tail: Text, columns: Columns) -> RandomQuery:
    """A query that uses a named one once or twice."""
    number, key = draw(numbers(columns, 1)), draw(st.sampled_from([columns.integers[0], columns.unique]))
    inner = Text(
        f"SELECT {key.adql} AS a, MAX({number.adql}) AS b, COUNT(*) AS c {tail.adql} GROUP BY {key.adql}",
        f"SELECT {key.sql} AS a, MAX({number.sql}) AS b, COUNT(*) AS c {tail.sql} GROUP BY {key.sql}",
    )
    outer = draw(
        st.sampled_from(
            [
                "SELECT a, b FROM w WHERE c > 1",
                "SELECT x.a AS a, y.c AS c FROM w AS x JOIN w AS y ON x.a = y.a",
                "SELECT a, c FROM w WHERE c = (SELECT MAX(c) FROM w)",
                "SELECT COUNT(*) AS n FROM w WHERE a IN (SELECT c FROM w)",
                "SELECT x.a AS a, y.a AS c FROM w AS x LEFT JOIN w AS y ON x.a = y.c",
            ]
        )
    )
    return RandomQuery(f"WITH w AS ({inner.adql}) {outer}", f"WITH w AS ({inner.sql}) {outer}")


@st.composite
def _windows(draw: st.DrawFn, tail: Text, columns: Columns) -> RandomQuery:
    """Window functions whose rows have one order."""
    keys = [*columns.texts, *columns.integers, *columns.booleans]
    parts = [columns.unique]
    for _ in range(draw(st.integers(1, 3))):
        number, whole = draw(numbers(columns, 1)), draw(st.sampled_from(columns.integers))
        group = draw(st.sampled_from(keys))
        function = draw(
            st.sampled_from(
                [
                    ("ROW_NUMBER()", "ROW_NUMBER()", ""),
                    (f"SUM({whole.adql})", f"SUM({whole.sql})", ""),
                    (f"COUNT({number.adql})", f"COUNT({number.sql})", " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING"),
                    (f"MAX({number.adql})", f"MAX({number.sql})", " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
                    (f"LAG({number.adql}, 2)", f"LAG({number.sql}, 2)", ""),
                    (f"FIRST_VALUE({number.adql})", f"FIRST_VALUE({number.sql})", ""),
                    ("NTILE(3)", "NTILE(3)", ""),
                    ("DENSE_RANK()", "DENSE_RANK()", ""),
                ]
            )
        )
        unique = columns.unique
        way = draw(st.sampled_from(["", " DESC"]))
        partition = draw(st.sampled_from(["PARTITION BY {} ", "PARTITION BY {} ", ""]))
        cast = "::bigint" if function[0].startswith("SUM") else ""
        parts.append(
            Text(
                f"{function[0]} OVER ({partition.format(group.adql)}ORDER BY {unique.adql}{way}{function[2]})",
                f"({function[1]} OVER ({partition.format(group.sql)}ORDER BY {unique.sql}{way}{function[2]})){cast}",
            )
        )
    shown = _list(parts)
    return RandomQuery(f"SELECT {shown.adql} {tail.adql}", f"SELECT {shown.sql} {tail.sql}")
