"""CONTAINS, INTERSECTS and DISTANCE: the simplest tree that means the same.

A point in a shape is an ``InShape``, two circles of constant radii a bound on a DISTANCE: those prune and find
neighbours. Everything else is a call, of which the planner still knows where its rows can be
(``planner.shape_covers``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.calls import checked_call
from qserv_py.adql.expressions.constants import constant_number
from qserv_py.adql.expressions.operands import as_double
from qserv_py.adql.functions import DISTANCE
from qserv_py.adql.functions.shapes import IN_REGION, MEETING, TRANSFORMED
from qserv_py.adql.geometry.frames import between
from qserv_py.adql.geometry.shapes import (
    as_point,
    as_shape,
    check_declinations,
    check_hemisphere,
    constant_numbers,
    constant_shape,
    literal_shape,
)
from qserv_py.adql.geometry.sphere import BORDER, rotated
from qserv_py.adql.tree import Call, Cast, Comparison, Expr, InShape, Literal, Shape, ShapeKind
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError, UnknownFunctionError

_BORDER_DEG = math.degrees(BORDER)


def doubles(shape: Shape) -> Shape:
    """Return a shape with its numbers as DOUBLE PRECISION."""
    numbers = tuple(as_double(number) for number in shape.numbers)
    return Shape(type=shape.type, kind=shape.kind, numbers=numbers, offset=shape.offset)


class Relations:
    """Builds what is said of two shapes."""

    def __init__(self, failures: ErrorFactory) -> None:
        self.failures = failures

    def build(self, name: str, arguments: Sequence[Expr], place: int | None) -> Expr:
        """Return 1 or 0 for CONTAINS and INTERSECTS.

        Raises
        ------
        UnknownFunctionError
            If the arguments are not two shapes.
        QueryNotSupportedError
            If one is a constant polygon larger than a hemisphere.
        """
        shapes = [as_shape(argument) for argument in arguments]
        for argument, shape in zip(arguments, shapes, strict=True):
            if shape is None and argument.type is not None and argument.type.is_text:
                raise self.failures.error(
                    UnknownFunctionError,
                    f"{name} takes two shapes, found text",
                    argument.offset,
                    hint="CAST(... AS REGION) reads a text as a shape.",
                )
        if len(shapes) != 2 or shapes[0] is None or shapes[1] is None:
            raise self.failures.error(
                UnknownFunctionError,
                f"{name} takes two shapes",
                place,
                hint=f"Write {name}(POINT(...), CIRCLE(...)).",
            )
        first, second = _unturned(_as_doubles(shapes[0]), _as_doubles(shapes[1]))
        for shape in (first, second):
            check_hemisphere(shape, self.failures)
        found = self.contains(first, second, place) if name == "CONTAINS" else self._intersects(first, second, place)
        return Cast(type=DataType.INT, operand=found, offset=place)

    def contains(self, inner: Expr, outer: Expr, place: int | None) -> Expr:
        """Return the condition that a shape lies in another; their numbers are DOUBLE PRECISION."""
        found = _point_in(inner, outer, place)
        if found is None:
            room = _radii(outer, inner)
            if room is not None and room[0] < 180:
                return self._within(outer, inner, room[0] - room[1], place)
        return found or Call(type=DataType.BOOLEAN, function=IN_REGION, arguments=(inner, outer), offset=place)

    def _intersects(self, first: Expr, second: Expr, place: int | None) -> Expr:
        found = _point_in(first, second, place) or _point_in(second, first, place)
        radii = _radii(first, second)
        if found is None and radii is not None:
            return self._within(first, second, radii[0] + radii[1], place)
        return found or Call(type=DataType.BOOLEAN, function=MEETING, arguments=(first, second), offset=place)

    def _within(self, one: Expr, other: Expr, radius: float, place: int | None) -> Expr:
        """Return the condition that the centres of two circles are no further apart than a radius."""
        assert isinstance(one, Shape)
        assert isinstance(other, Shape)
        apart = angle_between([*other.numbers[:2], *one.numbers[:2]], place, self.failures)
        bound = Literal(type=DataType.DOUBLE, value=radius + _BORDER_DEG, offset=place)
        return Comparison(type=DataType.BOOLEAN, operator="<=", left=apart, right=bound, offset=place)

    def distance(self, arguments: Sequence[Expr], place: int | None) -> Expr:
        """Return the angle between two points, each a shape or two numbers."""
        points = [as_shape(argument) for argument in arguments]
        numbers = list(arguments)
        if any(point is not None for point in points) and len(points) == 2:
            first, second = _unturned(points[0] or arguments[0], points[1] or arguments[1])
            found = [as_point(first), as_point(second)]
            numbers = [number for point in found if point is not None for number in point.numbers]
            wrong = next((one for one, point in zip(arguments, found, strict=True) if point is None), None)
            if wrong is not None:
                region = as_shape(wrong)
                unsure = region is not None and region.type is DataType.REGION
                hint = "CAST(... AS POINT) takes a REGION as one." if unsure else "CENTROID(shape) is its middle."
                raise self.failures.unsupported("DISTANCE is between two points", wrong.offset or place, hint=hint)
        if len(numbers) != 4 or (len(arguments) == 4 and any(point is not None for point in points)):
            raise self.failures.error(
                UnknownFunctionError,
                "DISTANCE takes two points or four numbers",
                place,
                hint="Write DISTANCE(POINT(ra1, dec1), POINT(ra2, dec2)) or DISTANCE(ra1, dec1, ra2, dec2).",
            )
        return angle_between(numbers, place, self.failures)


def angle_between(numbers: Sequence[Expr], place: int | None, failures: ErrorFactory) -> Expr:
    """Return the angle between two positions, each of two numbers."""
    call = checked_call(DISTANCE, numbers, place, failures)
    values = [constant_number(number) for number in numbers]
    if any(value is not None and not math.isfinite(value) for value in values):
        raise failures.error(
            TypeMismatchError, "DISTANCE needs finite numbers", place, hint="Write numbers in degrees."
        )
    check_declinations(values[1::2], "DISTANCE", place, failures)
    return call


def _as_doubles(shape: Expr) -> Expr:
    return doubles(shape) if isinstance(shape, Shape) else shape


def _point_in(point: Expr, shape: Expr, place: int | None) -> InShape | None:
    """Return the condition that a written point lies in a written shape; None when they are not that."""
    if not isinstance(point, Shape) or not isinstance(shape, Shape) or point.kind is not ShapeKind.POINT:
        return None
    if shape.kind is ShapeKind.POLYGON and constant_numbers(shape) is None:
        return None
    radius = 0.0 if shape.kind is ShapeKind.POINT else None
    if shape.kind is ShapeKind.CIRCLE:
        radius = constant_number(shape.numbers[2])
    if radius is not None and radius < _BORDER_DEG:
        # the same place may be written twice: at a pole with any right ascension
        wide = Literal(type=DataType.DOUBLE, value=_BORDER_DEG, offset=shape.offset)
        numbers = (*shape.numbers[:2], wide)
        shape = Shape(type=DataType.CIRCLE, kind=ShapeKind.CIRCLE, numbers=numbers, offset=shape.offset)
    return InShape(type=DataType.BOOLEAN, point=point, shape=shape, offset=place)


def _radii(one: Expr, other: Expr) -> tuple[float, float] | None:
    """Return the radii of two circles when both are constant; those of a point are 0."""
    found = []
    for shape in (one, other):
        if not isinstance(shape, Shape) or shape.kind not in {ShapeKind.CIRCLE, ShapeKind.POINT}:
            return None
        radius = constant_number(shape.numbers[2]) if shape.kind is ShapeKind.CIRCLE else 0.0
        if radius is None:
            return None
        found.append(radius)
    return found[0], found[1]


def _unturned(first: Expr, second: Expr) -> tuple[Expr, Expr]:
    """Turn a constant shape back where the other one is turned: what is said of rows' own positions prunes."""
    turned, still = (first, second) if _is_turned(first) else (second, first)
    numbers = constant_shape(still)
    if not _is_turned(turned) or numbers is None or not isinstance(turned, Call):
        return first, second
    shape, source, target = turned.arguments
    assert isinstance(source, Literal)
    assert isinstance(target, Literal)
    back = literal_shape(rotated(numbers, between(str(target.value), str(source.value))), still.offset)
    shape = _as_doubles(shape)
    return (shape, back) if turned is first else (back, shape)


def _is_turned(expr: Expr) -> bool:
    return isinstance(expr, Call) and expr.function is TRANSFORMED
