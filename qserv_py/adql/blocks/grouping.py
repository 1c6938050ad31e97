"""Where aggregates and window functions may stand, and which columns a block with groups may show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.conditions import is_repeatable
from qserv_py.adql.tree import (
    Aggregate,
    ColumnRef,
    Comparison,
    ExistsQuery,
    Expr,
    InQuery,
    Joined,
    JoinKind,
    ScalarQuery,
    Select,
    Source,
    TableSource,
)
from qserv_py.adql.walks import children, column_refs, contains_aggregate, contains_window, free_refs, is_aggregated
from qserv_py.catalog.model import DirectorTable
from qserv_py.errors import AdqlSyntaxError, TypeMismatchError


def forbid_windows(expr: Expr, clause: str, failures: ErrorFactory) -> None:
    """Refuse window functions in a clause."""
    if contains_window(expr):
        raise failures.error(
            TypeMismatchError,
            f"window functions cannot stand in {clause}",
            expr.offset,
            hint="Put them into a sub-query in FROM.",
        )


def forbid_aggregates(expr: Expr, clause: str, failures: ErrorFactory) -> None:
    """Refuse aggregates and window functions in a clause."""
    forbid_windows(expr, clause, failures)
    if contains_aggregate(expr):
        hint = "Conditions on aggregates stand in HAVING."
        if clause != "WHERE":
            hint = "Aggregate in a sub-query in FROM, and go on from there."
        raise failures.error(TypeMismatchError, f"aggregates cannot stand in {clause}", expr.offset, hint=hint)


def check_distinct_order(select: Select, failures: ErrorFactory) -> None:
    """Refuse an order of DISTINCT rows by what they do not show."""
    if not select.distinct:
        return
    outputs = {item.expr for item in select.items}
    for order in select.order_by:
        if order.expr not in outputs:
            raise failures.error(
                AdqlSyntaxError,
                "with DISTINCT, ORDER BY takes columns of the select list",
                order.expr.offset,
                hint="Add the expression to the select list.",
            )


def with_freed(select: Select, failures: ErrorFactory, *, strict: bool) -> Select:
    """Return a block whose groups have one value of every column that it shows.

    A table's columns have one value in a group that has one value of the table's key, as SQL:1999 has it. They become
    grouping columns here: the groups stay the same, and every engine knows what to do.

    Raises
    ------
    TypeMismatchError
        If a column may have several values in a group.
    """
    if not is_aggregated(select):
        return select
    keys = set(select.group_by)
    shown = [item.expr for item in select.items] + [item.expr for item in select.order_by]
    loose = dict.fromkeys(ref for expr in (*shown, *select.having) for ref in _ungrouped(expr, keys, select))
    known = _known_columns(select)
    for ref in loose:
        source = next(source for source in select.sources if source.id == ref.source)
        freed = any(all((source.id, label) in known for label in key) for key in _keys(source))
        if strict or not freed:
            raise failures.error(
                TypeMismatchError,
                f'column "{ref.name}" must stand in GROUP BY or inside an aggregate',
                ref.offset,
                hint=_hint(ref, source, select, freed=freed),
            )
    return replace(select, group_by=(*select.group_by, *loose))


def _ungrouped(expr: Expr, keys: set[Expr], select: Select) -> Iterator[ColumnRef]:
    """Yield the columns of the block's own tables that stand outside aggregates and grouping expressions."""
    if expr in keys or isinstance(expr, Aggregate):
        return
    if isinstance(expr, ColumnRef):
        # a column of the query around this one has one value for the whole block
        if any(source.id == expr.source for source in select.sources):
            yield expr
        return
    for child in children(expr):
        yield from _ungrouped(child, keys, select)
    for query in [expr.query] if isinstance(expr, (InQuery, ExistsQuery, ScalarQuery)) else []:
        for ref in free_refs(query):
            yield from _ungrouped(ref, keys, select)


def _known_columns(select: Select) -> set[tuple[int, str]]:
    """Return the columns, by source and label, that have one value in a group: grouping ones, and those equal to them.

    An equality counts where it holds for every row of the block, between whole numbers or texts of one type: equal
    numbers of other types may differ. The row that a LEFT JOIN finds by its key is the same for all rows of the group,
    or missing for all, when the join looks at nothing else that differs within the group.
    """
    known = {(expr.source, expr.label) for expr in select.group_by if isinstance(expr, ColumnRef)}
    pairs = [pair for condition in (*select.where, *_inner_conditions(select.joined)) for pair in _equal(condition)]
    size = -1
    while size != len(known):
        size = len(known)
        known |= {other for one, other in pairs if one in known}
        known |= {column for join in _left_joins(select.joined) for column in _found_by(join, known, select)}
    return known


def _left_joins(joined: Joined | int | None) -> Iterator[Joined]:
    if isinstance(joined, Joined):
        yield from _left_joins(joined.left)
        yield from _left_joins(joined.right)
        if joined.kind is JoinKind.LEFT:
            yield joined


def _found_by(join: Joined, known: set[tuple[int, str]], select: Select) -> set[tuple[int, str]]:
    """Return the key of the table at the right of a LEFT JOIN, if columns with one value in a group decide its row."""
    right = next((source for source in select.sources if source.id == join.right), None)
    if right is None or not all(is_repeatable(condition) for condition in join.on):
        return set()
    own = {source.id for source in select.sources} - {right.id}
    if any(ref.source in own and (ref.source, ref.label) not in known for on in join.on for ref in column_refs(on)):
        return set()
    met = {other for on in join.on for one, other in _equal(on) if one in known and other[0] == right.id}
    return met if any(all((right.id, label) in met for label in key) for key in _keys(right)) else set()


def _equal(condition: Expr) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    match condition:
        case Comparison(operator="=", left=ColumnRef() as left, right=ColumnRef() as right):
            if left.type is right.type and left.type is not None and (left.type.is_integer or left.type.is_text):
                one, other = (left.source, left.label), (right.source, right.label)
                yield one, other
                yield other, one


def _inner_conditions(joined: Joined | int | None) -> Iterator[Expr]:
    """Yield the conditions of joins that hold for every row, or for every row whose columns are not all NULL."""
    if isinstance(joined, Joined):
        yield from _inner_conditions(joined.left)
        yield from _inner_conditions(joined.right)
        if joined.kind is JoinKind.INNER:
            yield from joined.on


def _keys(source: Source) -> list[tuple[str, ...]]:
    """Return the keys of a source, as labels of their columns: each tells every row from every other."""
    if not isinstance(source, TableSource):
        return []
    table = source.table
    keys = [table.primary_key] if table.primary_key else []
    if isinstance(table, DirectorTable):
        keys = [(table.id,), *keys] if table.unique else [key for key in keys if key != (table.id,)]
    return [tuple(table.column(name).physical for name in key) for key in dict.fromkeys(keys)]


def _hint(ref: ColumnRef, source: Source, select: Select, *, freed: bool) -> str:
    if any(item.name.lower() == ref.name.lower() and contains_aggregate(item.expr) for item in select.items):
        return f'"{ref.name}" means the column here: give the aggregate in the select list another name.'
    usual = f"Add it to GROUP BY, or write MIN({ref.name})"
    if freed:
        return f"{usual}; lenient mode takes it, as the table's key stands in GROUP BY."
    keys = _keys(source)
    if not keys or not isinstance(source, TableSource):
        return f"{usual}."
    names = {column.physical: column.name for column in source.table.columns}
    key = ", ".join(f"{source.alias}.{names[label]}" for label in keys[0])
    return f"Add it to GROUP BY, group by the primary key {key}, or write MIN({ref.name})."
