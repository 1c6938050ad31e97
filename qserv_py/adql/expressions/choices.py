"""Values that are one of several: CASE, COALESCE, and a sub-query that stands for a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qserv_py.adql.error_places import offset_of
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.conditions import as_number, compared
from qserv_py.adql.expressions.operands import common_operand_type
from qserv_py.adql.tree import Case, Coalesce, Expr, Literal, ScalarQuery
from qserv_py.errors import TypeMismatchError


def case(node: Any, builder: Builder) -> Expr:
    """Return CASE; with a subject, each branch compares it."""
    subject = builder.value(node.this) if node.this is not None else None
    branches = []
    for branch in node.args["ifs"]:
        if subject is None:
            when = builder.condition(branch.this, "WHEN")
        else:
            when = compared("=", subject, builder.value(branch.this), branch, builder)
        branches.append((when, builder.value(branch.args["true"])))
    default = node.args.get("default")
    otherwise = builder.value(default) if default is not None else Literal(type=None, value=None)
    *thens, otherwise = _with_numbers([*(then for _, then in branches), otherwise], builder)
    kind = common_operand_type([*thens, otherwise], "CASE", node, builder.failures)
    chosen = tuple((when, then) for (when, _), then in zip(branches, thens, strict=True))
    return Case(type=kind, branches=chosen, otherwise=otherwise, offset=offset_of(node))


def coalesce(node: Any, builder: Builder) -> Expr:
    """Return COALESCE."""
    values = _with_numbers([builder.value(part) for part in [node.this, *node.expressions]], builder)
    kind = common_operand_type(values, "COALESCE", node, builder.failures)
    return Coalesce(type=kind, operands=tuple(values), offset=values[0].offset)


def _with_numbers(values: Sequence[Expr], builder: Builder) -> list[Expr]:
    """Return values of which conditions are 1 or 0 if numbers are among them."""
    numbers = any(value.type is not None and value.type.is_numeric for value in values)
    return [as_number(value, builder) for value in values] if numbers else list(values)


def scalar_query(node: Any, builder: Builder) -> Expr:
    """Return a sub-query that stands for a value."""
    inner = builder.subquery(node)
    if len(inner.items) != 1:
        raise builder.failures.error(
            TypeMismatchError,
            f"a sub-query that stands for a value has {len(inner.items)} columns",
            node,
            hint="Select one column.",
        )
    return ScalarQuery(type=inner.items[0].expr.type, query=inner, offset=offset_of(node))
