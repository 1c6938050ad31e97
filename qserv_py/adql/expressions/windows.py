"""Window functions: which there are, what they take, and their frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from qserv_py.adql.error_places import ErrorFactory, offset_of
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.operands import mismatch
from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, AGGREGATES
from qserv_py.adql.text.tokens import MARK
from qserv_py.adql.tree import Aggregate, Expr, Window
from qserv_py.adql.walks import contains_window, is_stable
from qserv_py.adql.wording import written
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError, UnknownFunctionError
from qserv_py.hints import did_you_mean

WINDOW_FUNCTIONS: dict[str, tuple[int, int, DataType | None]] = {
    "ROW_NUMBER": (0, 0, DataType.LONG),
    "RANK": (0, 0, DataType.LONG),
    "DENSE_RANK": (0, 0, DataType.LONG),
    "PERCENT_RANK": (0, 0, DataType.DOUBLE),
    "CUME_DIST": (0, 0, DataType.DOUBLE),
    "NTILE": (1, 1, DataType.INT),
    "LAG": (1, 2, None),
    "LEAD": (1, 2, None),
    "FIRST_VALUE": (1, 1, None),
    "LAST_VALUE": (1, 1, None),
    "NTH_VALUE": (2, 2, None),
}
"""Functions that only a window has: fewest and most arguments, type (None: that of the first argument)."""

_BORDER = re.compile(r"UNBOUNDED (PRECEDING|FOLLOWING)|CURRENT ROW|\d{1,18} (PRECEDING|FOLLOWING)")


def window(node: Any, builder: Builder) -> Expr:
    """Return a function with OVER."""
    name, kind, arguments = _function(node, builder)
    order = node.args.get("order")
    partition_by = tuple(builder.value(part) for part in node.args.get("partition_by") or ())
    order_by = tuple(_order_key(part, builder) for part in (order.expressions if order is not None else ()))
    for expr in (*arguments, *partition_by, *(key for key, _ in order_by)):
        if contains_window(expr):
            hint = "Compute the inner one in a sub-query in FROM."
            raise builder.failures.error(
                TypeMismatchError, f"{name} holds another window function", expr.offset, hint=hint
            )
    for expr in (*partition_by, *(key for key, _ in order_by)):
        if not is_stable(expr):
            hint = "Compute RAND() in a sub-query in FROM, and name its column here."
            raise builder.failures.unsupported("RAND() as a key of a window is not answered", expr.offset, hint=hint)
    return Window(
        type=kind,
        name=name,
        arguments=tuple(arguments),
        partition_by=partition_by,
        order_by=order_by,
        frame=_frame(node.args.get("spec"), node, builder.failures),
        offset=offset_of(node),
    )


def _function(node: Any, builder: Builder) -> tuple[str, DataType | None, Sequence[Expr]]:
    """Return name, type and arguments of what stands before OVER."""
    function = node.this
    if isinstance(function, exp.Anonymous):
        name = str(function.this).removeprefix(MARK).upper()
        arguments = [builder.value(part) for part in function.expressions]
        return name, _type_of(name, arguments, function, builder.failures), arguments
    built = builder.build(function)
    if not isinstance(built, Aggregate) or built.distinct:
        raise builder.failures.unsupported(
            "OVER can follow only an aggregate or a window function",
            node,
            hint="Write OVER after SUM(x), ROW_NUMBER() and the like; without DISTINCT.",
        )
    return built.name, built.type, [built.operand] if built.operand is not None else []


def _type_of(name: str, arguments: Sequence[Expr], node: Any, failures: ErrorFactory) -> DataType | None:
    if name in AGGREGATE_FUNCTIONS:
        raise failures.unsupported(
            f"{AGGREGATE_FUNCTIONS[name].name} with OVER is not answered",
            node,
            hint="Group in a sub-query of FROM and join it.",
        )
    known = WINDOW_FUNCTIONS.get(name)
    if known is None:
        raise failures.error(
            UnknownFunctionError,
            f'window function "{name}" is not known',
            node,
            hint=did_you_mean(name, [*WINDOW_FUNCTIONS, *AGGREGATES]),
        )
    least, most, kind = known
    if not least <= len(arguments) <= most:
        raise failures.error(
            UnknownFunctionError,
            f"{name} does not take {len(arguments)} arguments",
            node,
            hint="See the window functions in the reference: LAG(x, 1), NTILE(4), RANK().",
        )
    for count in arguments[1:2] if kind is None else arguments:
        if count.type is None or not count.type.is_integer:
            raise mismatch(f"{name} needs a whole number", count, node, failures)
    return kind or arguments[0].type


def _order_key(part: Any, builder: Builder) -> tuple[Expr, bool]:
    descending = bool(part.args.get("desc"))
    if bool(part.args.get("nulls_first")) != descending:
        raise builder.failures.unsupported(
            "NULLS FIRST and NULLS LAST are not answered", part, hint="NULL counts as the largest value."
        )
    return builder.value(part.this), descending


def _frame(spec: Any, node: Any, failures: ErrorFactory) -> str:
    """Return a frame as SQL, made of its known words and numbers."""
    if spec is None:
        return ""
    kind = str(spec.args.get("kind") or "").upper()
    borders = [_border(spec, end, node, failures) for end in ("start", "end") if spec.args.get(end) is not None]
    if kind not in {"ROWS", "RANGE", "GROUPS"} or spec.args.get("exclude") or not borders:
        raise failures.unsupported(
            "this frame of a window is not answered", node, hint="Write ROWS BETWEEN ... PRECEDING AND ... FOLLOWING."
        )
    return f"{kind} BETWEEN {borders[0]} AND {borders[1] if len(borders) > 1 else 'CURRENT ROW'}"


_LONGEST_BORDER = 18
"""Digits of a number of rows; PostgreSQL and DuckDB take a BIGINT."""


def _border(spec: Any, end: str, node: Any, failures: ErrorFactory) -> str:
    border, side = spec.args[end], str(spec.args.get(f"{end}_side") or "").upper()
    if isinstance(border, exp.Literal) and not border.is_string and str(border.this).isdecimal():
        text = str(border.this).lstrip("0") or "0"
        if len(text) > _LONGEST_BORDER:
            raise failures.unsupported(f"the frame border {text} is too large", border)
    else:
        text = border.upper() if isinstance(border, str) else written(border).upper()
    shown = f"{text} {side}".strip()
    if not _BORDER.fullmatch(shown):
        raise failures.unsupported(
            f"the frame border {shown} is not answered",
            node,
            hint="Write UNBOUNDED PRECEDING, n PRECEDING, CURRENT ROW, n FOLLOWING or UNBOUNDED FOLLOWING.",
        )
    return shown
