"""Values that fail for some rows: a division by zero, a number beyond its type, a text that is no number.

Both servers must fail then. They stand where each row of the answer needs them: in a select list, or in an aggregate of
all groups.
"""

from __future__ import annotations

from support.random_queries.columns import Columns
from support.random_queries.drawing import Drawing, Text, text_of

_FORMS = [
    ("100 / {0}", "100 / {0}"),
    ("{0} % {1}", "{0} % {1}"),
    ("1.5 / {2}", "1.5::float8 / ({2})"),
    ("1.5 / {0}", "1.5::float8 / ({0})"),
    ("2147483000 + 100 * CAST({0} AS INTEGER)", "2147483000 + 100 * ({0})::integer"),
    ("9223372036854775000 + 100 * {0}", "9223372036854775000 + 100 * ({0})::bigint"),
    ("CAST({0} * 3000 AS SMALLINT)", "(({0}) * 3000::bigint)::smallint"),
    ("CAST({2} AS INTEGER)", "({2})::integer"),
    ("CAST({2} * 1e7 AS INTEGER)", "(({2}) * 1e7::float8)::integer"),
    ("CAST({3} AS INTEGER)", "({3})::integer"),
    ("CAST({3} AS DOUBLE PRECISION)", "({3})::float8"),
    ("SQRT({2} - {4})", "sqrt((({2}) - {4})::float8)"),
    ("LOG({2} - {4})", "ln((({2}) - {4})::float8)"),
    ("LOG10({0})", "log(({0})::float8)"),
    ("EXP({2} * 10)", "exp((({2}) * 10)::float8)"),
    ("POWER(10, {0} * 40)", "power(10::float8, (({0}) * 40)::float8)"),
    ("POWER({2} - {4}, 0.5)", "power((({2}) - {4})::float8, 0.5::float8)"),
    ("ASIN({2} / 200)", "asin((({2}) / 200)::float8)"),
]
"""Of two whole numbers, a number, a text and a constant."""


def may_fail(d: Drawing, columns: Columns) -> Text:
    """Return a value that fails for some rows of some answers."""
    number = d.pick(columns.numbers)
    adql, sql = d.pick(_FORMS)
    parts = d.pick(columns.integers), d.pick(columns.integers), number, d.pick(columns.texts), d.constant(number)
    return Text(text_of(adql, *parts).adql, text_of(sql, *parts).sql)
