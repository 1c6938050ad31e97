"""Conditions on the position of a director to covers of the sky.

Any AND, OR and NOT of CONTAINS, DISTANCE and comparisons of right ascension and declination has a cover; a condition on
anything else is the cover that says nothing. ``spatial`` tells whether nothing else stood in the condition: then the
cover's inside needs no test at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from qserv_py.adql.expressions.constants import constant_number, unconverted
from qserv_py.adql.functions import DISTANCE
from qserv_py.adql.functions.shapes import IN_REGION, MEETING
from qserv_py.adql.geometry.shapes import constant_numbers
from qserv_py.adql.tree import (
    Between,
    Call,
    Cast,
    ColumnRef,
    Comparison,
    Expr,
    InShape,
    InUnit,
    Logic,
    Not,
    Shape,
    ShapeKind,
    TableSource,
)
from qserv_py.adql.walks import walk
from qserv_py.catalog.chunk import HEALPIX_CELLS
from qserv_py.catalog.model import DirectorTable
from qserv_py.partitioner import cover, ranges
from qserv_py.partitioner.cover import Cover
from qserv_py.planner.sky.shape_covers import circle, cover_of_shape, reach_of, widened

_NO_BOUND = math.inf


@dataclass(frozen=True, slots=True)
class Position:
    """The position columns of one source of the query."""

    source: int
    ra: str
    dec: str

    @classmethod
    def of(cls, source: TableSource) -> Position | None:
        """Return the position of a director, None of any other table."""
        table = source.table
        if not isinstance(table, DirectorTable):
            return None
        return cls(source.id, table.column(table.ra.column).physical, table.column(table.dec.column).physical)

    def is_ra(self, expr: Expr) -> bool:
        """Whether an expression is this source's right ascension."""
        return self._is(expr, self.ra)

    def is_dec(self, expr: Expr) -> bool:
        """Whether an expression is this source's declination."""
        return self._is(expr, self.dec)

    def has(self, expr: Expr) -> bool:
        """Whether an expression is one of the two."""
        return self.is_ra(expr) or self.is_dec(expr)

    def _is(self, expr: Expr, label: str) -> bool:
        while isinstance(expr, Cast):
            expr = expr.operand
        return isinstance(expr, ColumnRef) and expr.source == self.source and expr.label == label


@dataclass(frozen=True, eq=False)
class Found:
    """The cover of a condition, and whether the condition is about the place alone."""

    cover: Cover
    spatial: bool


_OTHER = Found(cover.UNKNOWN, False)


def cover_of(expr: Expr, position: Position) -> Found:
    """Return the cover of a condition with respect to one source."""
    match expr:
        case Logic(operator="AND", operands=operands):
            return cover_of_all(operands, position)
        case Logic(operands=operands):
            found = [cover_of(part, position) for part in operands]
            return Found(reduce(lambda a, b: a | b, (f.cover for f in found)), all(f.spatial for f in found))
        case Not(operand=operand):
            inner = cover_of(operand, position)
            return Found(~inner.cover, inner.spatial)
        case InShape():
            return _in_shape(expr, position)
        case Call(function=function) if function in {IN_REGION, MEETING}:
            return _relation(expr, position)
        case Comparison():
            return _comparison(expr, position)
        case Between():
            bounds = _bounds(expr, position)
            return _OTHER if bounds is None else Found(bounds.cover(), True)
    return _OTHER


def cover_of_all(conditions: Sequence[Expr], position: Position) -> Found:
    """Return the cover of conditions that all must hold; bounds of both coordinates become one zone."""
    zone, found = _separate(conditions, position)
    covers = [other.cover for _, other in found]
    if zone != _Bounds():
        covers.append(zone.cover())
    return Found(reduce(lambda a, b: a & b, covers, cover.EVERYWHERE), all(other.spatial for _, other in found))


def _separate(conditions: Sequence[Expr], position: Position) -> tuple[_Bounds, list[tuple[Expr, Found]]]:
    """Return the bounds that conditions set on the coordinates, and every other condition with its cover."""
    zone = _Bounds()
    others = []
    for condition in conditions:
        bounds = _bounds(condition, position)
        if bounds is None:
            others.append((condition, cover_of(condition, position)))
        else:
            zone = zone.both(bounds)
    return zone, others


@dataclass(frozen=True, eq=False)
class Region:
    """What the conditions of a block say about the place of one source."""

    cover: Cover
    exact: tuple[Expr, ...]
    """Conditions on the place alone: rows inside the cover need not be tested for them."""

    others: tuple[Expr, ...]
    """All other conditions; they are tested on every row."""

    shapes: str
    """In a few words, for EXPLAIN."""


def region_of(conditions: Sequence[Expr], position: Position) -> Region | None:
    """Return the region of a source, None when the conditions do not restrict its place."""
    zone, found = _separate(conditions, position)
    pure = [other.cover for _, other in found if other.spatial]
    if zone != _Bounds():
        pure.append(zone.cover())
    # A condition that is only partly about the place says where rows can be, and is still tested on every row.
    partly = [other.cover.maybe for _, other in found if not other.spatial and other is not _OTHER]
    limits = [maybe for maybe in partly if ranges.total(maybe) != HEALPIX_CELLS]
    if not pure and not limits:
        return None
    whole = reduce(lambda a, b: a & b, pure, cover.EVERYWHERE)
    inside = reduce(ranges.intersection, limits, whole.inside)
    maybe = reduce(ranges.intersection, limits, whole.maybe)
    tested = {id(condition) for condition, other in found if not other.spatial}
    exact = tuple(condition for condition in conditions if id(condition) not in tested)
    others = tuple(condition for condition in conditions if id(condition) in tested)
    return Region(Cover(inside, maybe), exact, others, _describe([*exact, *others]))


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Bounds of right ascension and declination, degrees, taken as included."""

    west: float = -_NO_BOUND
    east: float = _NO_BOUND
    south: float = -_NO_BOUND
    north: float = _NO_BOUND

    def both(self, other: _Bounds) -> _Bounds:
        return _Bounds(
            max(self.west, other.west),
            min(self.east, other.east),
            max(self.south, other.south),
            min(self.north, other.north),
        )

    def cover(self) -> Cover:
        return cover.zone(
            (max(self.west, -1.0), min(self.east, 361.0)), (max(self.south, -91.0), min(self.north, 91.0))
        )


def _bounds(expr: Expr, position: Position) -> _Bounds | None:
    """Return the bounds that a comparison or BETWEEN sets on one coordinate; None when it does not."""
    match expr:
        case Between() if position.has(_measured(expr.operand)):
            low, high = constant_number(expr.low), constant_number(expr.high)
            return None if low is None or high is None else _bounds_of(expr.operand, low, high, position)
        case Comparison(operator="<" | "<=" | ">" | ">=" | "=") if position.has(_measured(expr.left)):
            value = constant_number(expr.right)
            if value is None:
                return None
            low = -_NO_BOUND if expr.operator in {"<", "<="} else value
            high = _NO_BOUND if expr.operator in {">", ">="} else value
            return _bounds_of(expr.left, low, high, position)
    return None


def _measured(expr: Expr) -> Expr:
    """Return an expression without the units that it is brought to."""
    while isinstance(expr, InUnit):
        expr = expr.operand
    return expr


def _bounds_of(operand: Expr, low: float, high: float, position: Position) -> _Bounds | None:
    operand, low, high = unconverted(operand, low, high)
    if position.is_ra(operand):
        return _Bounds(west=low, east=high)
    if position.is_dec(operand):
        return _Bounds(south=low, north=high)
    return None


def _comparison(expr: Comparison, position: Position) -> Found:
    bounds = _bounds(expr, position)
    if bounds is not None:
        return Found(bounds.cover(), True)
    for distance, limit, operator in (
        (expr.left, expr.right, expr.operator),
        (expr.right, expr.left, _MIRRORED.get(expr.operator, "")),
    ):
        value = constant_number(limit) if isinstance(_measured(distance), Call) else None
        if value is None or not math.isfinite(value):  # the servers refuse what overflows
            continue
        distance, radius, _ = unconverted(distance, value, value)
        centre = _centre(distance, position)
        if centre is None:
            continue
        if operator in {"<", "<="}:
            return Found(circle(*centre, radius), True)
        if operator in {">", ">="}:
            return Found(~circle(*centre, radius), True)
    return _OTHER


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _centre(expr: Expr, position: Position) -> tuple[float, float] | None:
    """Return the constant point whose distance from this position an expression is; None when it is not one."""
    if not isinstance(expr, Call) or expr.function is not DISTANCE:
        return None
    first, second = expr.arguments[:2], expr.arguments[2:]
    for here, there in ((first, second), (second, first)):
        point = [constant_number(number) for number in there]
        if position.is_ra(here[0]) and position.is_dec(here[1]) and point[0] is not None and point[1] is not None:
            return point[0], point[1]
    return None


def _in_shape(expr: InShape, position: Position) -> Found:
    """Return the cover of CONTAINS: this position in a constant shape, or a constant point in a circle around it."""
    point, shape = expr.point, expr.shape
    if position.is_ra(point.numbers[0]) and position.is_dec(point.numbers[1]):
        numbers = constant_numbers(shape)
        return _OTHER if numbers is None else Found(cover_of_shape(shape, numbers), True)
    centre = constant_numbers(point)
    if centre is None or shape.kind is not ShapeKind.CIRCLE:
        return _OTHER
    radius = constant_number(shape.numbers[2])
    if radius is not None and position.is_ra(shape.numbers[0]) and position.is_dec(shape.numbers[1]):
        return Found(circle(centre[0], centre[1], radius), True)
    return _OTHER


def _relation(expr: Call, position: Position) -> Found:
    """Return the cover of CONTAINS or INTERSECTS between a constant shape and one around this position."""
    first, second = expr.arguments
    for around, fixed in ((first, second), (second, first)):
        numbers = constant_numbers(fixed)
        if numbers is None or not isinstance(fixed, Shape) or not isinstance(around, Shape):
            continue
        if around.kind is ShapeKind.POLYGON or not (
            position.is_ra(around.numbers[0]) and position.is_dec(around.numbers[1])
        ):
            continue
        reach = reach_of(around)
        if expr.function is MEETING:
            return _OTHER if reach is None else Found(widened(fixed, numbers, reach), True)
        if around is first:
            # what lies in the fixed shape has its middle there
            return Found(Cover(cover.NOWHERE.inside, cover_of_shape(fixed, numbers).maybe), reach is not None)
        if reach is not None:
            return Found(Cover(cover.NOWHERE.inside, circle(numbers[0], numbers[1], reach).maybe), True)
    return _OTHER


def _describe(conditions: Iterable[Expr]) -> str:
    names = []
    for condition in conditions:
        parts = walk(condition)
        names += [part.shape.kind.value for part in parts if isinstance(part, InShape)]
        calls = [part.function for part in parts if isinstance(part, Call)]
        names += [function.name for function in calls if function in {DISTANCE, IN_REGION, MEETING}]
    return " and ".join(dict.fromkeys(names)) or "ra/dec range"
