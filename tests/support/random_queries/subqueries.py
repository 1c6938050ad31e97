"""Random conditions that look into a sub-query."""

from __future__ import annotations

from support.random_queries.columns import Columns, detection_columns, object_columns, source_columns
from support.random_queries.conditions import OBJECT_IDS, conditions
from support.random_queries.drawing import Drawing, Text, near, text_of


def subquery_conditions(d: Drawing, columns: Columns) -> Text:
    """Return a condition with a sub-query."""
    kinds = [_in_query, _exists, _scalar, _upload_condition]
    if columns.position is not None:
        kinds += [_near_subquery] * 2
    return d.pick(kinds)(d, columns)


def _exists(d: Drawing, columns: Columns) -> Text:
    """Return EXISTS: by the key, by another column, or without a look around."""
    table = Text(f"{d.database}.Source", f'"{d.database}"."source"')
    inner = conditions(d, source_columns("x."), 1)
    outer = d.pick([c for c in columns.integers if d.seldom(3) or c.column in OBJECT_IDS] or columns.integers)
    around = {
        "key": Text(f"x.objectId = {outer.adql}", f'"x"."objectid" = {outer.sql}'),
        "other": Text(f"x.visit = {outer.adql}", f'"x"."visit" = {outer.sql}'),
        "none": Text("1 = 1", "1 = 1"),
    }[d.pick(["key", "key", "other", "none"])]
    negated = d.pick(["", "NOT "])
    return Text(
        f"{negated}EXISTS (SELECT x.band FROM {table.adql} x WHERE {around.adql} AND {inner.adql})",
        f'{negated}EXISTS (SELECT "x"."band" FROM {table.sql} x WHERE {around.sql} AND {inner.sql})',
    )


_NEIGHBOURS = {
    "exists": "{negated}EXISTS (SELECT 1 {near}{some})",
    "closer": "NOT EXISTS (SELECT 1 {near} AND {away} > {least}{some})",
    "or": "({dec} < -20 OR EXISTS (SELECT 1 {near}{some}))",
    "count": "(SELECT COUNT(*) {near}{some}) > 1",
    "none": "(SELECT COUNT(z.{key}) {near}{some}) = 0",
    "nearest": "(SELECT MIN({away}) {near}{some}) < {least}",
    "no value": "(SELECT MAX(z.{key}) {near}{some}) IS NULL",
}


def _near_subquery(d: Drawing, columns: Columns) -> Text:
    """Return a condition on the neighbours of a row: whether there are any, how many, how far the nearest is."""
    assert columns.position is not None
    ra, dec = columns.position
    table, lon, lat, key = d.pick(
        [("Truth", "t_ra", "t_dec", "truthId"), ("Object", "coord_ra", "coord_dec", "objectId")]
    )
    radius, least = d.pick([0.0005, 0.008, 0.0166, 0.1]), d.pick([0.0001, 0.003])
    some = d.pick(["", f" AND z.{key} > 1000000002000", f" AND z.{key} < 8000"])
    rest = {"some": some, "negated": d.pick(["", "NOT "]), "least": least, "key": key}
    away = Text(
        f"DISTANCE({ra.adql}, {dec.adql}, z.{lon}, z.{lat})",
        f"oracle.separation({ra.sql}, {dec.sql}, z.{lon}, z.{lat})",
    )
    near_place = near((ra.sql, dec.sql), (f"z.{lon}", f"z.{lat}"), f"< {radius}")
    found = Text(
        f"FROM {d.database}.{table} z WHERE {away.adql} < {radius}",
        f'FROM "{d.database}"."{table.lower()}" z WHERE {near_place}',
    )
    form = _NEIGHBOURS[d.pick(list(_NEIGHBOURS))]
    return Text(
        form.format(near=found.adql, away=away.adql, dec=dec.adql, **rest),
        form.format(near=found.sql, away=away.sql, dec=dec.sql, **rest),
    )


def _scalar(d: Drawing, columns: Columns) -> Text:
    """Return a comparison with the value of a sub-query."""
    number = d.pick(columns.numbers)
    table = Text(f"{d.database}.Source x", f'"{d.database}"."source" x')
    inner = conditions(d, source_columns("x."), 0)
    key = next((c for c in columns.integers if c.column == "objectId"), None)
    around = Text("", "")
    if key is not None and d.flag():
        around = Text(f" AND x.objectId = {key.adql}", f' AND "x"."objectid" = {key.sql}')
    what = d.pick([Text("COUNT(*)", "COUNT(*)"), Text("MIN(x.visit)", 'MIN("x"."visit")')])
    what = Text("MAX(x.flux)", 'MAX("x"."flux")') if d.seldom(3) else what
    operator = d.pick([">", "<"])
    return text_of(f"{{}} {operator} (SELECT {{}} FROM {{}} WHERE {{}}{{}})", number, what, table, inner, around)


def _in_query(d: Drawing, columns: Columns) -> Text:
    if d.seldom(4):
        return _in_pairs(d, columns)
    kinds = [
        ("objectId", source_columns(), "Source"),
        ("objectId", object_columns(), "Object"),
        ("visit", source_columns(), "Source"),
        ("visit", None, "Visit"),
    ]
    kinds += [("detId", detection_columns(), "Detection")] * 2 if d.database == "gaps" else []
    key, inner, table = d.pick(kinds)
    ends = OBJECT_IDS if key in OBJECT_IDS else (key,)
    mine = next((c for c in columns.integers if c.column in ends), columns.integers[0])
    negated = d.pick(["", "", "NOT "]) if key != "visit" else ""
    where = text_of(" WHERE {}", conditions(d, inner, 1)) if inner is not None else Text("", "")
    return Text(
        f"{mine.adql} {negated}IN (SELECT {key} FROM {d.database}.{table}{where.adql})",
        f'{mine.sql} {negated}IN (SELECT "{key.lower()}" FROM "{d.database}"."{table.lower()}"{where.sql})',
    )


def _in_pairs(d: Drawing, columns: Columns) -> Text:
    """Return that an id is among the keys of a match table, which may be NULL."""
    key = d.pick(["objectId", "truthId"])
    mine = d.pick([c for c in columns.integers if c.column == key] or columns.integers[:1])
    where = d.pick(["", " WHERE rank > 1", f" WHERE {key} IS NOT NULL", " WHERE truthId IS NULL"])
    form = d.pick(["{} IN ({})", "{} NOT IN ({})", "NOT {} IN ({}) OR 1 = 2"])
    return Text(
        f"({form.format(mine.adql, f'SELECT {key} FROM {d.database}.Pairs{where}')})",
        f"({form.format(mine.sql, f'SELECT {key} FROM {d.database}.pairs{where}')})",
    )


def _upload_condition(d: Drawing, columns: Columns) -> Text:
    """Return a condition on the rows of an upload: those near the row, those of its key, any."""
    table = Text(f"TAP_UPLOAD.{d.database}_u z", f'"TAP_UPLOAD"."{d.database}_u" z')
    number = d.pick([c for c in columns.integers if c.column in OBJECT_IDS] or columns.integers)
    number = d.pick(columns.integers) if d.seldom(3) else number
    tie = text_of("z.target = {}", number)
    if columns.position is not None and d.flag():
        (ra, dec), radius = columns.position, d.pick([0.0007, 0.06, 5.0])
        tie = Text(
            f"DISTANCE(z.u_ra, z.u_dec, {ra.adql}, {dec.adql}) < {radius}",
            near(("z.u_ra", "z.u_dec"), (ra.sql, dec.sql), f"< {radius}"),
        )
    negated = d.pick(["", "NOT "])
    forms = [
        f"{negated}EXISTS (SELECT 1 FROM {{0}} WHERE {{1}} AND z.w > 0)",
        "(SELECT COUNT(*) FROM {0} WHERE {1}) > 1",
        f"{{2}} {negated}IN (SELECT z.target FROM {{0}} WHERE z.target IS NOT NULL)",
    ]
    return text_of(d.pick(forms), table, tie, number)
