"""What is asked of one shape: its coordinates, area and centre, and the shape in another frame."""

from __future__ import annotations

from collections.abc import Sequence

from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.calls import checked_call
from qserv_py.adql.expressions.operands import as_double
from qserv_py.adql.functions import FORMS
from qserv_py.adql.functions.positions import AREA_OF_BOX, AREA_OF_CIRCLE
from qserv_py.adql.functions.shapes import AREA_OF_SHAPE, CENTROID_OF_SHAPE, TRANSFORMED
from qserv_py.adql.geometry.frames import ROTATIONS, between, frame_named
from qserv_py.adql.geometry.relations import doubles
from qserv_py.adql.geometry.shapes import as_point, as_shape, check_hemisphere, constant_shape, literal_shape
from qserv_py.adql.geometry.sphere import area, centroid, rotated
from qserv_py.adql.tree import Call, Case, Expr, IsNull, Literal, Shape, ShapeKind
from qserv_py.catalog.types import DataType
from qserv_py.errors import UnknownFunctionError

MEASURES = {"COORD1", "COORD2", "COORDSYS", "CENTROID", "AREA", "IVO_GEOM_TRANSFORM"}
_SIGNATURES = {form.name.upper(): form.signature for form in FORMS}


class Measures:
    """Builds what is asked of one shape."""

    def __init__(self, failures: ErrorFactory) -> None:
        self.failures = failures

    def build(self, name: str, arguments: Sequence[Expr], place: int | None) -> Expr:
        """Return the expression that a call stands for; numbers that are known are computed here."""
        if name == "IVO_GEOM_TRANSFORM":
            return self._transformed(arguments, place)
        shape = as_shape(arguments[0]) if len(arguments) == 1 else None
        if shape is None:
            raise self._wrong(name, f"{name} takes one shape", place)
        match name:
            case "COORDSYS":
                return self._frame(shape, place)
            case "CENTROID":
                return self._centroid(shape, place)
            case "AREA":
                return self._area(shape, place)
        point = as_point(shape)
        if point is None:
            raise self._wrong(name, f"{name} takes a POINT, found a {_kind(shape)}", place)
        return as_double(point.numbers[0 if name == "COORD1" else 1])

    def _frame(self, shape: Expr, place: int | None) -> Expr:
        icrs = Literal(type=DataType.TEXT, value="ICRS", offset=place)
        if isinstance(shape, Shape):
            return icrs
        missing = IsNull(type=DataType.BOOLEAN, operand=shape)
        nothing = Literal(type=None, value=None)
        return Case(type=DataType.TEXT, branches=((missing, nothing),), otherwise=icrs, offset=place)

    def _centroid(self, shape: Expr, place: int | None) -> Expr:
        if isinstance(shape, Shape) and shape.kind is not ShapeKind.POLYGON:
            return Shape(type=DataType.POINT, kind=ShapeKind.POINT, numbers=shape.numbers[:2], offset=place)
        known = constant_shape(shape)
        if known is not None:
            check_hemisphere(shape, self.failures)
            return literal_shape(centroid(known), place)
        return Call(type=DataType.POINT, function=CENTROID_OF_SHAPE, arguments=(_doubles(shape),), offset=place)

    def _area(self, shape: Expr, place: int | None) -> Expr:
        if isinstance(shape, Shape) and shape.kind is ShapeKind.CIRCLE:
            return checked_call(AREA_OF_CIRCLE, shape.numbers[2:], place, self.failures)
        if isinstance(shape, Shape) and shape.kind is ShapeKind.BOX:
            return checked_call(AREA_OF_BOX, shape.numbers[2:], place, self.failures)
        if isinstance(shape, Shape) and shape.kind is ShapeKind.POINT:
            return Literal(type=DataType.DOUBLE, value=0.0, offset=place)
        known = constant_shape(shape)
        if known is not None:
            check_hemisphere(shape, self.failures)
            return Literal(type=DataType.DOUBLE, value=area(known), offset=place)
        return Call(type=DataType.DOUBLE, function=AREA_OF_SHAPE, arguments=(_doubles(shape),), offset=place)

    def _transformed(self, arguments: Sequence[Expr], place: int | None) -> Expr:
        shape = as_shape(arguments[2]) if len(arguments) == 3 else None
        names = [part.value for part in arguments[:2] if isinstance(part, Literal)]
        if shape is None or len(names) < 2 or not all(isinstance(name, str) for name in names):
            raise self._wrong("IVO_GEOM_TRANSFORM", "ivo_geom_transform takes two literals and a shape", place)
        frames = [frame_named(str(name)) for name in names]
        for name, frame, part in zip(names, frames, arguments, strict=False):
            if frame is None:
                raise self.failures.unsupported(
                    f"coordinate system '{name}' is not converted",
                    part.offset,
                    hint=f"Known: {', '.join(['ICRS', *ROTATIONS])}.",
                )
        source, target = frames
        if source == target:
            return shape
        known = constant_shape(shape)
        if known is not None:
            return literal_shape(rotated(known, between(str(source), str(target))), place)
        words = (Literal(type=DataType.TEXT, value=source), Literal(type=DataType.TEXT, value=target))
        return Call(type=shape.type, function=TRANSFORMED, arguments=(_doubles(shape), *words), offset=place)

    def _wrong(self, name: str, message: str, place: int | None) -> Exception:
        return self.failures.error(UnknownFunctionError, message, place, hint=f"Write {_SIGNATURES[name]}.")


def _doubles(shape: Expr) -> Expr:
    return doubles(shape) if isinstance(shape, Shape) else shape


def _kind(shape: Expr) -> str:
    return shape.kind.value if isinstance(shape, Shape) else str(shape.type and shape.type.names.adql)
