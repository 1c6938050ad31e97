"""sqlglot's expressions to ours: names bound, types checked, everything that is not listed here refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.scope import Scope
from qserv_py.adql.expressions import aggregates, arithmetic, choices, conditions, leaves
from qserv_py.adql.expressions.builder import Handler
from qserv_py.adql.expressions.casts import cast
from qserv_py.adql.expressions.named_calls import call
from qserv_py.adql.expressions.operands import mismatch
from qserv_py.adql.expressions.truth import as_condition
from qserv_py.adql.expressions.windows import window
from qserv_py.adql.node_parts import unread_parts
from qserv_py.adql.places import Failures
from qserv_py.adql.tree import Expr, Query
from qserv_py.adql.wording import describe, remedy
from qserv_py.catalog.types import DataType
from qserv_py.errors import AdqlSyntaxError, LimitError

MAX_NESTING = 200
"""Operators and calls inside one another; whatever walks our tree recurses."""

_HANDLERS: dict[type, Handler] = {
    exp.Column: leaves.column,
    exp.Literal: leaves.literal,
    exp.HexString: leaves.hexadecimal,
    exp.Null: leaves.null,
    exp.Boolean: leaves.truth,
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
        self.failures: Failures = scope.failures
        self._subquery = subquery
        self._nesting = 0

    def build(self, node: Any) -> Expr:
        """Return our expression for one of sqlglot's."""
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise self._refusal(node)
        if unread_parts(node):
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
