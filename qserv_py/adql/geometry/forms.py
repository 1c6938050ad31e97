"""The geometric functions that are no calls: each becomes a shape, a number or a condition that the planner can read.

The regions of sciSQL, of Qserv and of Q3C (``scisql_s2PtIn*``, ``qserv_areaspec_*``, ``q3c_*``) become the same trees
as CONTAINS, DISTANCE and BETWEEN, so they prune as those do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from qserv_py.adql.blocks.scope import Scope, table_ref
from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.calls import checked_call
from qserv_py.adql.expressions.constants import constant_number
from qserv_py.adql.expressions.operands import as_double
from qserv_py.adql.functions import FORMS
from qserv_py.adql.functions.positions import HEALPIX_INDEX, HEALPIX_PARENT, IN_ELLIPSE, TURN
from qserv_py.adql.functions.shapes import CONVEX
from qserv_py.adql.geometry.measures import MEASURES, Measures
from qserv_py.adql.geometry.relations import Relations, angle_between, doubles
from qserv_py.adql.geometry.shapes import as_point, build_shape, check_hemisphere, constant_shape
from qserv_py.adql.geometry.sphere import is_convex
from qserv_py.adql.tree import (
    Between,
    Call,
    Cast,
    ColumnRef,
    Comparison,
    Expr,
    InShape,
    Literal,
    Logic,
    Shape,
    ShapeKind,
    TableSource,
)
from qserv_py.catalog.model import HEALPIX_COLUMN, DirectorTable
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError, UnknownFunctionError

_SIGNATURES = {form.name.upper(): form for form in FORMS}
_NUMBERS = {"CIRCLE": 3, "BOX": 4, "ELLIPSE": 5}
_LARGEST_AXIS_ARCSEC = 36_000.0


def is_form(name: str) -> bool:
    """Whether an upper-case name is one of the functions of this module."""
    return name in _SIGNATURES


class GeometricForms:
    """Builds the trees that the functions of ``FORMS`` stand for."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.failures: ErrorFactory = scope.failures

    def build(self, name: str, arguments: Sequence[Expr], place: int | None) -> Expr:
        """Return what a call stands for.

        Raises
        ------
        UnknownFunctionError
            If the arguments are not those of the function.
        TypeMismatchError
            If an argument is no number, or a constant is out of range.
        QueryNotSupportedError
            If an argument must be constant and is not.
        """
        if name in MEASURES:
            return Measures(self.failures).build(name, arguments, place)
        self._check_numbers(name, arguments, place)
        if name in {"SCISQL_ANGSEP", "Q3C_DIST"}:
            if len(arguments) != 4:
                raise self._wrong_count(name, arguments, place)
            return angle_between(arguments, place, self.failures)
        if name in {"Q3C_JOIN", "Q3C_RADIAL_QUERY"}:
            return self._closer(name, arguments, place)
        if name == "Q3C_POLY_QUERY":
            return self.region(name, "POLY", arguments[:2], arguments[2:], place)
        region = {"CPOLY": "POLY"}.get(name[len("SCISQL_S2PTIN") :], "") or name.removeprefix("SCISQL_S2PTIN")
        inside = self.region(name, region, arguments[:2], arguments[2:], place)
        return Cast(type=DataType.INT, operand=inside, offset=place)

    def _check_numbers(self, name: str, arguments: Sequence[Expr], place: int | None) -> None:
        if any(isinstance(argument, Shape) for argument in arguments):
            raise self._wrong_arguments(name, f"{_SIGNATURES[name].name} takes numbers, not shapes", place)

    # regions

    def region(
        self, name: str, region: str, position: Sequence[Expr], numbers: Sequence[Expr], place: int | None
    ) -> Expr:
        """Return the condition that a position lies in a region: CIRCLE, BOX, ELLIPSE or POLY."""
        self._check_numbers(name, [*position, *numbers], place)
        wanted = _NUMBERS.get(region)
        right = len(numbers) == wanted if wanted else len(numbers) >= 6 and len(numbers) % 2 == 0
        if len(position) != 2 or not right:
            raise self._wrong_count(name, [*position, *numbers], place)
        point = doubles(build_shape(ShapeKind.POINT, position, self.failures, place))
        if region == "BOX":
            return self._in_bounds(name, point, numbers, place)
        if region == "ELLIPSE":
            return self._in_ellipse(name, point, numbers, place)
        kind = ShapeKind.CIRCLE if region == "CIRCLE" else ShapeKind.POLYGON
        shape = doubles(build_shape(kind, numbers, self.failures, place))
        check_hemisphere(shape, self.failures)
        convex = shape if region == "CIRCLE" or name == "Q3C_POLY_QUERY" else self._convex(name, shape, place)
        return Relations(self.failures).contains(point, convex, place)

    def _convex(self, name: str, shape: Shape, place: int | None) -> Expr:
        """Return a polygon of sciSQL's, which is convex; corners of rows that are not make no shape."""
        corners = constant_shape(shape)
        if corners is None:
            return Call(type=shape.type, function=CONVEX, arguments=(shape,), offset=place)
        if not is_convex(corners):
            raise self.failures.error(
                TypeMismatchError,
                f"{_SIGNATURES[name].name} takes a convex polygon, and the corners make none in this order",
                place,
                hint="Give the corners in their order around the polygon. CONTAINS(POINT(...), POLYGON(...)) = 1 takes "
                "any polygon.",
            )
        return shape

    def _closer(self, name: str, arguments: Sequence[Expr], place: int | None) -> Expr:
        """Return the condition that two positions are closer than a radius."""
        if len(arguments) != 5:
            raise self._wrong_count(name, arguments, place)
        apart, radius = angle_between(arguments[:4], place, self.failures), arguments[4]
        if radius.type is not None and not radius.type.is_numeric:
            raise self.failures.error(
                TypeMismatchError,
                f"{_SIGNATURES[name].name} needs numbers",
                radius.offset or place,
                hint=f"Write {_SIGNATURES[name].signature}.",
            )
        return Comparison(type=DataType.BOOLEAN, operator="<", left=apart, right=as_double(radius), offset=place)

    def _in_bounds(self, name: str, point: Shape, bounds: Sequence[Expr], place: int | None) -> Expr:
        west, south, east, north = self._constants(name, bounds, place)
        for declination in (south, north):
            if not -90 <= declination <= 90:
                raise self._out_of_range(name, f"declination {declination:g} is outside [-90, 90]", place)
        if east < west and not (east >= 0 and west <= 360):
            raise self._out_of_range(name, f"the right ascensions {west:g} to {east:g} are no range", place)
        ra, dec = point.numbers
        conditions = [_between(dec, south, north, place)]
        if east - west < 360:
            west, east = west % 360, east % 360
            ra = ra if self._director_of(ra, "ra") is not None else checked_call(TURN, [ra], place, self.failures)
            if west <= east:
                conditions.insert(0, _between(ra, west, east, place))
            else:
                sides = (_compare(ra, ">=", west, place), _compare(ra, "<=", east, place))
                conditions.insert(0, Logic(type=DataType.BOOLEAN, operator="OR", operands=sides, offset=place))
        if len(conditions) == 1:
            return conditions[0]
        return Logic(type=DataType.BOOLEAN, operator="AND", operands=tuple(conditions), offset=place)

    def _in_ellipse(self, name: str, point: Shape, numbers: Sequence[Expr], place: int | None) -> Expr:
        """Return the ellipse's test and, for the planner, the circle around it."""
        ra0, dec0, major, minor, _ = self._constants(name, numbers, place)
        if not 0 <= minor <= major <= _LARGEST_AXIS_ARCSEC:
            raise self._out_of_range(
                name, f"the semi-axes {major:g} and {minor:g} are not 36000 >= major >= minor >= 0 arcseconds", place
            )
        # sciSQL measures the sine of the distance; the margin is for the rounding of the two tests
        radius = math.degrees(math.asin(math.radians(major / 3600))) + 1e-9
        around = [Literal(type=DataType.DOUBLE, value=value, offset=place) for value in (ra0, dec0, radius)]
        circle = build_shape(ShapeKind.CIRCLE, around, self.failures, place)
        inside = InShape(type=DataType.BOOLEAN, point=point, shape=circle, offset=place)
        exact = checked_call(IN_ELLIPSE, [*point.numbers, *numbers], place, self.failures)
        return Logic(type=DataType.BOOLEAN, operator="AND", operands=(inside, exact), offset=place)

    def _constants(self, name: str, numbers: Sequence[Expr], place: int | None) -> list[float]:
        values = []
        for number in numbers:
            if number.type is not None and not number.type.is_numeric:
                raise self.failures.error(
                    TypeMismatchError,
                    f"{_SIGNATURES[name].name} needs numbers",
                    number.offset or place,
                    hint=f"Write {_SIGNATURES[name].signature}.",
                )
            value = constant_number(number)
            if value is None:
                raise self.failures.unsupported(
                    f"{_SIGNATURES[name].name} is answered for a constant region",
                    number.offset or place,
                    hint="Write numbers, or CONTAINS with a BOX, POLYGON or CIRCLE of columns.",
                )
            if not math.isfinite(value):
                raise self._out_of_range(name, "a number is not finite", place)
            values.append(value)
        return values

    # the rows' own position

    def healpix_index(self, arguments: Sequence[Expr], place: int | None) -> Expr:
        """Return the cell of a position; of a row's own position, by its ``healpix29``."""
        numbers: list[Expr] = []
        for argument in arguments:
            point = as_point(argument)
            numbers += point.numbers if point is not None else [argument]
        order = constant_number(numbers[0]) if len(numbers) == 3 else None
        if order is None or not order.is_integer() or not 0 <= order <= 29:
            return checked_call(HEALPIX_INDEX, numbers, place, self.failures)
        source = self._director_of(numbers[1], "ra")
        if source is None or self._director_of(numbers[2], "dec") is not source:
            return checked_call(HEALPIX_INDEX, numbers, place, self.failures)
        cell = table_ref(source, source.table.column(HEALPIX_COLUMN), place)
        shift = Literal(type=DataType.INT, value=2 * (29 - int(order)), offset=place)
        return Call(type=DataType.LONG, function=HEALPIX_PARENT, arguments=(cell, shift), offset=place)

    def _director_of(self, expr: Expr, coordinate: str) -> TableSource | None:
        """Return the director whose right ascension ("ra") or declination ("dec") an expression is."""
        while isinstance(expr, Cast) and expr.type is DataType.DOUBLE:
            expr = expr.operand
        scope: Scope | None = self.scope
        while scope is not None and isinstance(expr, ColumnRef):
            for source in scope.sources:
                if source.id == expr.source and isinstance(source, TableSource):
                    table = source.table
                    if not isinstance(table, DirectorTable):
                        return None
                    position = table.ra if coordinate == "ra" else table.dec
                    return source if table.column(position.column).physical == expr.label else None
            scope = scope.outer
        return None

    # errors

    def _wrong_arguments(self, name: str, message: str, place: int | None) -> Exception:
        return self.failures.error(UnknownFunctionError, message, place, hint=f"Write {_SIGNATURES[name].signature}.")

    def _wrong_count(self, name: str, arguments: Sequence[Expr], place: int | None) -> Exception:
        count = len(arguments) - (2 if name.startswith("QSERV_AREASPEC_") else 0)
        return self._wrong_arguments(name, f"{_SIGNATURES[name].name} does not take {count} arguments", place)

    def _out_of_range(self, name: str, message: str, place: int | None) -> Exception:
        return self.failures.error(
            TypeMismatchError,
            f"{_SIGNATURES[name].name}: {message}",
            place,
            hint="Write numbers in degrees, within their ranges.",
        )


def _between(expr: Expr, low: float, high: float, place: int | None) -> Expr:
    bounds = [Literal(type=DataType.DOUBLE, value=value, offset=place) for value in (low, high)]
    return Between(type=DataType.BOOLEAN, operand=expr, low=bounds[0], high=bounds[1], offset=place)


def _compare(expr: Expr, operator: str, value: float, place: int | None) -> Expr:
    bound = Literal(type=DataType.DOUBLE, value=value, offset=place)
    return Comparison(type=DataType.BOOLEAN, operator=operator, left=expr, right=bound, offset=place)
