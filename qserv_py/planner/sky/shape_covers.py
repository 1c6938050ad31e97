"""Constant shapes to covers of the sky, and what else their places say about shapes around other positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np

from qserv_py.adql.expressions.constants import constant_number
from qserv_py.adql.geometry.shapes import constant_numbers, constant_shape
from qserv_py.adql.geometry.sphere import corners_of_box, position, vector
from qserv_py.adql.tree import Shape, ShapeKind
from qserv_py.errors import InternalError, QueryNotSupportedError
from qserv_py.partitioner import cover, ranges
from qserv_py.partitioner.cover import Cover

_LARGEST_BOX_DEG = 170.0
"""Sides up to which a box is taken as the polygon of its corners."""

_BORDER_CIRCLES = 32
"""Circles along the border of a polygon that is widened, about."""


def circle(ra: float, dec: float, radius: float) -> Cover:
    """Return the cover of a circle; one of a negative radius is empty."""
    return cover.NOWHERE if radius < 0 else cover.circle(ra, dec, radius)


def cover_of_shape(shape: Shape, numbers: Sequence[float]) -> Cover:
    """Return the cover of a shape with these numbers."""
    if shape.kind is ShapeKind.POINT:
        return circle(numbers[0], numbers[1], 0.0)
    if shape.kind is ShapeKind.CIRCLE:
        return circle(numbers[0], numbers[1], numbers[2])
    if shape.kind is ShapeKind.BOX:
        return _box(*numbers)
    gnomonic(shape)  # refuses what no hemisphere holds
    return cover.polygon(numbers[0::2], numbers[1::2])


def _box(ra: float, dec: float, width: float, height: float) -> Cover:
    """Return the cover of ADQL's BOX: a rectangle in the gnomonic plane around its centre."""
    if min(width, height) <= cover.MARGIN_DEG or max(width, height) > _LARGEST_BOX_DEG:
        # A line, or half the sky: the circle around it covers it, the exact test does the rest.
        reach = _reach_of_box(width, height) + cover.MARGIN_DEG
        return Cover(cover.NOWHERE.inside, cover.circle(ra, dec, reach).maybe)
    corners = corners_of_box(ra, dec, width, height)
    return cover.polygon(corners[0::2], corners[1::2])


def _reach_of_box(width: float, height: float) -> float:
    x, y = math.tan(math.radians(width / 2)), math.tan(math.radians(height / 2))
    return math.degrees(math.atan(math.hypot(x, y)))


def reach_of(shape: Shape) -> float | None:
    """Return how far a shape around a position reaches from it, degrees; None when that is not constant."""
    sizes = [constant_number(number) for number in shape.numbers[2:]]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    if shape.kind is not ShapeKind.BOX:
        return known[0] if known else 0.0
    return _reach_of_box(*known) if max(known) <= _LARGEST_BOX_DEG else None


def widened(shape: Shape, numbers: Sequence[float], reach: float) -> Cover:
    """Return the cover of the places that a shape meets within a reach; inside the shape it is met for certain."""
    if shape.kind in {ShapeKind.POINT, ShapeKind.CIRCLE}:
        own = numbers[2] if shape.kind is ShapeKind.CIRCLE else 0.0
        return Cover(cover_of_shape(shape, numbers).inside, circle(numbers[0], numbers[1], own + reach).maybe)
    found = cover_of_shape(shape, numbers)
    corners = constant_shape(shape) or ()
    vertices = [vector(ra, dec) for ra, dec in zip(corners[0::2], corners[1::2], strict=True)]
    sides = list(zip(vertices, [*vertices[1:], vertices[0]], strict=True))
    lengths = [math.degrees(2 * math.asin(min(1.0, math.dist(a, b) / 2))) for a, b in sides]
    spacing = max(reach, sum(lengths) / _BORDER_CIRCLES)
    limits = [found.maybe]
    for (a, b), length in zip(sides, lengths, strict=True):
        pieces = max(1, math.ceil(length / spacing))
        for piece in range(pieces):
            part = piece / pieces
            ra, dec = position(*(a[k] * (1 - part) + b[k] * part for k in range(3)))
            # parts of the chord are no equal parts of the arc, but no two are further apart than on a quarter circle
            limits.append(cover.circle(ra, dec, reach + _apart(length, pieces) + cover.MARGIN_DEG).maybe)
    return Cover(found.inside, reduce(ranges.union, limits))


def _apart(length: float, pieces: int) -> float:
    """Return an upper bound for the arc of one of the equal pieces of the chord of an arc, degrees."""
    half = math.radians(length / 2)
    return math.degrees(math.atan(math.tan(half) / pieces * 2)) if half < 1.5 else length


def gnomonic(shape: Shape) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Return the centre of a polygon and its vertices in the gnomonic plane around it.

    Returns
    -------
    ra0, dec0
        Centre, degrees.
    xs, ys
        Plane coordinates, shape (n,).

    Raises
    ------
    QueryNotSupportedError
        If no hemisphere around the mean of the vertices holds the polygon.
    """
    numbers = constant_numbers(shape)
    if numbers is None:
        raise InternalError("the plane of a POLYGON whose vertices are columns")
    lon, lat = np.radians(numbers[0::2]), np.radians(numbers[1::2])
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    mean = points.mean(axis=0)
    length = float(np.linalg.norm(mean))
    depths = points @ mean / length if length > 1e-9 else np.zeros(len(points))
    if (depths < 1e-3).any():
        raise QueryNotSupportedError(
            "the POLYGON is larger than a hemisphere", offset=shape.offset, hint="Split it into smaller ones with OR."
        )
    ra0, dec0 = np.arctan2(mean[1], mean[0]), np.arcsin(np.clip(mean[2] / length, -1, 1))
    depth = np.cos(dec0) * np.cos(lat) * np.cos(lon - ra0) + np.sin(dec0) * np.sin(lat)
    xs = np.cos(lat) * np.sin(lon - ra0) / depth
    ys = (np.cos(dec0) * np.sin(lat) - np.sin(dec0) * np.cos(lat) * np.cos(lon - ra0)) / depth
    return float(np.degrees(ra0)), float(np.degrees(dec0)), xs, ys
