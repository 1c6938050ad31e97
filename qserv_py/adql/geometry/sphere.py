"""Shapes on the sphere as numbers: which holds which, which meet, their areas and centres.

A shape is a list of numbers, degrees: two are a point, three a circle, six or more the vertices of a polygon. Questions
about two shapes are asked of their *bodies*: the circle around the shape (unit vector, radius in radians), and after it
the vertices of a polygon as unit vectors. Everything is computed with vectors, so that poles and right ascension 0 are
places like any other, and with differences of vectors where a product would lose the digits of small shapes.

The same arithmetic, step for step, stands in sql/worker/shape_functions.sql.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

Numbers = Sequence[float]
Vector = tuple[float, float, float]

BORDER = 2e-13
"""Radians: what lies within this of a border lies on it. 40 nanoarcseconds, some hundred rounding errors."""

_SHALLOWEST = 1e-3
"""Least cosine between a vertex and the middle of its polygon: a polygon must fit into a hemisphere."""

_STERADIAN_DEG2 = math.degrees(math.degrees(1.0))
_WHOLE_SKY_DEG2 = 4 * math.pi * _STERADIAN_DEG2


def is_shape(numbers: Sequence[float | None]) -> bool:
    """Whether numbers are a shape: their count, finite, declinations in [-90, 90], a radius not negative."""
    count = len(numbers)
    if count not in {2, 3} and (count < 6 or count % 2):
        return False
    known = [number for number in numbers if number is not None and math.isfinite(number)]
    if len(known) < count:
        return False
    if count == 3 and known[2] < 0:
        return False
    latitudes = known[1:2] if count == 3 else known[1::2]
    return all(-90 <= latitude <= 90 for latitude in latitudes)


def vector(ra: float, dec: float) -> Vector:
    """Return a direction (degrees) as a unit vector."""
    lon, lat = math.radians(_calm(ra)), math.radians(_calm(dec))
    return _calm(math.cos(lat) * math.cos(lon)), _calm(math.cos(lat) * math.sin(lon)), _calm(math.sin(lat))


def position(x: float, y: float, z: float) -> tuple[float, float]:
    """Return the right ascension, [0, 360), and declination of a vector, degrees."""
    ra = math.degrees(math.atan2(y, x))
    return (ra + 360 if ra < 0 else ra) % 360, math.degrees(math.atan2(z, math.sqrt(x * x + y * y)))


def _calm(x: float) -> float:
    """Make next to nothing nothing, as PostgreSQL must, which calls an underflow an error."""
    return 0.0 if abs(x) < 1e-30 else x


def body_of(numbers: Numbers) -> tuple[float, ...] | None:
    """Return the body of a shape; None when a hemisphere around the middle of its vertices does not hold a polygon."""
    if len(numbers) == 2:
        return (*vector(numbers[0], numbers[1]), 0.0)
    if len(numbers) == 3:
        return (*vector(numbers[0], numbers[1]), math.radians(_calm(numbers[2])))
    vertices = [vector(ra, dec) for ra, dec in zip(numbers[0::2], numbers[1::2], strict=True)]
    x, y, z = _sum(vertices)
    length = math.sqrt(x * x + y * y + z * z)
    if length < 1e-9 * len(vertices):
        return None
    centre = (_calm(x / length), _calm(y / length), _calm(z / length))
    if min(_dot(vertex, centre) for vertex in vertices) < _SHALLOWEST:
        return None
    reach = max(_angle(vertex, centre) for vertex in vertices)
    return (*centre, reach + BORDER, *(number for vertex in vertices for number in vertex))


def is_convex(numbers: Numbers) -> bool:
    """Whether a polygon is convex, as far as rounding lets one tell.

    Corners may repeat, stand on a side and go either way round. Great circles are straight lines in the gnomonic plane
    around the middle of the corners: there all turns go one way, and the border turns once in all.
    """
    body = body_of(numbers)
    if body is None:
        return False
    steps = _steps(body)
    turned, ways = 0.0, set()
    for (x, y, near), (x2, y2, _) in zip(steps, [*steps[1:], *steps[:1]], strict=True):
        along, across = x * x2 + y * y2, x * y2 - y * x2
        turned += abs(math.atan2(across, along))
        if abs(across) > near * (abs(x) + abs(y) + abs(x2) + abs(y2)):
            ways.add(across > 0)
    return len(ways) < 2 and turned < 3 * math.pi


def _steps(body: Numbers) -> list[Vector]:
    """Return the sides of a polygon in the gnomonic plane, each with how near to its end is on it."""
    centre = _head(body)
    east = _east(centre)
    north = _times(centre, east)
    places = []
    for number in range(_count(body)):
        vertex = _vertex(body, number)
        depth = _dot(vertex, centre)
        places.append((_dot(vertex, east) / depth, _dot(vertex, north) / depth))
    steps = []
    for (x, y), (x2, y2) in zip(places, [*places[1:], places[0]], strict=True):
        near = BORDER * (1 + x2 * x2 + y2 * y2)
        if abs(x2 - x) + abs(y2 - y) > 2 * near:
            steps.append((x2 - x, y2 - y, near))
    return steps


def _east(centre: Vector) -> Vector:
    """Return a direction at right angles to another."""
    x, y, z = centre
    length = math.sqrt(x * x + y * y) if abs(z) < 0.9 else math.sqrt(y * y + z * z)
    return (-y / length, x / length, 0.0) if abs(z) < 0.9 else (0.0, -z / length, y / length)


def contains(inner: Numbers, outer: Numbers) -> bool:
    """Whether the outer body holds the inner one, borders included."""
    if len(outer) == 4 and outer[3] >= math.pi:
        return True
    if _angle(_head(inner), _head(outer)) > inner[3] + outer[3] + BORDER:
        return False
    if len(outer) == 4:
        if len(inner) == 4:
            return _angle(_head(inner), _head(outer)) + inner[3] <= outer[3] + BORDER
        x, y, z = _head(outer)
        # no point of the polygon is further away than the point opposite allows
        return math.pi - border_distance(inner, (-x, -y, -z)) <= outer[3] + BORDER
    if len(inner) == 4:
        return border_distance(outer, _head(inner)) + inner[3] <= BORDER
    return _polygon_in_polygon(inner, outer)


def intersects(one: Numbers, other: Numbers) -> bool:
    """Whether two bodies have a point in common, borders included."""
    if _angle(_head(one), _head(other)) > one[3] + other[3] + BORDER:
        return False
    if len(one) == 4 and len(other) == 4:
        return True
    if len(one) == 4:
        return border_distance(other, _head(one)) <= one[3] + BORDER
    if len(other) == 4:
        return border_distance(one, _head(other)) <= other[3] + BORDER
    for first, second in ((one, other), (other, one)):
        if any(border_distance(first, _vertex(second, number)) <= BORDER for number in range(_count(second))):
            return True
    return any(_cross(one, i, other, j) for i in range(_count(one)) for j in range(_count(other)))


def _polygon_in_polygon(inner: Numbers, outer: Numbers) -> bool:
    """Whether the whole border of a polygon lies in another: then, as both fit into hemispheres, all of it does."""
    for number in range(_count(inner)):
        if border_distance(outer, _vertex(inner, number)) > BORDER:
            return False
    for number in range(_count(inner)):
        cuts = sorted([0.0, 1.0, *_cuts(inner, number, outer)])
        a, b = _vertex(inner, number), _vertex(inner, number + 1)
        for low, high in itertools.pairwise(cuts):
            middle = (low + high) / 2
            x, y, z = (a[k] * (1 - middle) + b[k] * middle for k in range(3))
            length = math.sqrt(x * x + y * y + z * z)
            if border_distance(outer, (_calm(x / length), _calm(y / length), _calm(z / length))) > BORDER:
                return False
    return True


def _cuts(inner: Numbers, number: int, outer: Numbers) -> list[float]:
    """Return where, from 0 to 1 along one side, the sides of another polygon cut or touch it."""
    a, b = _vertex(inner, number), _vertex(inner, number + 1)
    normal = _normal(a, b)
    found = []
    for other in range(_count(outer)):
        c, d = _vertex(outer, other), _vertex(outer, other + 1)
        if _side_distance(a, b, c) <= BORDER:
            before, after = _dot(normal, _times(a, c)), _dot(normal, _times(c, b))
            if before > 0 and after > 0:
                found.append(before / (before + after))
        elif _cross(inner, number, outer, other):
            plane = _normal(c, d)
            one, two = _dot(plane, _minus(a, c)), _dot(plane, _minus(b, c))
            found.append(one / (one - two))
    return found


def border_distance(body: Numbers, point: Vector) -> float:
    """Return the angle, radians, from a direction to the border of a polygon: negative when it lies inside."""
    x, y, z = _head(body)
    ahead = _dot((x, y, z), point) > 0
    # the sides that the half circle from the point to the east meets tell whether it is inside
    level = _times(point, _east((x, y, z)))
    inside, nearest = False, math.pi
    a = _vertex(body, _count(body) - 1)
    above = _dot(level, _minus(a, point))
    for number in range(_count(body)):
        b = _vertex(body, number)
        height = _dot(level, _minus(b, point))
        if ahead and (above > 0) != (height > 0) and (_dot(_normal(a, b), _minus(point, a)) > 0) == (height > 0):
            inside = not inside
        nearest = min(nearest, _side_distance(a, b, point))
        a, above = b, height
    return -nearest if inside else nearest


def _side_distance(a: Vector, b: Vector, p: Vector) -> float:
    """Return the angle from a direction to the shorter arc from a to b."""
    side, from_a, from_b = _minus(b, a), _minus(p, a), _minus(p, b)
    length = _dot(side, side)
    if length > 0:
        along = _dot(side, from_a) - length * _dot(from_a, from_a) / 4
        back = -_dot(side, from_b) - length * _dot(from_b, from_b) / 4
        if along > 0 and back > 0:
            normal = _normal(a, b)
            across = _times(normal, p)
            return math.atan2(abs(_dot(normal, from_a)), math.sqrt(_dot(across, across)))
    return min(_angle(a, p), _angle(b, p))


def _cross(one: Numbers, i: int, other: Numbers, j: int) -> bool:
    """Whether two sides cross each other; sides that only touch do not."""
    a, b = _vertex(one, i), _vertex(one, i + 1)
    c, d = _vertex(other, j), _vertex(other, j + 1)
    first, second = _normal(a, b), _normal(c, d)
    signs = (
        -_dot(first, _minus(c, a)), _dot(first, _minus(d, a)), _dot(second, _minus(a, c)), -_dot(second, _minus(b, c))
    )  # fmt: skip
    return all(sign > 0 for sign in signs) or all(sign < 0 for sign in signs)


def _head(body: Numbers) -> Vector:
    return body[0], body[1], body[2]


def _count(body: Numbers) -> int:
    return (len(body) - 4) // 3


def _vertex(body: Numbers, number: int) -> Vector:
    start = 4 + 3 * (number % _count(body))
    return body[start], body[start + 1], body[start + 2]


def _sum(vectors: Sequence[Vector]) -> Vector:
    x = y = z = 0.0
    for one in vectors:
        x, y, z = x + one[0], y + one[1], z + one[2]
    return x, y, z


def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _times(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _normal(a: Vector, b: Vector) -> Vector:
    """Return twice the vector product, (a + b) x (b - a): exact for sides of milliarcseconds, too."""
    return _times((a[0] + b[0], a[1] + b[1], a[2] + b[2]), _minus(b, a))


def _angle(a: Vector, b: Vector) -> float:
    """Return the angle between two unit vectors, exact next to 0 and next to pi."""
    apart = _minus(a, b)
    square = _dot(apart, apart)
    if square <= 2:
        return 2 * math.asin(math.sqrt(square) / 2)
    opposite = (a[0] + b[0], a[1] + b[1], a[2] + b[2])
    return math.pi - 2 * math.asin(math.sqrt(_dot(opposite, opposite)) / 2)


def corners_of_box(ra: float, dec: float, width: float, height: float) -> tuple[float, ...]:
    """Return the polygon that ADQL's BOX is: the arms of its cross are great circles, so are its sides."""
    x, y = math.tan(math.radians(_calm(width)) / 2), math.tan(math.radians(_calm(height)) / 2)
    lon, lat = math.radians(_calm(ra)), math.radians(_calm(dec))
    centre = vector(ra, dec)
    east = (-math.sin(lon), math.cos(lon), 0.0)
    north = (-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat))
    return tuple(
        number
        for right, up in ((-x, -y), (x, -y), (x, y), (-x, y))
        for number in position(*(centre[k] + right * east[k] + up * north[k] for k in range(3)))
    )


def area(numbers: Numbers) -> float:
    """Return the area of a shape, square degrees; of a polygon whatever its sense, at most half the sky.

    References
    ----------
    Van Oosterom and Strackee 1983, IEEE Trans. Biomed. Eng. 30, 125: the solid angles of a polygon's fan of triangles.
    """
    if len(numbers) == 2:
        return 0.0
    if len(numbers) == 3:
        half = math.sin(math.radians(min(_calm(numbers[2]), 180.0)) / 2)
        return _WHOLE_SKY_DEG2 * half * half
    vertices = [vector(ra, dec) for ra, dec in zip(numbers[0::2], numbers[1::2], strict=True)]
    total = 0.0
    apex = vertices[0]
    for one, other in zip(vertices, [*vertices[1:], apex], strict=True):
        volume = _dot(_minus(one, apex), _times(apex, _minus(other, one)))
        total += 2 * math.atan2(-volume, 1 + _dot(apex, one) + _dot(apex, other) + _dot(one, other))
    found = abs(total) * _STERADIAN_DEG2
    return min(found, _WHOLE_SKY_DEG2 - found)


def centroid(numbers: Numbers) -> tuple[float, float]:
    """Return the centre of a shape, degrees; of a polygon, the direction of its centre of mass.

    The integral of the position over a polygon is half the sum, over its sides, of their lengths times the normals of
    their planes. A polygon without area has the mean of its vertices.
    """
    if len(numbers) < 6:
        return numbers[0], numbers[1]
    vertices = [vector(ra, dec) for ra, dec in zip(numbers[0::2], numbers[1::2], strict=True)]
    mean = _sum(vertices)
    mass = (0.0, 0.0, 0.0)
    for one, other in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
        normal = _normal(one, other)
        sine = math.sqrt(_dot(normal, normal))
        if sine > 0:
            length = _angle(one, other) / sine
            mass = (mass[0] + normal[0] * length, mass[1] + normal[1] * length, mass[2] + normal[2] * length)
    if _dot(mass, mass) < 1e-30:
        mass = mean
    x, y, z = mass if _dot(mass, mean) >= 0 else (-mass[0], -mass[1], -mass[2])
    return position(x, y, z)


def rotated(numbers: Numbers, matrix: Numbers) -> tuple[float, ...]:
    """Return a shape in another frame; ``matrix`` holds the nine numbers of the rotation, row by row."""
    places = numbers[:2] if len(numbers) == 3 else numbers
    turned: list[float] = []
    for ra, dec in zip(places[0::2], places[1::2], strict=True):
        v = vector(ra, dec)
        turned += position(*(sum(matrix[3 * row + k] * v[k] for k in range(3)) for row in range(3)))
    return (*turned, numbers[2]) if len(numbers) == 3 else tuple(turned)
