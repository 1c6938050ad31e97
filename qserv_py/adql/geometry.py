"""The geometric functions that are no calls: each becomes a shape, a number or a condition that the planner can read.

The regions of sciSQL and of Qserv (``scisql_s2PtIn*``, ``qserv_areaspec_*``) become the same trees as CONTAINS and
BETWEEN, so they prune as those do. AREA and CENTROID of a polygon are computed here: its vertices are constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from qserv_py.adql.constants import constant_number
from qserv_py.adql.functions import FORMS, Function
from qserv_py.adql.functions.positions import (
    AREA_OF_BOX,
    AREA_OF_CIRCLE,
    DISTANCE,
    HEALPIX_INDEX,
    HEALPIX_PARENT,
    IN_ELLIPSE,
    TURN,
)
from qserv_py.adql.places import Failures
from qserv_py.adql.scope import Scope, table_ref
from qserv_py.adql.shapes import build_shape
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

CheckedCall = Callable[[Function, Sequence[Expr], int | None], Expr]

_SIGNATURES = {form.name.upper(): form for form in FORMS}
_MEASURES = {"COORD1", "COORD2", "COORDSYS", "CENTROID", "AREA"}
_NUMBERS = {"CIRCLE": 3, "BOX": 4, "ELLIPSE": 5}
_LARGEST_AXIS_ARCSEC = 36_000.0
_STERADIAN_DEG2 = math.degrees(math.degrees(1.0))
_WHOLE_SKY_DEG2 = 4 * math.pi * _STERADIAN_DEG2


def as_double(expr: Expr) -> Expr:
    """Return a number as DOUBLE PRECISION; a constant stays one."""
    if expr.type is DataType.DOUBLE:
        return expr
    if isinstance(expr, Literal) and isinstance(expr.value, int) and not isinstance(expr.value, bool):
        return Literal(type=DataType.DOUBLE, value=float(expr.value), offset=expr.offset)
    return Cast(type=DataType.DOUBLE, operand=expr, offset=expr.offset)


def doubles(shape: Shape) -> Shape:
    """Return a shape with its numbers as DOUBLE PRECISION."""
    return replace(shape, numbers=tuple(as_double(number) for number in shape.numbers))


def is_form(name: str) -> bool:
    """Whether an upper-case name is one of the functions of this module."""
    return name in _SIGNATURES


class GeometricForms:
    """Builds the trees that the functions of ``FORMS`` stand for."""

    def __init__(self, scope: Scope, call: CheckedCall) -> None:
        self.scope = scope
        self.failures: Failures = scope.failures
        self._call = call

    def build(self, name: str, arguments: Sequence[Expr], place: int | None) -> Expr:
        """Return what a call stands for.

        Raises
        ------
        UnknownFunctionError
            If the arguments are not those of the function.
        TypeMismatchError
            If an argument is no number, or a constant is out of range.
        QueryNotSupportedError
            If an argument must be constant and is not, or the query has no director for ``qserv_areaspec_*``.
        """
        if name in _MEASURES:
            return self._measure(name, arguments, place)
        if any(isinstance(argument, Shape) for argument in arguments):
            raise self._wrong_arguments(name, f"{_SIGNATURES[name].name} takes numbers, not shapes", place)
        if name == "SCISQL_ANGSEP":
            if len(arguments) != 4:
                raise self._wrong_count(name, arguments, place)
            return self._call(DISTANCE, arguments, place)
        region = {"CPOLY": "POLY"}.get(name[len("SCISQL_S2PTIN") :], "") or name.removeprefix("SCISQL_S2PTIN")
        if name.startswith("QSERV_AREASPEC_"):
            region = name.removeprefix("QSERV_AREASPEC_")
            return self._region(name, region, self._director_position(name, place), arguments, place)
        inside = self._region(name, region, arguments[:2], arguments[2:], place)
        return Cast(type=DataType.INT, operand=inside, offset=place)

    # measures of shapes

    def _measure(self, name: str, arguments: Sequence[Expr], place: int | None) -> Expr:
        if len(arguments) != 1 or not isinstance(arguments[0], Shape):
            raise self._wrong_arguments(name, f"{name} takes one shape", place)
        shape = arguments[0]
        if name == "COORDSYS":
            return Literal(type=DataType.TEXT, value="ICRS", offset=place)
        if name == "CENTROID":
            return self._centroid(shape)
        if name == "AREA":
            return self._area(shape, place)
        if shape.kind is not ShapeKind.POINT:
            raise self._wrong_arguments(name, f"{name} takes a POINT, found a {shape.kind}", place)
        return as_double(shape.numbers[0 if name == "COORD1" else 1])

    def _centroid(self, shape: Shape) -> Shape:
        numbers = shape.numbers[:2]
        if shape.kind is ShapeKind.POLYGON:
            ra, dec = centroid_of_polygon(self._vertices(shape))
            numbers = tuple(Literal(type=DataType.DOUBLE, value=value, offset=shape.offset) for value in (ra, dec))
        return Shape(type=None, kind=ShapeKind.POINT, numbers=numbers, offset=shape.offset)

    def _area(self, shape: Shape, place: int | None) -> Expr:
        match shape.kind:
            case ShapeKind.POINT:
                return Literal(type=DataType.DOUBLE, value=0.0, offset=place)
            case ShapeKind.CIRCLE:
                return self._call(AREA_OF_CIRCLE, shape.numbers[2:], place)
            case ShapeKind.BOX:
                return self._call(AREA_OF_BOX, shape.numbers[2:], place)
            case ShapeKind.POLYGON:
                return Literal(type=DataType.DOUBLE, value=area_of_polygon(self._vertices(shape)), offset=place)

    def _vertices(self, shape: Shape) -> np.ndarray:
        values = [constant_number(number) for number in shape.numbers]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            raise self.failures.unsupported("a POLYGON whose vertices are columns is not answered", shape.offset)
        return unit_vectors(known[0::2], known[1::2])

    # regions

    def _region(
        self, name: str, region: str, position: Sequence[Expr], numbers: Sequence[Expr], place: int | None
    ) -> Expr:
        """Return the condition that a position lies in a region."""
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
        return InShape(type=DataType.BOOLEAN, point=point, shape=shape, offset=place)

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
            ra = ra if self._director_of(ra, "ra") is not None else self._call(TURN, [ra], place)
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
        exact = self._call(IN_ELLIPSE, [*point.numbers, *numbers], place)
        return Logic(type=DataType.BOOLEAN, operator="AND", operands=(inside, exact), offset=place)

    def _constants(self, name: str, numbers: Sequence[Expr], place: int | None) -> list[float]:
        values = []
        for number in numbers:
            if number.type is not None and not number.type.is_numeric:
                raise self.failures.error(
                    TypeMismatchError, f"{_SIGNATURES[name].name} needs numbers", number.offset or place
                )
            value = constant_number(number)
            if value is None:
                raise self.failures.unsupported(
                    f"{_SIGNATURES[name].name} is answered for a constant region", number.offset or place
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
            point = isinstance(argument, Shape) and argument.kind is ShapeKind.POINT
            numbers += argument.numbers if isinstance(argument, Shape) and point else [argument]
        order = constant_number(numbers[0]) if len(numbers) == 3 else None
        if order is None or not order.is_integer():
            return self._call(HEALPIX_INDEX, numbers, place)
        if not 0 <= order <= 29:
            raise self.failures.error(TypeMismatchError, f"the HEALPix order {order:g} is not in 0 to 29", place)
        source = self._director_of(numbers[1], "ra")
        if source is None or self._director_of(numbers[2], "dec") is not source:
            return self._call(HEALPIX_INDEX, numbers, place)
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

    def _director_position(self, name: str, place: int | None) -> list[Expr]:
        """Return the position columns of the first director in FROM."""
        for source in self.scope.sources:
            if isinstance(source, TableSource) and isinstance(source.table, DirectorTable):
                table = source.table
                columns = (table.column(table.ra.column), table.column(table.dec.column))
                return [table_ref(source, column, place) for column in columns]
        raise self.failures.unsupported(
            f"{_SIGNATURES[name].name} needs a director in FROM",
            place,
            hint="Join the director by its key, or write scisql_s2PtIn... with the position columns.",
        )

    # errors

    def _wrong_arguments(self, name: str, message: str, place: int | None) -> Exception:
        return self.failures.error(UnknownFunctionError, message, place, hint=f"Write {_SIGNATURES[name].signature}.")

    def _wrong_count(self, name: str, arguments: Sequence[Expr], place: int | None) -> Exception:
        count = len(arguments) - (2 if name.startswith("QSERV_AREASPEC_") else 0)
        return self._wrong_arguments(name, f"{_SIGNATURES[name].name} does not take {count} arguments", place)

    def _out_of_range(self, name: str, message: str, place: int | None) -> Exception:
        return self.failures.error(TypeMismatchError, f"{_SIGNATURES[name].name}: {message}", place)


def _between(expr: Expr, low: float, high: float, place: int | None) -> Expr:
    bounds = [Literal(type=DataType.DOUBLE, value=value, offset=place) for value in (low, high)]
    return Between(type=DataType.BOOLEAN, operand=expr, low=bounds[0], high=bounds[1], offset=place)


def _compare(expr: Expr, operator: str, value: float, place: int | None) -> Expr:
    bound = Literal(type=DataType.DOUBLE, value=value, offset=place)
    return Comparison(type=DataType.BOOLEAN, operator=operator, left=expr, right=bound, offset=place)


def unit_vectors(ra: Sequence[float], dec: Sequence[float]) -> np.ndarray:
    """Return directions as unit vectors, shape (n, 3)."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def area_of_polygon(vertices: np.ndarray) -> float:
    """Return the area of a polygon of great circles, square degrees, whatever its sense: at most half the sky.

    Parameters
    ----------
    vertices
        Unit vectors, shape (n, 3).

    References
    ----------
    Van Oosterom and Strackee 1983, IEEE Trans. Biomed. Eng. 30, 125: the solid angles of its fan of triangles.
    """
    centre = vertices.mean(axis=0)
    length = float(np.linalg.norm(centre))
    apex = centre / length if length > 1e-9 else vertices[0]
    total = 0.0
    for one, other in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        volume = float(np.dot(apex, np.cross(one, other)))
        total += 2 * math.atan2(volume, 1 + float(apex @ one + apex @ other + one @ other))
    area = abs(total) * _STERADIAN_DEG2
    return min(area, _WHOLE_SKY_DEG2 - area)


def centroid_of_polygon(vertices: np.ndarray) -> tuple[float, float]:
    """Return the direction of the centre of mass of a polygon of great circles, degrees.

    The integral of the position over the polygon is half the sum, over its sides, of their lengths times the normals of
    their planes. A polygon without area has the mean of its vertices.

    Parameters
    ----------
    vertices
        Unit vectors, shape (n, 3).
    """
    mean = vertices.mean(axis=0)
    normals = np.cross(vertices, np.roll(vertices, -1, axis=0))
    sines = np.linalg.norm(normals, axis=1)
    lengths = np.arctan2(sines, np.sum(vertices * np.roll(vertices, -1, axis=0), axis=1))
    known = sines > 0
    mass = np.sum(normals[known] * (lengths[known] / sines[known])[:, None], axis=0)
    if np.linalg.norm(mass) < 1e-15:
        mass = mean
    x, y, z = mass if mass @ mean >= 0 else -mass
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.atan2(z, math.hypot(x, y)))
