"""Shapes in ADQL: the several ways to write POINT, CIRCLE, BOX, POLYGON and REGION, brought to one.

A shape is either a ``Shape``, whose kind and numbers the query writes, or any other expression of a shape's type: a
column of a sub-query, a call, or a text whose xtype says that it is a region, such as a column of ObsCore's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from qserv_py.adql.blocks.metadata import meaning_of
from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.constants import constant_number, degrees_hint
from qserv_py.adql.functions.shapes import COORDINATE, REGION_OF_TEXT
from qserv_py.adql.geometry.region_text import numbers_of, reason
from qserv_py.adql.geometry.sphere import body_of, corners_of_box
from qserv_py.adql.tree import Call, Expr, Literal, Shape, ShapeKind
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError, UnknownFunctionError

_ICRS = re.compile(r"(icrs|unknownframe)?(\s+(geocenter|barycenter|topocenter|unknownrefpos))?", re.IGNORECASE)

_FORMS = {
    ShapeKind.POINT: "POINT([coosys,] lon, lat)",
    ShapeKind.CIRCLE: "CIRCLE([coosys,] lon, lat, radius) or CIRCLE([coosys,] point, radius)",
    ShapeKind.BOX: "BOX([coosys,] lon, lat, width, height) or BOX([coosys,] point, width, height)",
    ShapeKind.POLYGON: "POLYGON([coosys,] lon, lat, lon, lat, lon, lat, ...) or POLYGON([coosys,] point, ...)",
}
_NUMBERS = {ShapeKind.POINT: 2, ShapeKind.CIRCLE: 3, ShapeKind.BOX: 4}


def build_shape(kind: ShapeKind, arguments: Sequence[Expr], failures: ErrorFactory, offset: int | None) -> Shape:
    """Return the shape that a call of POINT, CIRCLE, BOX or POLYGON makes.

    Raises
    ------
    UnknownFunctionError
        If the arguments are not one of the function's forms.
    TypeMismatchError
        If an argument is no number, or a constant is out of range.
    """
    numbers = _flatten(_without_frame(arguments, failures), kind)
    wanted = _NUMBERS.get(kind)
    right = len(numbers) == wanted if wanted else len(numbers) >= 6 and len(numbers) % 2 == 0
    if not right:
        raise failures.error(
            UnknownFunctionError, f"{kind} has the wrong number of arguments", offset, hint=f"Write {_FORMS[kind]}."
        )
    for number in numbers:
        if number.type is not None and not number.type.is_numeric:
            raise failures.error(
                TypeMismatchError,
                f"{kind} needs numbers (degrees)",
                number.offset or offset,
                hint=degrees_hint(number) or "Write numbers or columns of numbers.",
            )
    shape = Shape(type=kind.datatype, kind=kind, numbers=tuple(numbers), offset=offset)
    _check_constants(shape, failures)
    return shape


def literal_shape(numbers: Sequence[float], offset: int | None) -> Shape:
    """Return the shape that constant numbers are."""
    kind = {2: ShapeKind.POINT, 3: ShapeKind.CIRCLE}.get(len(numbers), ShapeKind.POLYGON)
    values = tuple(Literal(type=DataType.DOUBLE, value=number, offset=offset) for number in numbers)
    return Shape(type=kind.datatype, kind=kind, numbers=values, offset=offset)


def region_shape(arguments: Sequence[Expr], failures: ErrorFactory, offset: int | None) -> Shape:
    """Return the shape that ``REGION('...')`` writes.

    Raises
    ------
    UnknownFunctionError
        If the argument is not one literal.
    QueryNotSupportedError
        If its text is no region, or one of a kind or a frame that is not understood.
    """
    text = arguments[0].value if len(arguments) == 1 and isinstance(arguments[0], Literal) else None
    if not isinstance(text, str):
        raise failures.error(
            UnknownFunctionError,
            "REGION takes one literal",
            offset,
            hint="Write REGION('Circle ICRS 10 20 0.5'). CAST(column AS REGION) reads a column of text.",
        )
    return shape_of_text(text, failures, arguments[0].offset)


def shape_of_text(text: str, failures: ErrorFactory, offset: int | None) -> Shape:
    """Return the shape that a constant text writes."""
    numbers = numbers_of(text)
    if numbers is None:
        why, hint = reason(text)
        raise failures.unsupported(f"REGION: {why}", offset, hint=hint)
    return literal_shape(numbers, offset)


def as_shape(expr: Expr) -> Expr | None:
    """Return an expression as a shape: a column of text becomes what it holds; None when it is none."""
    if expr.type is not None and expr.type.is_shape:
        return expr
    kind = kind_of_text(expr)
    if kind is None:
        return None
    word = Literal(type=DataType.TEXT, value=kind.name)
    return Call(type=kind, function=REGION_OF_TEXT, arguments=(expr, word), offset=expr.offset)


def kind_of_text(expr: Expr) -> DataType | None:
    """Return the kind of shape that the xtype of a text names, such as that of a column; None when it names none."""
    if expr.type is None or not expr.type.is_text:
        return None
    return _XTYPES.get(meaning_of(expr).xtype.strip().lower().removeprefix("adql:"))


_XTYPES = {
    "point": DataType.POINT,
    "circle": DataType.CIRCLE,
    "polygon": DataType.POLYGON,
    "region": DataType.REGION,
    "shape": DataType.REGION,
    "stc-s": DataType.REGION,
    "stc": DataType.REGION,
}


def as_point(expr: Expr) -> Shape | None:
    """Return an expression as a POINT with two numbers; None when it is none."""
    shape = as_shape(expr)
    if isinstance(shape, Shape):
        return shape if shape.kind is ShapeKind.POINT else None
    if shape is None or shape.type is not DataType.POINT:
        return None
    numbers = tuple(_number_of(shape, place) for place in (1, 2))
    return Shape(type=DataType.POINT, kind=ShapeKind.POINT, numbers=numbers, offset=expr.offset)


def _number_of(shape: Expr, place: int) -> Expr:
    which = Literal(type=DataType.INT, value=place)
    return Call(type=DataType.DOUBLE, function=COORDINATE, arguments=(shape, which), offset=shape.offset)


def constant_numbers(shape: Expr) -> list[float] | None:
    """Return the numbers of a shape when all are constant; of a BOX, its own four."""
    if not isinstance(shape, Shape):
        return None
    values = [constant_number(number) for number in shape.numbers]
    return None if any(value is None for value in values) else [value for value in values if value is not None]


def constant_shape(shape: Expr) -> tuple[float, ...] | None:
    """Return the numbers of a shape when all are constant; of a BOX, those of its corners."""
    numbers = constant_numbers(shape)
    if numbers is None:
        return None
    box = isinstance(shape, Shape) and shape.kind is ShapeKind.BOX
    return corners_of_box(*numbers) if box else tuple(numbers)


def check_hemisphere(shape: Expr, failures: ErrorFactory) -> None:
    """Refuse a constant polygon that no hemisphere around the middle of its vertices holds."""
    numbers = constant_shape(shape)
    if numbers is not None and body_of(numbers) is None:
        raise failures.unsupported(
            "the POLYGON is larger than a hemisphere", shape.offset, hint="Split it into smaller ones with OR."
        )


def _without_frame(arguments: Sequence[Expr], failures: ErrorFactory) -> Sequence[Expr]:
    """Drop the coordinate system, the deprecated first argument; only ICRS is understood."""
    if not arguments or not isinstance(arguments[0], Literal) or not isinstance(arguments[0].value, str):
        return arguments
    frame = arguments[0].value.strip()
    if hint := degrees_hint(arguments[0]):
        raise failures.error(TypeMismatchError, "positions are numbers (degrees)", arguments[0].offset, hint=hint)
    if not _ICRS.fullmatch(frame):
        raise failures.unsupported(
            f"positions are ICRS; coordinate system '{frame}' is not converted",
            arguments[0].offset,
            hint="Turn it with ivo_geom_transform, or write 'ICRS'.",
        )
    return arguments[1:]


def _flatten(arguments: Sequence[Expr], kind: ShapeKind) -> list[Expr]:
    """Replace points by their coordinates, where the form takes points."""
    numbers: list[Expr] = []
    for index, argument in enumerate(arguments):
        takes_point = kind is ShapeKind.POLYGON or (kind is not ShapeKind.POINT and index == 0)
        point = as_point(argument)
        if point is not None and takes_point:
            numbers += point.numbers
        elif as_shape(argument) is not None:
            return []
        else:
            numbers.append(argument)
    return numbers


def check_declinations(values: Iterable[float | None], what: str, place: int | None, failures: ErrorFactory) -> None:
    """Refuse a constant declination beyond the poles; None stands for one that is not constant."""
    for value in values:
        if value is not None and not -90 <= value <= 90:
            raise failures.error(
                TypeMismatchError,
                f"declination {value:g} of {what} is outside [-90, 90]",
                place,
                hint="Write the right ascension first, then the declination.",
            )


def _check_constants(shape: Shape, failures: ErrorFactory) -> None:
    values = [constant_number(number) for number in shape.numbers]
    sizes = values[2:] if shape.kind in {ShapeKind.CIRCLE, ShapeKind.BOX} else []
    latitudes = values[1::2] if shape.kind in {ShapeKind.POINT, ShapeKind.POLYGON} else values[1:2]
    for value in values:
        if value is not None and not math.isfinite(value):
            raise failures.error(
                TypeMismatchError, f"{shape.kind} needs finite numbers", shape.offset, hint="Write numbers in degrees."
            )
    check_declinations(latitudes, str(shape.kind), shape.offset, failures)
    for size in sizes:
        if size is not None and size < 0:
            raise failures.error(
                TypeMismatchError,
                f"{shape.kind} has the negative size {size:g}",
                shape.offset,
                hint="Write a size of 0 or more, in degrees.",
            )
    if shape.kind is ShapeKind.BOX and any(size is not None and size >= 180 for size in sizes):
        raise failures.unsupported(
            "a side of BOX is 180 degrees or more", shape.offset, hint="Write bounds of ra and dec: ra BETWEEN a AND b."
        )
