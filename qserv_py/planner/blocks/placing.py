"""Which rows that a query brings along each chunk needs: those near its director's rows, those of its keys.

A source that is whole (an upload, the answer of an earlier stage, a ref table) may be tied to a partitioned one by
``DISTANCE(a, b) < r`` or by the director's key. Then a chunk needs only the rows that can meet its own: the executor
finds the cells of their discs, or of their keys, and each chunk reads the rows of its own cells (``slots.Placing``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from qserv_py.adql import walks
from qserv_py.adql.expressions.constants import constant_number
from qserv_py.adql.functions import DISTANCE
from qserv_py.adql.tree import (
    Call,
    Cast,
    ColumnRef,
    Comparison,
    Expr,
    InShape,
    Joined,
    JoinKind,
    QuerySource,
    Select,
    ShapeKind,
    Source,
    TableSource,
)
from qserv_py.catalog.model import HEALPIX_COLUMN, DirectorTable
from qserv_py.catalog.types import DataType
from qserv_py.planner.blocks.parts import is_about_any
from qserv_py.planner.plan.nodes import InStage, NearSource, SameCell, StageSource
from qserv_py.planner.plan.slots import ByKey, ByPosition, Placing
from qserv_py.planner.sky.keys import Director, Keys, director_of, keys_of_table
from qserv_py.planner.sky.regions import Position

_RA, _DEC, _RADIUS, _KEY = "_RA", "_DEC", "_RADIUS", "_KEY"


@dataclass(frozen=True, slots=True)
class NearRows:
    """A whole source whose positions a condition keeps within a radius of a director's."""

    director: TableSource
    ra: Expr
    dec: Expr
    radius: Expr
    """Degrees; expressions over the whole source's columns, the radius possibly a constant."""

    @property
    def expressions(self) -> dict[str, Expr]:
        """The expressions whose values place the rows, by names that no column has."""
        radius = {} if constant_number(self.radius) is not None else {_RADIUS: self.radius}
        return {_RA: self.ra, _DEC: self.dec, **radius}

    def placing(self, labels: Mapping[str, str]) -> Placing:
        """Return the placing; ``labels`` are those of the columns that hold ``expressions``."""
        constant = constant_number(self.radius)
        radius = labels[_RADIUS] if constant is None else constant
        database, director = self.director.database.name, self.director.table.name
        return ByPosition(ra=labels[_RA], dec=labels[_DEC], radius=radius, database=database, director=director)

    def same_cell(self, whole: int) -> SameCell:
        """Return the condition that a row of the director stands in the cell of a row of the whole source."""
        healpix = ColumnRef(type=DataType.LONG, source=self.director.id, label=HEALPIX_COLUMN)
        return SameCell(type=DataType.BOOLEAN, healpix=healpix, table=self.director.table, placed=whole)


@dataclass(frozen=True, slots=True)
class KeyRows:
    """A whole source that holds ids of a director, in an expression over its columns."""

    key: Expr
    director: Director

    @property
    def expressions(self) -> dict[str, Expr]:
        """The expression whose value places the rows, by a name that no column has."""
        return {_KEY: self.key}

    def placing(self, labels: Mapping[str, str]) -> Placing:
        """Return the placing; ``labels`` are those of the columns that hold ``expressions``."""
        return ByKey(column=labels[_KEY], database=self.director[0], director=self.director[1])


@dataclass(frozen=True, slots=True)
class Tie:
    """How a whole source is tied to a partitioned one."""

    rows: NearRows | KeyRows
    at: Joined | None
    """The join whose condition it is; None for one of WHERE."""

    narrows: bool
    """Whether there is no row of the answer without a row of the whole source that holds it."""

    def added_to(self, select: Select, condition: Expr) -> Select:
        """Return the block with a further condition in the place of the tie's."""
        if self.at is None or select.joined is None:
            return replace(select, where=(*select.where, condition))
        joined = _with_condition(select.joined, self.at, condition)
        assert isinstance(joined, Joined)
        return replace(select, joined=joined)


def tie_of(whole: int, select: Select, partitioned: Sequence[Source], keys: Mapping[int, Keys]) -> Tie | None:
    """Return how a whole source of a block is tied to the partitioned ones, by place rather than by key."""
    directors = [
        source
        for source in partitioned
        if isinstance(source, TableSource)
        and isinstance(source.table, DirectorTable)
        and not isinstance(source, NearSource)
    ]
    found = []
    for at, conditions, narrows in _places(whole, select):
        for condition in conditions:
            near = _near_rows(whole, condition, directors)
            rows: NearRows | KeyRows | None = near if near is not None else _key_rows(whole, condition, keys)
            if rows is not None:
                found.append(Tie(rows, at, narrows))
    return min(found, key=lambda tie: isinstance(tie.rows, KeyRows), default=None)


def column_of(expr: Expr) -> str | None:
    """Return the label of the column that an expression is, None for anything else."""
    while isinstance(expr, Cast) and expr.type is DataType.DOUBLE and _is_number(expr.operand):
        expr = expr.operand
    return expr.label if isinstance(expr, ColumnRef) else None


def _is_number(expr: Expr) -> bool:
    return expr.type is not None and expr.type.is_numeric


def _places(whole: int, select: Select) -> Iterator[tuple[Joined | None, Sequence[Expr], bool]]:
    """Yield the conditions that pair a source with the others, where they stand, and whether all rows need them."""
    if select.joined is None:
        yield None, select.where, True
        return
    yield from _places_in(whole, select.joined, needed=True)


def _places_in(
    whole: int, joined: Joined | int, *, needed: bool
) -> Iterator[tuple[Joined | None, Sequence[Expr], bool]]:
    if isinstance(joined, int):
        return
    # On the side that a join keeps, a row whose condition fails is still a row of the answer.
    pairs = (joined.left == whole and joined.kind in {JoinKind.INNER, JoinKind.RIGHT}) or (
        joined.right == whole and joined.kind in {JoinKind.INNER, JoinKind.LEFT}
    )
    if pairs:
        yield joined, joined.on, needed and joined.kind is JoinKind.INNER
    yield from _places_in(whole, joined.left, needed=needed and joined.kind in {JoinKind.INNER, JoinKind.LEFT})
    yield from _places_in(whole, joined.right, needed=needed and joined.kind in {JoinKind.INNER, JoinKind.RIGHT})


def _with_condition(joined: Joined | int, at: Joined, condition: Expr) -> Joined | int:
    if isinstance(joined, int):
        return joined
    if joined is at:
        return replace(joined, on=(*joined.on, condition))
    left, right = (_with_condition(side, at, condition) for side in (joined.left, joined.right))
    return replace(joined, left=left, right=right)


def _near_rows(whole: int, condition: Expr, directors: Sequence[TableSource]) -> NearRows | None:
    if isinstance(condition, InShape) and condition.shape.kind is ShapeKind.CIRCLE:
        numbers = (*condition.point.numbers, *condition.shape.numbers[:2])
        return _near_rows_of(whole, numbers, condition.shape.numbers[2], directors)
    if not isinstance(condition, Comparison):
        return None
    for distance, limit, operators in (
        (condition.left, condition.right, {"<", "<="}),
        (condition.right, condition.left, {">", ">="}),
    ):
        if isinstance(distance, Call) and distance.function is DISTANCE and condition.operator in operators:
            return _near_rows_of(whole, distance.arguments, limit, directors)
    return None


def _near_rows_of(
    whole: int, numbers: Sequence[Expr], radius: Expr, directors: Sequence[TableSource]
) -> NearRows | None:
    if constant_number(radius) is None and not _is_of(whole, radius):
        return None
    for director in directors:
        position = Position.of(director)
        for theirs, ours in ((numbers[:2], numbers[2:]), (numbers[2:], numbers[:2])):
            is_place = position is not None and position.is_ra(theirs[0]) and position.is_dec(theirs[1])
            if is_place and _is_position_of(whole, ours):
                return NearRows(director, ours[0], ours[1], radius)
    return None


def _is_position_of(whole: int, numbers: Sequence[Expr]) -> bool:
    own = [_is_of(whole, number) for number in numbers]
    return any(own) and all(
        mine or constant_number(number) is not None for mine, number in zip(own, numbers, strict=True)
    )


def _key_rows(whole: int, condition: Expr, keys: Mapping[int, Keys]) -> KeyRows | None:
    if not isinstance(condition, Comparison) or condition.operator != "=":
        return None
    for theirs, ours in ((condition.left, condition.right), (condition.right, condition.left)):
        director = director_of(theirs, keys)
        if director is not None and _is_of(whole, ours):
            return KeyRows(ours, director)
    return None


def _is_of(whole: int, expr: Expr) -> bool:
    """Whether an expression reads a source and nothing else, and is the same whenever it is computed."""
    return is_about_any(expr, {whole}) and walks.is_stable(expr) and not walks.contains_aggregate(expr)


def with_placed_lists(select: Select) -> Select:
    """Return a block in which ``key IN (...)`` over an earlier stage says that chunks need their own keys only."""
    if not any(isinstance(condition, InStage) for condition in select.where):
        return select
    keys = {
        source.id: keys_of_table(source)
        for source in select.sources
        if isinstance(source, TableSource) and not isinstance(source, NearSource)
    }

    def changed(condition: Expr) -> Expr:
        director = director_of(condition.operand, keys) if isinstance(condition, InStage) else None
        if not isinstance(condition, InStage) or director is None:
            return condition
        placing = ByKey(column=condition.column.label, database=director[0], director=director[1])
        return replace(condition, placing=placing)

    return replace(select, where=tuple(changed(condition) for condition in select.where))


def narrowing(select: Select) -> Iterator[int]:
    """Yield the placed sources that a block's rows need; a block inside it need not have rows in every chunk."""
    for source in select.sources:
        if isinstance(source, StageSource) and source.narrows:
            yield source.id
        elif isinstance(source, QuerySource) and isinstance(source.query, Select) and len(select.sources) == 1:
            yield from narrowing(source.query)
