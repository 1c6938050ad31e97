"""The shapes of random queries: rows, groups, windows, set operations, named queries and sub-queries in FROM."""

from __future__ import annotations

from dataclasses import dataclass, replace

from support.random_queries.columns import Columns
from support.random_queries.conditions import areas, conditions
from support.random_queries.drawing import Drawing, RandomQuery, Text, text_of
from support.random_queries.failing import may_fail
from support.random_queries.numbers import aggregates, cut_texts, numbers, places
from support.random_queries.origins import origins
from support.random_queries.subqueries import subquery_conditions


@dataclass(frozen=True)
class Read:
    """What a query reads."""

    origin: Text
    columns: Columns
    where: Text | None

    @property
    def tail(self) -> Text:
        """From FROM on."""
        return text_of("FROM {} WHERE {}", self.origin, self.where) if self.where else text_of("FROM {}", self.origin)


def queries(d: Drawing) -> RandomQuery:
    """Return a query over one database whose plain tables stand in a schema of the same name."""
    origin, columns = origins(d)
    where = conditions(d, columns) if d.whole(0, 2) else None
    if d.seldom(4):
        extra = subquery_conditions(d, columns)
        where = extra if where is None else Text(f"{where.adql} AND {extra.adql}", f"({where.sql}) AND {extra.sql}")
    if columns.areas and d.seldom(8):
        area = areas(d, columns)
        where = area if where is None else text_of("{} AND ({})", area, where)
    read = Read(origin, columns, where)
    shapes = [one for one, weight in _SHAPES.items() for _ in range(weight)]
    if not columns.has_unique:
        shapes = [one for one in shapes if one not in {_top, _windows}]
    return d.pick(shapes)(d, read)


def _list(parts: list[Text]) -> Text:
    return Text(
        ", ".join(f"{part.adql} AS c{number}" for number, part in enumerate(parts)),
        ", ".join(f"{part.sql} AS c{number}" for number, part in enumerate(parts)),
    )


def _query(form: str, *parts: Text, ordered: bool = False) -> RandomQuery:
    text = text_of(form, *parts)
    return RandomQuery(text.adql, text.sql, ordered=ordered)


def _shown(d: Drawing, columns: Columns) -> Text:
    """Return a list of values that ends with the key."""
    return _list([*(_value(d, columns) for _ in range(d.whole(1, 4))), columns.unique])


def _value(d: Drawing, columns: Columns) -> Text:
    kind = d.pick(["number", "plain", "cut", *(["place"] if columns.position else [])])
    if kind == "number":
        return numbers(d, columns, 2)
    if kind == "cut":
        return cut_texts(d, columns)
    if kind == "place" and columns.position:
        return d.pick(places(columns.position))
    return d.pick(columns.texts + columns.integers + columns.booleans)


def _rows(d: Drawing, read: Read) -> RandomQuery:
    tail, columns = read.tail, read.columns
    return _query("SELECT {} {}", _shown(d, columns), tail)


def _failing(d: Drawing, read: Read) -> RandomQuery:
    """Return rows or groups with a value that fails for some rows."""
    tail, columns = read.tail, read.columns
    value = may_fail(d, columns)
    if d.flag():
        return _query("SELECT {} {}", _list([value, columns.unique]), tail)
    key = d.pick(columns.texts)
    return _query("SELECT {} {} GROUP BY {}", _list([key, text_of("MAX({})", value)]), tail, key)


def _distinct(d: Drawing, read: Read) -> RandomQuery:
    tail, columns = read.tail, read.columns
    shown = d.some(columns.texts + columns.integers + columns.booleans, 1, 2)
    return _query("SELECT DISTINCT {} {}", _list(shown), tail)


def _any(d: Drawing, read: Read) -> RandomQuery:
    """Return the first rows of no order."""
    tail, columns = read.tail, read.columns
    shown, top = _shown(d, columns), d.whole(0, 12)
    everything = f"SELECT {shown.sql} {tail.sql}"
    return RandomQuery(
        f"SELECT TOP {top} {shown.adql} {tail.adql}", f"{everything} LIMIT {top}", any_of=everything, top=top
    )


def _top(d: Drawing, read: Read) -> RandomQuery:
    """Return the first rows of an order."""
    tail, columns = read.tail, read.columns
    shown, top = _shown(d, columns), d.whole(0, 12)
    # "+ 0": a bare number would be the place of a column
    order = [text_of("({} + 0)", numbers(d, columns, 1)) for _ in range(d.whole(0, 2))]
    by = [text_of(f"{{}}{d.pick(['', ' ASC', ' DESC'])}", key) for key in [*order, columns.unique]]
    after = d.pick(["", "", " OFFSET 3"])
    keys = Text(", ".join(one.adql for one in by), ", ".join(one.sql for one in by))
    return RandomQuery(
        f"SELECT TOP {top} {shown.adql} {tail.adql} ORDER BY {keys.adql}{after}",
        f"SELECT {shown.sql} {tail.sql} ORDER BY {keys.sql} LIMIT {top}{after}",
        ordered=True,
    )


def _total(d: Drawing, read: Read) -> RandomQuery:
    tail, columns = read.tail, read.columns
    return _query("SELECT {} {}", _list([aggregates(d, columns) for _ in range(d.whole(1, 4))]), tail)


def _groups(d: Drawing, read: Read) -> RandomQuery:
    keys = d.some([*read.columns.texts, *read.columns.booleans, read.columns.integers[0]], 1, 2)
    if d.flag():
        keys.append(text_of("{} / 3", read.columns.integers[0]))
    return _grouped(d, read, keys)


def _key_groups(d: Drawing, read: Read) -> RandomQuery:
    key = next((c for c in read.columns.integers if c.column == "objectId"), read.columns.integers[0])
    return _grouped(d, read, [key])


def _grouped(d: Drawing, read: Read, keys: list[Text]) -> RandomQuery:
    parts = [*keys, *(aggregates(d, read.columns) for _ in range(d.whole(1, 4)))]
    group = Text(", ".join(key.adql for key in keys), ", ".join(f"({key.sql})" for key in keys))
    if d.seldom(6):
        group = Text(", ".join(f"c{place}" for place in range(len(keys))), group.sql)
    having = text_of(f" HAVING COUNT(*) > {d.whole(0, 3)}") if d.flag() else Text("", "")
    if d.seldom(6):
        having = text_of(f" HAVING {{}} > {d.whole(0, 3)}", Text(f"c{len(parts)}", "COUNT(*)"))
        parts.append(Text("COUNT(*)", "COUNT(*)"))
    return _query("SELECT {} {} GROUP BY {}{}", _list(parts), read.tail, group, having)


_PRIMARY_KEYS = {"objectId", "sourceId", "truthId"}


def _freed(d: Drawing, read: Read) -> RandomQuery:
    """Return groups by a primary key, which free the other columns of its table; PostgreSQL knows by itself."""
    columns = read.columns
    key = columns.unique
    if key.column not in _PRIMARY_KEYS:
        return _groups(d, read)
    alias = key.adql.rpartition(".")[0]
    own = [c for c in columns.numbers + columns.texts + columns.booleans if c.adql.rpartition(".")[0] == alias]
    shown = [*d.some(own, 1, 3), *(aggregates(d, columns) for _ in range(d.whole(0, 2)))]
    having = Text("", "")
    if d.seldom(3):
        one = d.pick([c for c in own if c in columns.numbers] or [key])
        having = text_of(" HAVING {} > {}", one, d.constant(one))
    return _query("SELECT {} {} GROUP BY {}{}", _list(shown), read.tail, key, having)


def _derived(d: Drawing, read: Read) -> RandomQuery:
    """Return a query over a sub-query in FROM."""
    tail, columns = read.tail, read.columns
    inner = d.pick(["rows", "groups", "key_groups", *(["places"] if columns.position else [])])
    if inner == "places" and columns.position:
        return _derived_places(d, read, columns.position)
    key = columns.integers[0] if inner in {"rows", "groups"} else columns.unique
    number = numbers(d, columns, 1)
    if inner == "rows":
        sub = text_of("SELECT {} {}", _list([key, number]), tail)
    else:
        sub = text_of("SELECT {} {} GROUP BY {}", _list([key, text_of("MAX({})", number)]), tail, key)
    least, high = d.constant(number), d.constant(key)
    outer = d.pick(
        [
            "SELECT COUNT(*) AS a, MIN(t.c1) AS b, MAX(t.c0) AS c FROM ({0}) AS t",
            "SELECT t.c0 AS a, COUNT(t.c1) AS b FROM ({0}) AS t GROUP BY t.c0",
            "SELECT DISTINCT t.c0 AS a FROM ({0}) AS t WHERE t.c1 > {1}",
            "SELECT c1 AS a, c0 AS b FROM ({0}) AS t WHERE c0 >= {2}",
        ]
    )
    return _query(outer, sub, least, high)


def _derived_places(d: Drawing, read: Read, position: tuple[Text, Text]) -> RandomQuery:
    """Return a query over a sub-query that selects shapes."""
    tail, columns = read.tail, read.columns
    sub = text_of("SELECT {} AS p, {} AS k {}", d.pick(places(position)), columns.integers[0], tail)
    top = " ORDER BY k LIMIT 0" if d.seldom(12) else ""
    shown = d.pick(
        [
            Text("p, k", "p, k"),
            Text("COORD2(CENTROID(p)) AS x, k", "p[2] AS x, k"),
            Text("k, COUNT(p) AS n", "k, COUNT(p) AS n"),
        ]
    )
    (lon, lat), size = d.pick(d.constants.places), d.pick([30, 3, 0.2])
    where = d.pick(
        [
            Text("", ""),
            Text(" WHERE p IS NOT NULL", " WHERE p IS NOT NULL"),
            Text(
                f" WHERE 1 = INTERSECTS(p, CIRCLE({lon}, {lat}, {size}))",
                f" WHERE oracle.separation(p[1], p[2], {lon}, {lat}) <= {size} + COALESCE(p[3], 0)",
            ),
        ]
    )
    group = " GROUP BY k" if "COUNT" in shown.adql else ""
    return _query(f"SELECT {{}} FROM ({{}}{top}) AS t{{}}{group}", shown, sub, where)


def _set(d: Drawing, read: Read) -> RandomQuery:
    """Return a set operation of two queries over the same tables."""
    columns = read.columns
    word, text, other = d.pick(columns.integers), d.pick(columns.texts), d.pick(columns.integers)
    operator = d.pick(["UNION", "UNION ALL", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL"])
    counted = [Text(one.adql, f"CAST({one.sql} AS integer)") for one in columns.booleans]
    first = d.pick([word, word, other, d.constant(d.pick(columns.numbers)), *counted])
    further = replace(read, where=conditions(d, columns, 1)) if d.flag() or first is word else read
    left, right = (
        text_of("SELECT {} AS a, {} AS b {}", one, text, of.tail) for one, of in ((word, read), (first, further))
    )
    order = d.pick(["", " ORDER BY a DESC, 2", " ORDER BY b, a"])
    return RandomQuery(
        f"{left.adql} {operator} {right.adql}{order}",
        f"({left.sql}) {operator} ({right.sql}){order}",
        ordered=bool(order),
    )


def _with(d: Drawing, read: Read) -> RandomQuery:
    """Return a query that uses a named one once or twice."""
    tail, columns = read.tail, read.columns
    key = d.pick([columns.integers[0], columns.unique])
    inner = text_of("SELECT {0} AS a, MAX({1}) AS b, COUNT(*) AS c {2} GROUP BY {0}", key, numbers(d, columns, 1), tail)
    outer = d.pick(
        [
            f"SELECT a, b FROM w WHERE c >= {d.whole(1, 3)}",
            "SELECT x.a AS a, y.c AS c FROM w AS x JOIN w AS y ON x.a = y.a",
            "SELECT a, c FROM w WHERE c = (SELECT MAX(c) FROM w)",
            "SELECT COUNT(*) AS n FROM w WHERE a IN (SELECT c FROM w)",
            "SELECT x.a AS a, y.a AS c FROM w AS x LEFT JOIN w AS y ON x.a = y.c",
        ]
    )
    return _query(f"WITH w AS ({{}}) {outer}", inner)


_WINDOWS = [
    ("ROW_NUMBER()", ""),
    ("SUM({1})", ""),
    ("COUNT({0})", " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING"),
    ("MAX({0})", " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
    ("LAG({0}, 2)", ""),
    ("FIRST_VALUE({0})", ""),
    ("NTILE(3)", ""),
    ("DENSE_RANK()", ""),
]
"""Functions of a number or of a whole one, with their frames."""


def _windows(d: Drawing, read: Read) -> RandomQuery:
    """Return window functions whose rows have one order."""
    tail, columns = read.tail, read.columns
    return _query("SELECT {} {}", _list([columns.unique, *(_window(d, columns) for _ in range(d.whole(1, 3)))]), tail)


def _window(d: Drawing, columns: Columns) -> Text:
    function, frame = d.pick(_WINDOWS)
    partition, way = d.pick(["", "PARTITION BY {2} ", "PARTITION BY {2} "]), d.pick(["", " DESC"])
    group = d.pick([*columns.texts, *columns.integers, *columns.booleans])
    text = text_of(
        f"{function} OVER ({partition}ORDER BY {{3}}{way}{frame})",
        numbers(d, columns, 1),
        d.pick(columns.integers),
        group,
        columns.unique,
    )
    return Text(text.adql, f"({text.sql})::bigint") if function.startswith("SUM") else text


_SHAPES = {
    _rows: 2,
    _top: 2,
    _any: 1,
    _distinct: 2,
    _total: 2,
    _groups: 4,
    _key_groups: 2,
    _freed: 1,
    _derived: 2,
    _set: 2,
    _with: 2,
    _windows: 2,
    _failing: 1,
}
"""How often each shape is drawn."""
