"""What CAST converts to: the names of types, their lengths, and texts that are times."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlglot import exp

from qserv_py.adql.places import Failures
from qserv_py.adql.tree import Cast, Expr, Literal
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError

MAX_LENGTH = 10_485_760
"""Characters of VARCHAR(n): PostgreSQL's bound."""

MAX_FILLED = 10_000
"""Characters of CHAR(n): every value is filled up to them."""

_TYPES = {
    "SMALLINT": DataType.SHORT,
    "INT": DataType.INT,
    "BIGINT": DataType.LONG,
    "FLOAT": DataType.FLOAT,
    "DOUBLE": DataType.DOUBLE,
    "CHAR": DataType.CHAR,
    "NCHAR": DataType.CHAR,
    "VARCHAR": DataType.STRING,
    "NVARCHAR": DataType.UNICODE,
    "TEXT": DataType.TEXT,
    "TIMESTAMP": DataType.TIMESTAMP,
    "DATETIME": DataType.TIMESTAMP,
    "BOOLEAN": DataType.BOOLEAN,
}
"""By sqlglot's names, which stand for several spellings each: FLOAT is REAL here, and DOUBLE is FLOAT, too."""

_HINTS = {
    "DECIMAL": "Write DOUBLE PRECISION.",
    "TINYINT": "Write SMALLINT.",
    "DATE": "Write TIMESTAMP.",
    "TIMESTAMPTZ": "Write TIMESTAMP: times have no zone.",
}

TIME = re.compile(r"(?!0000)\d{4}-\d\d-\d\d(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?Z?)?", re.ASCII)
"""A time as DALI writes it, ISO 8601; a blank may stand for the T, and what is small may be left out. The SQL functions
``to_time`` of both engines take the same texts."""


def cast_target(target: Any, failures: Failures, node: Any) -> tuple[DataType, int | None]:
    """Return the type that CAST names and its length.

    Raises
    ------
    QueryNotSupportedError
        If the type is none of those that values are converted to.
    TypeMismatchError
        If the length is no whole number within bounds.
    """
    name = getattr(target.this, "value", str(target.this))
    kind = _TYPES.get(name)
    takes_length = kind is not None and kind.is_text and name != "TEXT"
    if kind is None or target.args.get("nested") or (target.expressions and not takes_length):
        raise failures.unsupported(f"CAST to {target.sql()} is not answered", node, hint=_HINTS.get(name, ""))
    if not target.expressions:
        return kind, 1 if kind is DataType.CHAR else None
    most = MAX_FILLED if kind is DataType.CHAR else MAX_LENGTH
    given = target.expressions[0].this
    text = str(given.this) if isinstance(given, exp.Literal) and not given.is_string else ""
    length = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if len(target.expressions) != 1 or not 1 <= length <= most:
        raise failures.error(
            TypeMismatchError, f"the length of {kind.names.adql} must be a whole number from 1 to {most}", node
        )
    return kind, length


def time_constant(literal: Literal, failures: Failures) -> Expr:
    """Return a text constant as a time.

    Raises
    ------
    TypeMismatchError
        If the text is no time.
    """
    text = str(literal.value).strip()
    whole, point, fraction = text.removesuffix("Z").partition(".")
    try:
        if not TIME.fullmatch(text):
            raise ValueError("another form")
        datetime.fromisoformat(whole)
    except ValueError:
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        raise failures.error(
            TypeMismatchError, f"'{shown}' is no time", literal.offset, hint="Write '2026-01-31T12:00:00'."
        ) from None
    written = replace(literal, value=whole + point + fraction[:6])
    return Cast(type=DataType.TIMESTAMP, operand=written, offset=literal.offset)
