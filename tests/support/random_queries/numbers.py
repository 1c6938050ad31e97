"""Random values: numbers, texts, shapes and aggregates that never fail, whatever the rows."""

from __future__ import annotations

from support.random_queries.columns import Columns
from support.random_queries.drawing import Drawing, Text, text_of

_KINDS = ["column", "column", "column", "literal", "arithmetic", "function", "case", "bits", "cast", "unit", "rest"]

_FUNCTIONS = {
    "ABS": ("ABS({})", "abs({})"),
    "FLOOR": ("FLOOR({})", "floor(({})::float8)"),
    "CEILING": ("CEILING({})", "ceiling(({})::float8)"),
    "SQRT": ("SQRT(ABS({}))", "sqrt(abs({})::float8)"),
    "LOG": ("LOG(1 + ABS({}))", "ln(1 + abs({})::float8)"),
    "LOG10": ("LOG10(1.0 + ABS({}))", "log(1.0::float8 + abs({})::float8)"),
    "ROUND": ("ROUND({})", "round(({})::float8)"),
    "DEGREES": ("DEGREES({})", "degrees(({})::float8)"),
    "SIN": ("SIN({})", "sin(({})::float8)"),
    "DIV": ("({} / 4)", "({} / 4)"),
    "WHOLE": ("({} DIV 4)", "trunc(({})::float8 / 4)::bigint"),
    "NULLIF": ("NULLIF({}, 3)", "nullif({}, 3)"),
    "WIDTH_BUCKET": ("WIDTH_BUCKET({}, -5, 100, 7)", "width_bucket(({})::float8, -5::float8, 100::float8, 7)"),
}

_ALIKE = {"ABS", "FLOOR", "CEILING", "ROUND", "NULLIF"}
"""Functions whose values are of the size of the argument's."""


def numbers(d: Drawing, columns: Columns, depth: int = 2, *, of_rows: bool = False) -> Text:
    """Return a numeric expression; where asked, one that may differ from row to row."""
    kind = d.pick([one for one in _KINDS if one != "literal"] if of_rows else _KINDS)
    if depth == 0 or kind == "column":
        return d.pick(columns.numbers)
    if kind == "bits":
        return _bits(d, columns, farthest=40 if depth == 2 else 20)
    if kind == "rest":
        one = d.pick(columns.integers)
        return Text(f"({one.adql} MOD 7)", f"mod({one.sql}, 7)")
    if kind == "unit":
        return _converted(d, columns)
    if kind == "literal":
        return d.constant(d.pick(columns.numbers))
    one = numbers(d, columns, depth - 1, of_rows=of_rows)
    if kind == "arithmetic":
        other = numbers(d, columns, depth - 1)
        operator = d.pick("+-" if "<<" in one.adql + other.adql else "+-*")
        return text_of(f"({{}} {operator} {{}})", one, other)
    if kind == "cast":
        target = d.pick(["DOUBLE PRECISION", "FLOAT"])
        return Text(f"CAST({one.adql} AS {target})", f"({one.sql})::float8", one.column)
    if kind == "case":
        default = d.small()
        return Text(f"COALESCE({one.adql}, {default})", f"COALESCE({one.sql}, ({default}))", one.column)
    name = d.pick(list(_FUNCTIONS))
    adql, sql = _FUNCTIONS[name]
    return Text(adql.format(one.adql), sql.format(one.sql), one.column if name in _ALIKE else "")


def _bits(d: Drawing, columns: Columns, *, farthest: int) -> Text:
    """Return bit operators of whole numbers, without brackets: how they bind is PostgreSQL's."""
    parts = [d.pick(columns.integers) for _ in range(d.whole(1, 3))]
    text = text_of("~{}" if d.flag() else "{}", parts[0])
    for part in parts[1:]:
        operator = d.pick(["&", "|", "^", "#"])
        text = Text(f"{text.adql} {operator} {part.adql}", f"{text.sql} {operator.replace('^', '#')} {part.sql}")
    mask = d.whole(0, 255)
    text = Text(f"{text.adql} & 0x{mask:X}", f"{text.sql} & {mask}")
    if d.flag():
        shift, by = d.pick(["<<", ">>"]), d.whole(0, farthest)
        text = text_of(f"{{}} {shift} {by}", text)
    return text_of("({})", text)


_UNITS = {"coord_dec": ("arcsec", 3600.0), "gFlux": ("uJy", 1e-3), "rFlux": ("pJy", 1000.0)}
"""Columns that have a unit, with another one and how much of it one is."""


def _converted(d: Drawing, columns: Columns) -> Text:
    """Return a column in another unit."""
    known = [one for one in columns.numbers if one.column in _UNITS]
    if not known:
        return d.pick(columns.numbers)
    one = d.pick(known)
    unit, factor = _UNITS[one.column]
    return Text(f"IN_UNIT({one.adql}, '{unit}')", f"(({one.sql})::float8 * {factor!r}::float8)")


def cut_texts(d: Drawing, columns: Columns) -> Text:
    """Return a text or a number as a text of some length."""
    if d.seldom(6):
        one = d.pick(columns.integers)
        return Text(f"HEX({one.adql})", f"upper(to_hex(({one.sql})::bigint))")
    one = d.pick(columns.texts + columns.integers)
    return text_of(f"CAST({{}} AS {d.pick(['VARCHAR', 'CHAR'])}({d.whole(1, 6)}))", one)


def places(position: tuple[Text, Text]) -> tuple[Text, ...]:
    """Return shapes to select."""
    ra, dec = position
    known = f"{ra.sql} IS NOT NULL"
    return (
        Text(f"POINT({ra.adql}, {dec.adql})", f"CASE WHEN {known} THEN ARRAY[{ra.sql}, {dec.sql}] END"),
        Text(f"CIRCLE({ra.adql}, {dec.adql}, 2.5)", f"CASE WHEN {known} THEN ARRAY[{ra.sql}, {dec.sql}, 2.5] END"),
    )


_AGGREGATES = ["count", "count_of", "distinct", "sum", "sum_whole", "avg", "min", "max", "ratio"]


_OF_TRUTH = [
    ("SUM({})", "SUM(({})::integer)"),
    ("AVG({})", "AVG(({})::integer)::float8"),
    ("MIN({})", "BOOL_AND({})"),
    ("MAX({})", "BOOL_OR({})"),
]
"""Aggregates of what is true or false."""


def aggregates(d: Drawing, columns: Columns) -> Text:
    """Return an aggregate."""
    kind = d.pick([*_AGGREGATES, "truth"] if columns.booleans else _AGGREGATES)
    if kind == "truth":
        adql, sql = d.pick(_OF_TRUTH)
        one = d.pick(columns.booleans)
        return Text(adql.format(one.adql), sql.format(one.sql))
    if kind == "count":
        return Text("COUNT(*)", "COUNT(*)")
    if kind == "distinct":
        return text_of("COUNT(DISTINCT {})", d.pick(columns.integers + columns.texts))
    if kind == "sum_whole":
        one = d.pick(columns.integers)
        return Text(f"SUM({one.adql})", f"SUM({one.sql})::bigint")
    one = numbers(d, columns, 1)
    if kind == "count_of":
        return text_of("COUNT({})", one)
    if kind == "ratio":
        return Text(f"(MAX({one.adql}) - MIN({one.adql})) / 2.0", f"(MAX({one.sql}) - MIN({one.sql})) / 2.0::float8")
    if kind in {"sum", "avg"}:
        # of positive numbers: the order of summation must not show
        name = kind.upper()
        return Text(f"{name}(1.0 * ABS({one.adql}))", f"{name}((1.0::float8 * abs({one.sql})))")
    return text_of(f"{kind.upper()}({{}})", one)
