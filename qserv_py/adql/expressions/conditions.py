"""Conditions: comparisons, IN, BETWEEN, LIKE, IS, EXISTS, and what AND, OR and NOT make of them.

A condition is a value, too: true counts 1 and false 0, as users of other databases are used to. Strict mode knows of it
only ``= 1``, ``= 0`` and the like.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from qserv_py.adql.error_places import ErrorFactory, offset_of
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.casts import time_constant
from qserv_py.adql.expressions.operands import check_text, comparable, mismatch, type_of, unfilled, with_types
from qserv_py.adql.tree import (
    Between,
    Call,
    Cast,
    ColumnRef,
    Comparison,
    ExistsQuery,
    Expr,
    InList,
    InQuery,
    IsNull,
    Joined,
    Like,
    Literal,
    Logic,
    Not,
    SameOrNull,
    ScalarQuery,
)
from qserv_py.adql.walks import is_stable, leaves, nullable, walk
from qserv_py.catalog.model import Column
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError

COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_MIRROR = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def logic(node: Any, builder: Builder) -> Expr:
    """Return a chain of ANDs or ORs as one."""
    operator = "AND" if isinstance(node, exp.And) else "OR"
    operands = [builder.condition(part, operator) for part in _chain(node, type(node))]
    return Logic(type=DataType.BOOLEAN, operator=operator, operands=tuple(operands), offset=operands[0].offset)


def _chain(node: Any, kind: Any) -> list[Any]:
    """Return the operands of a left-leaning chain of one operator, without recursion."""
    operands: list[Any] = []
    while type(node) is kind:
        operands.append(node.right)
        node = node.left
    operands.append(node)
    return operands[::-1]


def conjuncts(expr: Expr) -> list[Expr]:
    """Return the conditions that an AND joins, however nested."""
    if isinstance(expr, Logic) and expr.operator == "AND":
        return [part for operand in expr.operands for part in conjuncts(operand)]
    return [expr]


def negation(node: Any, builder: Builder) -> Expr:
    """Return NOT."""
    return negated(builder.condition(node.this, "NOT"))


def comparison(node: Any, builder: Builder) -> Expr:
    """Return ``=``, ``<`` and so on."""
    left, right = builder.value(node.left), builder.value(node.right)
    return compared(COMPARISONS[type(node)], left, right, node, builder)


def compared(operator: str, left: Expr, right: Expr, node: Any, builder: Builder) -> Expr:
    """Return the comparison of two values; a constant stands at the right."""
    if isinstance(left, Literal) and not isinstance(right, Literal):
        left, right, operator = right, left, _MIRROR[operator]
    flag = truth_test(operator, left, right, strict=builder.strict)
    if flag is not None:
        return flag
    if isinstance(right, Literal) and not builder.strict:
        left = as_condition(left) or left  # what answers 1 or 0, such as CONTAINS
    left, right = _comparable_pair(left, right, node, builder, equal=operator in {"=", "<>"})
    flag = truth_test(operator, left, right, strict=builder.strict)  # of 'true' beside a condition
    built = Comparison(type=DataType.BOOLEAN, operator=operator, left=left, right=right, offset=left.offset)
    return flag or built


def _comparable_pair(left: Expr, right: Expr, node: Any, builder: Builder, *, equal: bool = False) -> tuple[Expr, Expr]:
    """Both sides brought to types that can be compared.

    ``node`` is the place that an error names; ``equal`` says that order does not matter.
    """
    failures = builder.failures
    left, right = comparable_truth(left, right, node, builder)
    left, right = (unfilled(side) for side in _with_times(left, right, failures))
    if not comparable(left.type, right.type):
        what = f"{type_of(left)} and {type_of(right)} cannot be compared"
        raise mismatch(what, right, node, failures, hint=_quote_hint(left, right, equal=equal))
    return left, right


def _with_times(left: Expr, right: Expr, failures: ErrorFactory) -> tuple[Expr, Expr]:
    """Give a text literal beside a time the type of the time."""
    if left.type is DataType.TIMESTAMP and isinstance(right, Literal) and isinstance(right.value, str):
        return left, time_constant(right, failures)
    if right.type is DataType.TIMESTAMP and isinstance(left, Literal) and isinstance(left.value, str):
        return time_constant(left, failures), right
    return left, right


def _quote_hint(left: Expr, right: Expr, *, equal: bool) -> str:
    if is_truth(left) or is_truth(right):
        return "What is true or false compares with TRUE, FALSE, 1, 0, 'true', 'false' and with numbers."
    kinds = [side.type for side in (left, right)]
    if DataType.TIMESTAMP in kinds and any(kind is not None and kind.is_numeric for kind in kinds):
        return "ivo_to_mjd(t) > 60676 compares a time with a Modified Julian Date, t > '2025-01-01' with a text."
    number = left.type is not None and left.type.is_numeric
    if number and isinstance(right, Literal) and isinstance(right.value, str):
        return f"Write {right.value} without quotes." if right.value.replace(".", "").isdigit() else ""
    text = left.type is not None and left.type.is_text
    if text and isinstance(right, Literal) and not isinstance(right.value, str):
        # as texts '10' comes before '9': quotes would answer another question
        cast = "The column holds text; of numbers in it CAST(x AS DOUBLE PRECISION) makes numbers."
        return f"Write '{right.value}'." if equal else cast
    return ""


def null_safe(node: Any, builder: Builder) -> Expr:
    """Return ``<=>``, which is ``IS NOT DISTINCT FROM``, or ``IS DISTINCT FROM``."""
    left, right = builder.value(node.left), builder.value(node.right)
    if isinstance(left, Literal) and not isinstance(right, Literal):
        left, right = right, left
    same = _same(left, right, node, builder)
    return negated(same) if isinstance(node, exp.NullSafeNEQ) else same


def _same(left: Expr, right: Expr, node: Any, builder: Builder) -> Expr:
    """Return that two values are equal or both NULL; beside a constant with a plain comparison, as that prunes."""
    if isinstance(right, Literal) and right.value is None:
        return IsNull(type=DataType.BOOLEAN, operand=left, offset=left.offset)
    if isinstance(right, Literal) and is_repeatable(left):
        equal = compared("=", left, right, node, builder)
        known = negated(IsNull(type=DataType.BOOLEAN, operand=left, offset=left.offset))
        return Logic(type=DataType.BOOLEAN, operator="AND", operands=(equal, known), offset=left.offset)
    left, right = _comparable_pair(left, right, node, builder)
    return SameOrNull(type=DataType.BOOLEAN, left=left, right=right, offset=left.offset)


def plain_equalities(
    joined: Joined | None, where: Sequence[Expr], sources: Iterable[int]
) -> tuple[Joined | None, tuple[Expr, ...]]:
    """Return joins and conditions in which ``a <=> b`` is ``a = b`` where one is never NULL: so keys meet.

    A condition that is false there and one that is NULL leave out the same rows.
    """
    present = set(sources) - nullable(joined)
    plain = None if joined is None else _plain_joins(joined)
    return plain, tuple(_plain(condition, present) for condition in where)


def _plain_joins(joined: Joined) -> Joined:
    left, right = (_plain_joins(side) if isinstance(side, Joined) else side for side in (joined.left, joined.right))
    present = leaves(joined) - nullable(left) - nullable(right)
    return replace(joined, left=left, right=right, on=tuple(_plain(condition, present) for condition in joined.on))


def _plain(condition: Expr, present: Container[int]) -> Expr:
    if not isinstance(condition, SameOrNull):
        return condition
    left, right = condition.left, condition.right
    if not any(_is_never_null(side, present) for side in (left, right)):
        return condition
    return Comparison(type=DataType.BOOLEAN, operator="=", left=left, right=right, offset=condition.offset)


def _is_never_null(expr: Expr, present: Container[int]) -> bool:
    """Whether an expression is a column that its schema forbids to be NULL, of a source that no join makes NULL."""
    column = expr.about if isinstance(expr, ColumnRef) and expr.source in present else None
    return isinstance(column, Column) and not column.nullable


def is_repeatable(expr: Expr) -> bool:
    """Whether an expression may be written twice: it is cheap, and the same each time."""
    costly = (InQuery, ExistsQuery, ScalarQuery)
    return is_stable(expr) and not any(isinstance(part, costly) for part in walk(expr))


def is_test(node: Any, builder: Builder) -> Expr:
    """Return ``IS NULL``, ``IS TRUE`` or ``IS FALSE``, or what NOT makes of them."""
    if isinstance(node.expression, exp.Boolean):
        found = _same(builder.condition(node.this, "IS"), builder.value(node.expression), node, builder)
    elif isinstance(node.expression, exp.Null):
        operand = builder.value(node.this)
        found = IsNull(type=DataType.BOOLEAN, operand=operand, offset=operand.offset)
    else:
        raise builder.failures.unsupported(
            "IS can be followed only by NULL, TRUE, FALSE or DISTINCT FROM, and NOT before them",
            node,
            hint="Write = for a comparison.",
        )
    return negated(found) if node.args.get("negate") else found


def between(node: Any, builder: Builder) -> Expr:
    """Return ``BETWEEN low AND high``."""
    if node.args.get("symmetric"):
        raise builder.failures.unsupported(
            "BETWEEN SYMMETRIC is not ADQL", node, hint="Write BETWEEN with the smaller value first."
        )
    operand = as_number(builder.value(node.this), builder)
    bounds = []
    for part in (node.args["low"], node.args["high"]):
        operand, bound = _comparable_pair(operand, builder.value(part), part, builder)
        bounds.append(bound)
    return Between(type=DataType.BOOLEAN, operand=operand, low=bounds[0], high=bounds[1], offset=operand.offset)


def membership(node: Any, builder: Builder) -> Expr:
    """Return IN with a list or with a sub-query."""
    operand = builder.value(node.this)
    if node.args.get("query") is not None:
        return _in_query(operand, node, builder)
    if node.args.get("unnest") is not None or node.args.get("field") is not None:
        raise builder.failures.unsupported(
            "this form of IN is not ADQL", node, hint="Write IN (value, ...) or IN (SELECT ...)."
        )
    values = [builder.value(part) for part in node.expressions]
    if is_truth(operand) and not all(isinstance(value, Literal) or is_truth(value) for value in values):
        operand = as_number(operand, builder)
    items = []
    for part, value in zip(node.expressions, values, strict=True):
        operand, item = _comparable_pair(operand, value, part, builder, equal=True)
        items.append(item)
    return InList(type=DataType.BOOLEAN, operand=operand, items=tuple(items), offset=operand.offset)


def _in_query(operand: Expr, node: Any, builder: Builder) -> Expr:
    inner = builder.subquery(node.args["query"])
    if len(inner.items) != 1:
        raise builder.failures.error(
            TypeMismatchError,
            f"the sub-query of IN has {len(inner.items)} columns, it needs one",
            node,
            hint="Select one column; for several, write EXISTS with a condition for each.",
        )
    kind = inner.items[0].expr.type
    if kind is not None and kind.is_numeric:
        operand = as_number(operand, builder)
    elif kind is DataType.BOOLEAN and operand.type is not None and operand.type.is_numeric and not builder.strict:
        kind = DataType.INT
        inner = with_types(inner, [kind])
    if not comparable(operand.type, kind):
        raise mismatch(
            "IN compares different types",
            operand,
            node,
            builder.failures,
            hint="CAST one side to the type of the other.",
        )
    return InQuery(type=DataType.BOOLEAN, operand=operand, query=inner, offset=operand.offset)


def exists(node: Any, builder: Builder) -> Expr:
    """Return EXISTS."""
    return ExistsQuery(type=DataType.BOOLEAN, query=builder.subquery(node.this), offset=offset_of(node))


def _has_text(kind: DataType) -> bool:
    """Whether values of a type have a text that LIKE can look at: that of CAST."""
    return kind.is_numeric or kind is DataType.TIMESTAMP


def like(node: Any, builder: Builder) -> Expr:
    """Return LIKE or ILIKE."""
    operand, pattern = builder.value(node.this), builder.value(node.expression)
    if not builder.strict and operand.type is not None and _has_text(operand.type):
        operand = Cast(type=DataType.TEXT, operand=operand, offset=operand.offset)
    check_text((operand, pattern), "LIKE", node, builder.failures)
    fold = isinstance(node, exp.ILike)
    built = Like(type=DataType.BOOLEAN, operand=operand, pattern=pattern, fold=fold, offset=operand.offset)
    return negated(built) if node.args.get("negate") else built


# conditions as values

_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
"""What PostgreSQL reads as a boolean."""

_NUMBERS: dict[float, bool] = {0: False, 1: True}

_TRUE = {("=", 1), ("<>", 0), (">", 0), (">=", 1)}
"""Comparisons of a condition, as a number, that say that it holds."""

_FALSE = {("=", 0), ("<>", 1), ("<", 1), ("<=", 0)}


def negated(operand: Expr) -> Expr:
    """Return NOT of a condition."""
    if isinstance(operand, Not):
        return operand.operand
    return Not(type=DataType.BOOLEAN, operand=operand, offset=operand.offset)


def as_number(expr: Expr, builder: Builder) -> Expr:
    """Return a condition as 1 or 0, and anything else as it is; strict mode leaves all as it is."""
    if expr.type is not DataType.BOOLEAN or builder.strict:
        return expr
    if isinstance(expr, Literal):
        return Literal(type=DataType.INT, value=int(bool(expr.value)), offset=expr.offset)
    return Cast(type=DataType.INT, operand=expr, offset=expr.offset)


def as_condition(expr: Expr) -> Expr | None:
    """Return what a value says as a condition; None where it is none: ``CONTAINS(...)`` alone is ``= 1``."""
    if expr.type in {DataType.BOOLEAN, None}:
        return expr
    if (inside := _counted(expr)) is not None:
        return inside
    if isinstance(expr, Call) and expr.function.answers_truth:
        one = Literal(type=DataType.INT, value=1, offset=expr.offset)
        return Comparison(type=DataType.BOOLEAN, operator="=", left=expr, right=one, offset=expr.offset)
    return None


def _counted(expr: Expr) -> Expr | None:
    """Return the condition that an expression is the 1 or 0 of."""
    if isinstance(expr, Cast) and expr.type is DataType.INT and expr.operand.type is DataType.BOOLEAN:
        return expr.operand
    return None


def truth_test(operator: str, left: Expr, right: Expr, *, strict: bool) -> Expr | None:
    """Turn ``CONTAINS(...) = 1`` and ``boolean column = 0`` into conditions; None when it is neither."""
    inside = left if is_truth(left) else _counted(left)
    if inside is None or isinstance(left, Literal) or (strict and is_truth(left) and operator not in {"=", "<>"}):
        return None
    if not isinstance(right, Literal) or not isinstance(right.value, (int, float)):
        return None
    if (operator, right.value) in _TRUE:
        return inside
    return negated(inside) if (operator, right.value) in _FALSE else None


def is_truth(expr: Expr) -> bool:
    """Whether an expression is true or false; not a bare NULL."""
    return expr.type is DataType.BOOLEAN


def comparable_truth(left: Expr, right: Expr, node: Any, builder: Builder) -> tuple[Expr, Expr]:
    """Return two sides of a comparison, of which one is a condition, in one type; the constant is the right one."""
    if builder.strict:
        return left, right
    if isinstance(right, Literal) and right.value is not None and is_truth(left):
        return left, truth_constant(right, node, builder.failures)
    for one, other in ((left, right), (right, left)):
        if is_truth(one) and other.type is not None and other.type.is_numeric:
            return as_number(left, builder), as_number(right, builder)
    return left, right


def truth_constant(literal: Literal, node: Any, failures: ErrorFactory) -> Literal:
    """Return a constant beside a condition as TRUE or FALSE.

    Raises
    ------
    TypeMismatchError
        If it is neither 1, 0 nor a word for one of them: such a comparison tells nothing.
    """
    value = literal.value
    known = _WORDS.get(value.strip().lower()) if isinstance(value, str) else _NUMBERS.get(value or 0)
    if known is None:
        shown = f"'{value}'" if isinstance(value, str) else value
        raise failures.error(
            TypeMismatchError,
            f"what is true or false is never {shown}",
            node if literal.offset is None else literal.offset,
            hint="Compare it with TRUE, FALSE, 1, 0, 'true' or 'false'.",
        )
    return Literal(type=DataType.BOOLEAN, value=known, offset=literal.offset)
