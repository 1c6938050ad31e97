"""Where aggregates and window functions may stand, and which columns a block with groups may show."""

from __future__ import annotations

from qserv_py.adql.places import Failures
from qserv_py.adql.tree import Aggregate, ColumnRef, ExistsQuery, Expr, InQuery, ScalarQuery, Select
from qserv_py.adql.walks import children, contains_aggregate, contains_window, free_refs, is_aggregated
from qserv_py.errors import AdqlSyntaxError, TypeMismatchError


def forbid_windows(expr: Expr, clause: str, failures: Failures) -> None:
    """Refuse window functions in a clause."""
    if contains_window(expr):
        raise failures.error(
            TypeMismatchError,
            f"window functions cannot stand in {clause}",
            expr.offset,
            hint="Put them into a sub-query in FROM.",
        )


def forbid_aggregates(expr: Expr, clause: str, failures: Failures) -> None:
    """Refuse aggregates and window functions in a clause."""
    forbid_windows(expr, clause, failures)
    if contains_aggregate(expr):
        hint = "Conditions on aggregates stand in HAVING." if clause == "WHERE" else ""
        raise failures.error(TypeMismatchError, f"aggregates cannot stand in {clause}", expr.offset, hint=hint)


def check_groups(select: Select, failures: Failures) -> None:
    """Refuse columns that have no one value in a group, and an order of DISTINCT rows by what they do not show."""
    if is_aggregated(select):
        keys = set(select.group_by)
        shown = [item.expr for item in select.items] + [item.expr for item in select.order_by]
        for expr in (*shown, *select.having):
            _check_grouped(expr, keys, select, failures)
    if select.distinct:
        outputs = {item.expr for item in select.items}
        for order in select.order_by:
            if order.expr not in outputs:
                raise failures.error(
                    AdqlSyntaxError, "with DISTINCT, ORDER BY takes columns of the select list", order.expr.offset
                )


def _check_grouped(expr: Expr, keys: set[Expr], select: Select, failures: Failures) -> None:
    if expr in keys or isinstance(expr, Aggregate):
        return
    if isinstance(expr, ColumnRef):
        if all(source.id != expr.source for source in select.sources):
            return  # of the query around this one: one value for the whole block
        raise failures.error(
            TypeMismatchError,
            f'column "{expr.name}" must stand in GROUP BY or inside an aggregate',
            expr.offset,
            hint=f"Add it to GROUP BY, or write MIN({expr.name}).",
        )
    for child in children(expr):
        _check_grouped(child, keys, select, failures)
    if isinstance(expr, (InQuery, ExistsQuery, ScalarQuery)):
        for ref in free_refs(expr.query):
            _check_grouped(ref, keys, select, failures)
