"""Aggregates: the five of ADQL, which sqlglot has nodes for, and those of our table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from qserv_py.adql.error_places import ErrorFactory, offset_of
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.calls import TYPE_OF_NULL, accepts
from qserv_py.adql.expressions.conditions import as_number, is_truth
from qserv_py.adql.expressions.constants import constant_number
from qserv_py.adql.expressions.operands import as_double, check_number, mismatch, sum_type, typed
from qserv_py.adql.functions import AggregateFunction, Kind
from qserv_py.adql.tree import Aggregate, Expr, Literal
from qserv_py.adql.walks import column_refs, contains_aggregate, contains_window, free_refs, subqueries
from qserv_py.catalog.types import DataType
from qserv_py.errors import AdqlSyntaxError, TypeMismatchError, UnknownFunctionError

BASIC_NODES = {exp.Count: "COUNT", exp.Sum: "SUM", exp.Avg: "AVG", exp.Min: "MIN", exp.Max: "MAX"}

_OF_CONDITIONS = {"MIN": "BOOL_AND", "MAX": "BOOL_OR"}
"""Extremes of what is true or false: PostgreSQL has them under other names."""


def basic_aggregate(node: Any, builder: Builder) -> Expr:
    """Return COUNT, SUM, AVG, MIN or MAX."""
    name, failures = BASIC_NODES[type(node)], builder.failures
    inner, distinct = _basic_argument(name, node, failures)
    if isinstance(inner, exp.Star):
        if name != "COUNT":
            raise failures.error(
                AdqlSyntaxError, f"{name}(*) is not ADQL", node, hint="Write COUNT(*), or name a column."
            )
        return Aggregate(type=DataType.LONG, name=name, operand=None, offset=offset_of(node))
    operand = builder.value(inner)
    _check_operand(name, operand, builder)
    if name in _OF_CONDITIONS and is_truth(operand) and not builder.strict:
        return Aggregate(type=DataType.BOOLEAN, name=_OF_CONDITIONS[name], operand=operand, offset=operand.offset)
    operand = as_number(operand, builder) if name in {"SUM", "AVG"} else operand
    kind = _basic_type(name, operand, node, failures)
    return Aggregate(type=kind, name=name, operand=operand, distinct=distinct, offset=operand.offset)


def _basic_argument(name: str, node: Any, failures: ErrorFactory) -> tuple[Any, bool]:
    """Return what stands between the brackets of an aggregate, and whether DISTINCT stands before it."""
    extra = [key for key, value in node.args.items() if value and key not in {"this", "big_int"}]
    if extra:
        raise failures.unsupported(
            f"{name} takes one argument", node, hint="Write the aggregate once for each argument."
        )
    if node.this is None:
        hint = "Write a column or an expression between the brackets."
        raise failures.error(UnknownFunctionError, f"{name} needs an argument", node, hint=hint)
    if not isinstance(node.this, exp.Distinct):
        return node.this, False
    if len(node.this.expressions) != 1:
        hint = "SELECT DISTINCT the columns in a sub-query in FROM and count its rows."
        raise failures.unsupported(f"{name}(DISTINCT ...) takes one expression", node, hint=hint)
    return node.this.expressions[0], True


def _basic_type(name: str, operand: Expr, node: Any, failures: ErrorFactory) -> DataType | None:
    kind = operand.type
    if name in {"SUM", "AVG"}:
        check_number(operand, name, node, failures)
        return DataType.DOUBLE if name == "AVG" or kind is None else sum_type(kind)
    if name == "COUNT":
        return DataType.LONG
    if kind in {DataType.BOOLEAN, DataType.BINARY} or (kind is not None and kind.is_list):
        raise mismatch(f"{name} needs numbers, text or times", operand, node, failures)
    return kind


def _check_operand(name: str, operand: Expr, builder: Builder) -> None:
    """Refuse aggregates of what is no value of a row of the block."""
    failures, hint = builder.failures, "Compute the inner one in a sub-query in FROM."
    if contains_aggregate(operand):
        raise failures.error(TypeMismatchError, f"{name} holds another aggregate", operand.offset, hint=hint)
    if contains_window(operand):
        raise failures.error(TypeMismatchError, f"{name} holds a window function", operand.offset, hint=hint)
    own = {source.id for source in builder.scope.sources}
    refs = [*column_refs(operand), *(ref for query in subqueries(operand) for ref in free_refs(query))]
    if refs and all(ref.source not in own for ref in refs):
        # in SQL it is an aggregate of the query around this one, wherever it is written
        raise failures.unsupported(
            f"{name} of columns of the query around it alone is not answered",
            operand.offset,
            hint="Aggregate a column of the sub-query, or aggregate in the query around it.",
        )


def further_aggregate(function: AggregateFunction, parts: Sequence[Any], place: int | None, builder: Builder) -> Expr:
    """Return an aggregate of our table."""
    failures = builder.failures
    distinct = bool(parts) and isinstance(parts[0], exp.Distinct)
    if distinct:
        parts = [*parts[0].expressions, *parts[1:]]
    if len(parts) != 1 + len(function.parameters) or (distinct and not function.distinct):
        what = "DISTINCT" if distinct and not function.distinct else f"{len(parts)} arguments"
        raise failures.error(
            UnknownFunctionError, f"{function.name} does not take {what}", place, hint=f"Write {function.signature}."
        )
    operand = _operand(function, parts[0], place, builder)
    parameters = tuple(_parameter(function, index, part, builder) for index, part in enumerate(parts[1:]))
    if function.returns is DataType.COUNTS and parameters[0] == parameters[1]:
        raise failures.error(TypeMismatchError, f"the two borders of {function.name} are the same number", parts[2])
    return Aggregate(
        type=function.returns or operand.type,
        name=function.name.upper(),
        operand=operand,
        distinct=distinct and function.repeats_matter,
        parameters=parameters,
        offset=place,
    )


def _operand(function: AggregateFunction, part: Any, place: int | None, builder: Builder) -> Expr:
    condition = function.operand is Kind.CONDITION
    operand = builder.condition(part, function.name) if condition else as_number(builder.value(part), builder)
    _check_operand(function.name, operand, builder)
    if not accepts(function.operand, operand.type):
        raise mismatch(f"{function.name} needs {function.operand.value}", operand, place, builder.failures)
    operand = as_double(operand) if function.operand is Kind.NUMBER else operand
    return typed(operand, TYPE_OF_NULL[function.operand])


def _parameter(function: AggregateFunction, index: int, part: Any, builder: Builder) -> Expr:
    """Return a constant after the operand of an aggregate."""
    given, kind = builder.value(part), function.parameters[index]
    if kind is Kind.TEXT:
        if not isinstance(given, Literal) or not isinstance(given.value, str):
            raise mismatch(f"{function.name} needs a text constant", given, part, builder.failures)
        return given
    number = constant_number(given)
    least, most = function.bounds[index]
    whole = kind is Kind.INTEGER
    if number is None or not least <= number <= most or (whole and not number.is_integer()):
        what = "a whole constant" if whole else "a constant"
        within = f", {least:g} to {most:g}" if math.isfinite(most) else ""
        raise builder.failures.error(
            TypeMismatchError, f"{function.name} needs {what}{within}", part, hint="Write the number itself."
        )
    if whole:
        return Literal(type=DataType.INT, value=int(number), offset=given.offset)
    return Literal(type=DataType.DOUBLE, value=number, offset=given.offset)
