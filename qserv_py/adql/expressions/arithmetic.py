"""Arithmetic, operators of bits and the joining of texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlglot import exp

from qserv_py.adql.error_places import ErrorFactory, offset_of
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.conditions import as_number
from qserv_py.adql.expressions.operands import (
    arithmetic_type,
    as_double,
    check_number,
    literal_type,
    mismatch,
    typed,
    unfilled,
)
from qserv_py.adql.functions import FUNCTIONS
from qserv_py.adql.tree import Arithmetic, Call, Cast, Expr, Literal, Negate
from qserv_py.adql.wording import describe
from qserv_py.catalog.types import DataType

ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
BITWISE = {
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "#",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseRightShift: ">>",
}


def negate(node: Any, builder: Builder) -> Expr:
    """Return minus a number; of a constant, the constant."""
    operand = as_number(builder.value(node.this), builder)
    check_number(operand, "unary minus", node, builder.failures)
    if isinstance(operand, Literal) and isinstance(operand.value, (int, float)) and not isinstance(operand.value, bool):
        value = -operand.value
        literal = literal_type(value) if isinstance(value, int) else DataType.DOUBLE
        return Literal(type=literal, value=value, offset=operand.offset)
    kind = arithmetic_type(operand.type, None) or DataType.INT
    return Negate(type=kind, operand=typed(operand, kind), offset=operand.offset)


def arithmetic(node: Any, builder: Builder) -> Expr:
    """Return a sum, a difference, a product, a quotient or a remainder."""
    operator = ARITHMETIC[type(node)]
    _check_complement(node, builder.failures)
    left, right = (as_number(builder.value(side), builder) for side in (node.left, node.right))
    kind = arithmetic_type(left.type, right.type)
    if kind is None:
        culprit = left if left.type is not None and not left.type.is_numeric else right
        raise mismatch(f'"{operator}" needs numbers', culprit, node, builder.failures)
    if operator == "%" and not kind.is_integer:
        arguments = (as_double(left), as_double(right))
        return Call(type=DataType.DOUBLE, function=FUNCTIONS["MOD"], arguments=arguments, offset=left.offset)
    left, right = typed(left, kind), typed(right, kind)
    return Arithmetic(type=kind, operator=operator, left=left, right=right, offset=left.offset)


def whole_division(node: Any, builder: Builder) -> Expr:
    """Return DIV between two numbers."""
    left, right = (as_number(builder.value(side), builder) for side in (node.left, node.right))
    for side in (left, right):
        check_number(side, "DIV", node, builder.failures)
    return whole_quotient(left, right)


def whole_quotient(left: Expr, right: Expr) -> Expr:
    """Return the quotient of two numbers without its fraction, a BIGINT; exact for whole numbers."""
    if any(side.type is not None and not side.type.is_integer for side in (left, right)):
        arguments = (as_double(left), as_double(right))
        return Call(type=DataType.LONG, function=FUNCTIONS["DIV"], arguments=arguments, offset=left.offset)
    left, right = (_as_long(side) for side in (left, right))
    return Arithmetic(type=DataType.LONG, operator="/", left=left, right=right, offset=left.offset)


def _as_long(expr: Expr) -> Expr:
    if isinstance(expr, Literal) and expr.value is not None:
        return replace(expr, type=DataType.LONG)
    return expr if expr.type is DataType.LONG else Cast(type=DataType.LONG, operand=expr, offset=expr.offset)


def _check_complement(node: Any, failures: ErrorFactory) -> None:
    """Refuse ``~a + b``: it is ``~(a + b)`` in PostgreSQL and ``(~a) + b`` in most languages."""
    part = node.left
    while type(part) in ARITHMETIC or isinstance(part, exp.Neg):
        part = part.right if type(part) in ARITHMETIC else part.this
    if isinstance(part, exp.BitwiseNot):
        operator = ARITHMETIC[type(node)]
        raise failures.unsupported(
            f'"~" before "{operator}" needs brackets',
            failures.text.rfind("~", 0, offset_of(part)),
            hint=f"Write (~a) {operator} b or ~(a {operator} b).",
        )


def bitwise(node: Any, builder: Builder) -> Expr:
    """Return an operator of the bits of whole numbers."""
    operator = BITWISE[type(node)]
    left, right = (as_number(builder.value(side), builder) for side in (node.left, node.right))
    for side in (left, right):
        if side.type is not None and not side.type.is_integer:
            hint = "Write POWER(x, y) for a power, CAST(x AS BIGINT) for bits." if operator == "#" else ""
            raise mismatch(f"{describe(node)} needs whole numbers", side, node, builder.failures, hint=hint)
    if operator in {"<<", ">>"}:
        kind = arithmetic_type(left.type, None) or DataType.INT
        right = Cast(type=DataType.INT, operand=right) if right.type is not DataType.INT else right
    else:
        kind = arithmetic_type(left.type, right.type) or DataType.INT
        right = typed(right, kind)
    return Arithmetic(type=kind, operator=operator, left=typed(left, kind), right=right, offset=left.offset)


def complement(node: Any, builder: Builder) -> Expr:
    """Return a whole number with all bits changed."""
    operand = builder.value(node.this)
    if operand.type is not None and not operand.type.is_integer:
        raise mismatch('"~" needs a whole number', operand, node, builder.failures)
    kind = arithmetic_type(operand.type, None) or DataType.INT
    ones = Literal(type=DataType.INT, value=-1)
    return Arithmetic(type=kind, operator="#", left=typed(operand, kind), right=ones, offset=operand.offset)


def concatenation(node: Any, builder: Builder) -> Expr:
    """Return two texts as one."""
    left, right = (unfilled(builder.value(side)) for side in (node.left, node.right))
    for side in (left, right):
        if side.type is not None and not side.type.is_text:
            hint = "It joins texts, CAST(x AS VARCHAR) makes one; between conditions write OR."
            raise mismatch('"||" needs text', side, node, builder.failures, hint=hint)
    return Arithmetic(type=DataType.TEXT, operator="||", left=left, right=right, offset=left.offset)
