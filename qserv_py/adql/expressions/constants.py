"""The value of expressions that hold no column: the planner needs the numbers of regions and keys."""

from __future__ import annotations

import math
import re

from qserv_py.adql.tree import Arithmetic, Cast, Expr, InUnit, Literal, Negate
from qserv_py.adql.words import DEGREES


def constant_number(expr: Expr) -> float | None:
    """Return the number that an expression of literals and ``+ - * /`` is; None for anything else."""
    match expr:
        case Literal(value=bool()):
            return None
        case Literal(value=int() | float() as value):
            return float(value)
        case Negate(operand=operand):
            positive = constant_number(operand)
            return None if positive is None else -positive
        case Cast(operand=operand, type=kind) if kind is not None and not kind.is_integer and kind.is_numeric:
            return constant_number(operand)
        case Arithmetic(operator=operator, left=left, right=right):
            a, b = constant_number(left), constant_number(right)
            if a is None or b is None:
                return None
            whole = expr.type is not None and expr.type.is_integer
            return _apply(operator, a, b, whole=whole)
    return None


def _apply(operator: str, a: float, b: float, *, whole: bool) -> float | None:
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/" if b != 0:
            return float(math.trunc(a / b)) if whole else a / b
    return None


def constant_key(expr: Expr) -> int | str | None:
    """Return the whole number or the text that a literal is; None for anything else."""
    match expr:
        case Literal(value=bool()):
            return None
        case Literal(value=int() | str() as value):
            return value
        case Negate(operand=Literal(value=int() as value)):
            return -value
        case Literal(value=float() as value) if value.is_integer() and abs(value) < 2**53:
            return int(value)
    return None


def unconverted(expr: Expr, low: float, high: float) -> tuple[Expr, float, float]:
    """Return what IN_UNIT converts, with bounds of the converted value as bounds of the value itself."""
    while isinstance(expr, InUnit) and expr.factor > 0:
        low, high = ((bound - expr.shift) / expr.factor for bound in (low, high))
        expr = expr.operand
    return expr, low, high


def degrees_hint(expr: Expr) -> str:
    """Return how a text of hours or degrees, minutes and seconds becomes degrees; empty for anything else."""
    text = expr.value if isinstance(expr, Literal) else None
    return DEGREES if isinstance(text, str) and _SEXAGESIMAL.match(text) else ""


_SEXAGESIMAL = re.compile(r"\s*[+-]?\d{1,3}(?:\s*[:hd\u00b0]|\s+\d+\s)\s*\d", re.IGNORECASE)
