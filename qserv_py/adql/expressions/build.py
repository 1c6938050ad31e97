"""sqlglot's expressions to ours: names bound, types checked, everything that is not listed here refused.

Columns and constants are built here, each other kind by its own module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.scope import Scope
from qserv_py.adql.error_places import ErrorFactory, offset_of, parts_besides
from qserv_py.adql.expressions import aggregates, arithmetic, choices, conditions
from qserv_py.adql.expressions.builder import Builder, Handler
from qserv_py.adql.expressions.casts import cast
from qserv_py.adql.expressions.conditions import as_condition
from qserv_py.adql.expressions.named_calls import call
from qserv_py.adql.expressions.operands import literal_type, mismatch
from qserv_py.adql.expressions.windows import window
from qserv_py.adql.tree import Expr, Literal, Query
from qserv_py.adql.wording import describe, remedy
from qserv_py.catalog.types import DataType
from qserv_py.errors import AdqlSyntaxError, LimitError, TypeMismatchError

MAX_NESTING = 200
"""Operators and calls inside one another; whatever walks our tree recurses."""


def column(node: Any, builder: Builder) -> Expr:
    """Return the column that a name means."""
    if node.args.get("catalog"):
        raise builder.failures.unsupported(
            "names have at most three parts: database.table.column",
            node,
            hint="Leave out what stands before the database.",
        )
    if isinstance(node.this, exp.Star):
        raise builder.failures.error(
            AdqlSyntaxError,
            '"*" cannot stand in an expression',
            node,
            hint="Write the columns one by one, or COUNT(*).",
        )
    return builder.scope.column_of(node)


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


def _real(text: str, place: int | None, failures: ErrorFactory) -> Expr:
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


_HANDLERS: dict[type, Handler] = {
    exp.Column: column,
    exp.Literal: literal,
    exp.HexString: hexadecimal,
    exp.Null: null,
    exp.Boolean: truth,
    exp.Paren: lambda node, builder: builder.build(node.this),
    exp.Neg: arithmetic.negate,
    **dict.fromkeys(arithmetic.ARITHMETIC, arithmetic.arithmetic),
    **dict.fromkeys(arithmetic.BITWISE, arithmetic.bitwise),
    exp.IntDiv: arithmetic.whole_division,
    exp.BitwiseNot: arithmetic.complement,
    exp.DPipe: arithmetic.concatenation,
    exp.And: conditions.logic,
    exp.Or: conditions.logic,
    exp.Not: conditions.negation,
    **dict.fromkeys(conditions.COMPARISONS, conditions.comparison),
    exp.NullSafeEQ: conditions.null_safe,
    exp.NullSafeNEQ: conditions.null_safe,
    exp.Is: conditions.is_test,
    exp.Between: conditions.between,
    exp.In: conditions.membership,
    exp.Exists: conditions.exists,
    exp.Like: conditions.like,
    exp.ILike: conditions.like,
    exp.Case: choices.case,
    exp.Coalesce: choices.coalesce,
    exp.Subquery: choices.scalar_query,
    exp.Select: choices.scalar_query,
    exp.Cast: cast,
    **dict.fromkeys(aggregates.BASIC_NODES, aggregates.basic_aggregate),
    exp.Anonymous: call,
    exp.Window: window,
}
"""What builds each kind of sqlglot's nodes; a kind that is not here is refused."""

_USUAL_PARTS = {"this", "expression"}
_PARTS = {
    exp.Column: {"this", "table", "db", "catalog"},
    exp.Literal: {"this", "is_string"},
    exp.HexString: {"this", "is_integer"},
    exp.Is: {"this", "expression", "negate"},
    exp.Between: {"this", "low", "high", "symmetric"},
    exp.In: {"this", "expressions", "query", "unnest", "field"},
    exp.Like: {"this", "expression", "negate"},
    exp.ILike: {"this", "expression", "negate"},
    exp.Case: {"this", "ifs", "default"},
    exp.Coalesce: {"this", "expressions"},
    exp.Cast: {"this", "to"},
    exp.DPipe: {"this", "expression", "safe"},
    exp.Div: {"this", "expression", "typed", "safe"},
    exp.Anonymous: {"this", "expressions"},
    exp.Window: {"this", "partition_by", "order", "spec", "over"},
    exp.Count: {"this", "expressions", "big_int"},
    exp.Min: {"this", "expressions"},
    exp.Max: {"this", "expressions"},
}
"""The parts of a node that its builder looks at: "x IS NOT NULL" is an ``Is`` with a part ``negate``."""


def _has_more(node: Any) -> bool:
    """Whether a node has parts that its builder would pass over in silence; a query has its own that looks."""
    known = _PARTS.get(type(node), _USUAL_PARTS)
    return bool(parts_besides(node, known)) and not isinstance(node, exp.Query)


def _condition_hint(value: Expr) -> str:
    if value.type is not None and value.type.is_numeric:
        return "Compare the number: x <> 0."
    if value.type is not None and value.type.is_text:
        return "Compare the text: x = 'y', or x LIKE 'y%'."
    if value.type is not None and value.type.is_shape:
        return "Write CONTAINS(point, shape) or INTERSECTS(shape, shape)."
    return "Write a comparison, or IS NOT NULL."


class ExpressionBuilder:
    """Builds the expressions of one block.

    Parameters
    ----------
    scope
        What names mean.
    subquery
        Resolves a query inside an expression, in the scope around it.
    strict
        Whether only ADQL 2.1 is taken.
    """

    def __init__(self, scope: Scope, subquery: Callable[[Any, Scope], Query], *, strict: bool = False) -> None:
        self.scope = scope
        self.strict = strict
        self.failures: ErrorFactory = scope.failures
        self._subquery = subquery
        self._nesting = 0

    def build(self, node: Any) -> Expr:
        """Return our expression for one of sqlglot's."""
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise self._refusal(node)
        if _has_more(node):
            raise self.failures.unsupported(
                f"{describe(node)} is not answered in this form",
                node,
                hint="Write it without the words that ADQL does not have.",
            )
        if self._nesting >= MAX_NESTING:
            raise LimitError(
                f"an expression nests more than {MAX_NESTING} operators",
                hint="Take a long sum in parts: (a + b + ...) + (c + d + ...).",
            )
        self._nesting += 1
        try:
            return handler(node, self)
        finally:
            self._nesting -= 1

    def condition(self, node: Any, clause: str) -> Expr:
        """Return an expression that is true or false."""
        built = self.build(node)
        condition = as_condition(built)
        if condition is None:
            raise mismatch(f"{clause} needs a condition", built, node, self.failures, hint=_condition_hint(built))
        return condition

    def value(self, node: Any) -> Expr:
        """Return an expression that is a value."""
        built = self.build(node)
        if built.type is DataType.REGION:
            raise self.failures.unsupported(
                "a REGION whose kind the rows tell can stand only inside geometric functions",
                built.offset,
                hint="CAST it to POINT, CIRCLE or POLYGON, or select the column itself.",
            )
        return built

    def subquery(self, node: Any) -> Query:
        """Return a query inside an expression."""
        return self._subquery(node, self.scope)

    def _refusal(self, node: Any) -> Exception:
        if isinstance(node, exp.Star):
            return self.failures.error(
                AdqlSyntaxError,
                '"*" can stand only alone or in COUNT(*)',
                node,
                hint="Write the columns, t.* as an item of SELECT, or COUNT(*).",
            )
        return self.failures.unsupported(f"{describe(node)} is not answered", node, hint=remedy(node))
