"""Columns and constants."""

from __future__ import annotations

import math
from typing import Any

from sqlglot import exp

from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.typing_rules import literal_type
from qserv_py.adql.places import Failures, offset_of
from qserv_py.adql.tree import Expr, Literal
from qserv_py.adql.wording import describe, remedy
from qserv_py.catalog.types import DataType
from qserv_py.errors import AdqlSyntaxError, TypeMismatchError


def column(node: Any, builder: Builder) -> Expr:
    """Return the column that a name means."""
    if node.args.get("catalog"):
        raise builder.failures.unsupported(
            "names have at most three parts: database.table.column",
            node,
            hint="Leave out what stands before the database.",
        )
    identifier = node.this
    if isinstance(identifier, exp.Star):
        raise builder.failures.error(
            AdqlSyntaxError,
            '"*" cannot stand in an expression',
            node,
            hint="Write the columns one by one, or COUNT(*).",
        )
    qualifier = None
    if node.args.get("table") is not None:
        table = node.args["table"]
        qualifier = builder.scope.source(table.name, exact=bool(table.args.get("quoted")), node=node)
    return builder.scope.column(
        identifier.name,
        exact=bool(identifier.args.get("quoted")),
        qualifier=qualifier,
        node=node,
        offset=offset_of(node),
    )


def null(node: Any, builder: Builder) -> Expr:
    """Return NULL."""
    return Literal(type=None, value=None, offset=offset_of(node))


def truth(node: Any, builder: Builder) -> Expr:
    """Return TRUE or FALSE."""
    return Literal(type=DataType.BOOLEAN, value=bool(node.this), offset=offset_of(node))


def literal(node: Any, builder: Builder) -> Expr:
    """Return a text or a number."""
    text, place = str(node.this), offset_of(node)
    if node.is_string:
        return Literal(type=DataType.TEXT, value=text, offset=place)
    if not text.isdecimal() or len(text) > _LONGEST_WHOLE:
        return _real(text, place, builder.failures)
    whole = int(text)
    kind = literal_type(whole)
    return Literal(type=kind, value=float(whole) if kind is DataType.DOUBLE else whole, offset=place)


_LONGEST_WHOLE = 300
"""Digits; a number with more is read as a real one, which is refused when it is beyond DOUBLE PRECISION."""


def _real(text: str, place: int | None, failures: Failures) -> Expr:
    value = float(text)
    if math.isinf(value):
        raise failures.error(
            TypeMismatchError,
            f"the number {text} is out of range",
            place,
            hint="The largest number of DOUBLE PRECISION is about 1.8e308.",
        )
    return Literal(type=DataType.DOUBLE, value=value, offset=place)


def hexadecimal(node: Any, builder: Builder) -> Expr:
    """Return a whole number that is written as 0x1F; sqlglot reads x'1F' as the same."""
    place, failures = offset_of(node), builder.failures
    if place is None or failures.text[place : place + 2].lower() != "0x":
        raise failures.unsupported(f"{describe(node)} is not answered", node, hint=remedy(node))
    value = int(str(node.this), 16)
    kind = literal_type(value)
    if not kind.is_integer:
        raise failures.error(
            TypeMismatchError,
            f"the number 0x{node.this} is beyond BIGINT",
            place,
            hint="The largest is 0x7FFFFFFFFFFFFFFF.",
        )
    return Literal(type=kind, value=value, offset=place)
