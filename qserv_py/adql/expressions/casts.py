"""CAST: the names of types, their lengths, what can be converted, and constant texts that are times or shapes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlglot import exp

from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.operands import mismatch, unfilled
from qserv_py.adql.functions.shapes import CAST_TO_SHAPE
from qserv_py.adql.geometry.shapes import shape_of_text
from qserv_py.adql.tree import Call, Cast, Expr, Literal
from qserv_py.adql.wording import written
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

_KNOWN_TYPES = "Write SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, VARCHAR(n), TIMESTAMP or BOOLEAN."

TIME = re.compile(r"(?!0000)\d{4}-\d\d-\d\d(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?Z?)?", re.ASCII)
"""A time as DALI writes it, ISO 8601; a blank may stand for the T, and what is small may be left out. The SQL functions
``to_time`` of both engines take the same texts."""


def cast_target(target: Any, failures: ErrorFactory, node: Any) -> tuple[DataType, int | None]:
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
        raise failures.unsupported(
            f"CAST to {written(target)} is not answered", node, hint=_HINTS.get(name, _KNOWN_TYPES)
        )
    if not target.expressions:
        return kind, 1 if kind is DataType.CHAR else None
    most = MAX_FILLED if kind is DataType.CHAR else MAX_LENGTH
    given = target.expressions[0].this
    text = str(given.this) if isinstance(given, exp.Literal) and not given.is_string else ""
    length = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if len(target.expressions) != 1 or not 1 <= length <= most:
        raise failures.error(
            TypeMismatchError,
            f"the length of {kind.names.adql} must be a whole number from 1 to {most}",
            node,
            hint="Write a whole number: VARCHAR(20).",
        )
    return kind, length


def time_constant(literal: Literal, failures: ErrorFactory) -> Expr:
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


def cast(node: Any, builder: Builder) -> Expr:
    """Return CAST."""
    operand, failures = builder.value(node.this), builder.failures
    shape = _shape_type(node.args["to"])
    if shape is not None:
        return _cast_to_shape(operand, shape, node, failures)
    kind, length = cast_target(node.args["to"], failures, node)
    if operand.type is not None and not _can_cast(operand.type, kind):
        hint = "Write x <> 0." if kind is DataType.BOOLEAN and operand.type.is_numeric else ""
        raise mismatch(f"CAST to {kind.names.adql} is not possible", operand, node, failures, hint=hint)
    if kind is DataType.TIMESTAMP and isinstance(operand, Literal) and isinstance(operand.value, str):
        return time_constant(operand, failures)
    return Cast(type=kind, operand=unfilled(operand), length=length, offset=operand.offset)


def _can_cast(given: DataType, wanted: DataType) -> bool:
    if given.is_list or wanted.is_list or DataType.BINARY in {given, wanted}:
        return given is wanted
    if DataType.BOOLEAN in {given, wanted}:
        return given is wanted or wanted is DataType.INT
    if DataType.TIMESTAMP in {given, wanted}:
        return given is wanted or given.is_text or wanted.is_text
    return True


def _shape_type(target: Any) -> DataType | None:
    """Return the shape that CAST names as its type; None when it names another."""
    kind = target.args.get("kind")
    name = kind.name if isinstance(kind, exp.Identifier) else getattr(target.this, "value", "")
    known = DataType.__members__.get(str(name).upper())
    return known if known is not None and known.is_shape else None


def _cast_to_shape(operand: Expr, kind: DataType, node: Any, failures: ErrorFactory) -> Expr:
    """Return the shape that a text writes; of a row, the query fails where the text is none."""
    if operand.type is kind:
        return operand
    if operand.type is None:
        return Cast(type=kind, operand=operand, offset=operand.offset)
    if not operand.type.is_text:
        raise mismatch(f"CAST to {kind.names.adql} takes text", operand, node, failures)
    if isinstance(operand, Literal) and isinstance(operand.value, str):
        shape = shape_of_text(operand.value, failures, operand.offset)
        if kind not in {shape.type, DataType.REGION}:
            raise mismatch(f"CAST to {kind.names.adql} takes the text of one", shape, node, failures)
        return shape
    word = Literal(type=DataType.TEXT, value=kind.name)
    return Call(type=kind, function=CAST_TO_SHAPE, arguments=(operand, word), offset=operand.offset)
