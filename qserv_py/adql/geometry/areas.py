"""``qserv_areaspec_*``: which tables of a block a region restricts, and by which positions.

As in Qserv, it is every partitioned table of the block, each by the position that places its rows: a director and a
child with a position of its own by that, any other child and a match table by the position of their director. A table
that an outer join may fill with NULL is left out: the condition stands in WHERE, and there it would undo the join.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.scope import Scope, table_ref
from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.constants import constant_number
from qserv_py.adql.geometry.forms import GeometricForms
from qserv_py.adql.text.tokens import MARK
from qserv_py.adql.tree import ColumnRef, Comparison, Expr, InQuery, Logic, TableSource
from qserv_py.catalog.model import ChildTable, Column, DirectorTable, MatchTable, Table
from qserv_py.catalog.types import DataType
from qserv_py.errors import AdqlError

PREFIX = "QSERV_AREASPEC_"
Place = tuple[int, str]
"""A column of the block: id of its source and label."""


def area_restriction(node: Any, arguments: Sequence[Expr], place: int | None, builder: Builder) -> Expr:
    """Return the condition that the rows of a block's partitioned tables stand in a region.

    Parameters
    ----------
    node
        sqlglot's call.
    arguments
        The numbers of the region.
    place
        Offset of the call.
    builder
        Builds the expressions of the block.

    Raises
    ------
    UnknownFunctionError, TypeMismatchError
        If the numbers are not those of the region.
    QueryNotSupportedError
        If there is no table that it restricts.
    """
    written = str(node.this).removeprefix(MARK)
    name = written.upper()
    sources = list(_partitioned(builder.scope))
    if not sources:
        raise _nothing_to_restrict(written, place, builder)
    forms, equalities = GeometricForms(builder.scope), None
    conditions = []
    for source in sources:
        position = position_of(source.table)
        if position is not None:
            columns = [table_ref(source, column, place) for column in position]
            conditions.append(forms.region(name, name.removeprefix(PREFIX), columns, arguments, place))
            continue
        equalities = list(_equalities(builder)) if equalities is None else equalities
        if not _follows(source, sources, equalities):
            if any(constant_number(argument) is None for argument in arguments):
                message = f'{written} restricts "{source.alias}", which has no position, only by a constant region'
                raise builder.failures.unsupported(message, place)
            conditions.append(_by_its_director(source, node, builder))
    if len(conditions) == 1:
        return conditions[0]
    return Logic(type=DataType.BOOLEAN, operator="AND", operands=tuple(conditions), offset=place)


def position_of(table: Table) -> tuple[Column, Column] | None:
    """Return the columns of a table that place its rows; None when others do."""
    if isinstance(table, (DirectorTable, ChildTable)) and table.ra is not None and table.dec is not None:
        return table.column(table.ra.column), table.column(table.dec.column)
    return None


def _partitioned(scope: Scope) -> Iterator[TableSource]:
    """Yield the tables of a block that a region restricts."""
    for source in scope.sources:
        if isinstance(source, TableSource) and source.table.is_partitioned and source.id not in scope.optional:
            yield source


def _equalities(builder: Builder) -> Iterator[tuple[Place, Place]]:
    """Yield the columns of a block that are equal in each of its rows."""
    for condition in [*builder.scope.inner, *_compared_in_where(builder)]:
        if isinstance(condition, Comparison) and condition.operator == "=":
            left, right = condition.left, condition.right
            if isinstance(left, ColumnRef) and isinstance(right, ColumnRef):
                yield (left.source, left.label), (right.source, right.label)


def _compared_in_where(builder: Builder) -> Iterator[Expr]:
    """Yield the equalities of columns that WHERE joins with AND; what is wrong with them is told in its turn."""
    waiting = [builder.scope.where]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.And):
            waiting += [node.left, node.right]
        elif isinstance(node, exp.Paren):
            waiting.append(node.this)
        elif isinstance(node, exp.EQ) and isinstance(node.left, exp.Column) and isinstance(node.right, exp.Column):
            try:
                yield builder.build(node)
            except AdqlError:
                continue


def _follows(source: TableSource, sources: Sequence[TableSource], equalities: Sequence[tuple[Place, Place]]) -> bool:
    """Whether a table is joined by its key to a director that the region restricts."""
    table = source.table
    for name, director in _keys(table):
        reached = _reached((source.id, table.column(name).physical), equalities)
        for other in sources:
            found = other.table
            if not isinstance(found, DirectorTable) or (found.database, found.name) != (table.database, director):
                continue
            if (other.id, found.column(found.id).physical) in reached:
                return True
    return False


def _keys(table: Table) -> tuple[tuple[str, str], ...]:
    """Return the keys of a table that has no position, each with the director whose ids it holds."""
    if isinstance(table, ChildTable):
        return ((table.key, table.director),)
    if isinstance(table, MatchTable):
        return tuple(zip(table.keys, table.directors, strict=True))
    return ()


def _reached(start: Place, equalities: Sequence[tuple[Place, Place]]) -> set[Place]:
    """Return the columns that are equal to one, itself among them."""
    reached, size = {start}, 0
    while size < len(reached):
        size = len(reached)
        for pair in equalities:
            if reached.intersection(pair):
                reached.update(pair)
    return reached


def _by_its_director(source: TableSource, node: Any, builder: Builder) -> Expr:
    """Return the condition that a table's director, which the block does not have, stands in the region."""
    table = source.table
    key, name = _keys(table)[0]
    director = source.database.table(name)
    assert isinstance(director, DirectorTable)
    there = exp.table_(exp.to_identifier(name, quoted=True), db=exp.to_identifier(table.database, quoted=True))
    query = exp.select(exp.column(exp.to_identifier(director.id, quoted=True))).from_(there).where(node.copy())
    return InQuery(
        type=DataType.BOOLEAN,
        operand=table_ref(source, table.column(key), None),
        query=builder.subquery(query),
    )


def _nothing_to_restrict(written: str, place: int | None, builder: Builder) -> Exception:
    failures: ErrorFactory = builder.failures
    if builder.scope.optional:
        return failures.unsupported(
            f"{written} restricts no table that an outer join may fill with NULL",
            place,
            hint="Write scisql_s2PtIn... with the position columns, or restrict a sub-query and join that.",
        )
    return failures.unsupported(
        f"{written} needs a partitioned table in FROM",
        place,
        hint="Write scisql_s2PtIn... with the position columns of the table.",
    )
