"""Random shapes on the sphere as numbers, and an oracle for them that samples their borders: no code of ours."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

Numbers = tuple[float, ...]


def directions(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def place(direction: np.ndarray) -> tuple[float, float]:
    x, y, z = direction
    return float(np.degrees(np.arctan2(y, x)) % 360), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def moved(ra: float, dec: float, angle: float, reach: float) -> tuple[float, float]:
    """Return the place at an angle (east of north) and a distance from another, degrees."""
    centre = directions(np.array(ra), np.array(dec))
    east = np.array([-math.sin(math.radians(ra)), math.cos(math.radians(ra)), 0.0])
    toward = math.cos(math.radians(angle)) * np.cross(centre, east) + math.sin(math.radians(angle)) * east
    return place(math.cos(math.radians(reach)) * centre + math.sin(math.radians(reach)) * toward)


_middles = st.sampled_from(
    [(0.0, 0.0), (359.9, 0.2), (10.0, 89.9), (200.0, 90.0), (45.0, -90.0), (120.0, -60.0), (0.0, 60.0)]
)
_sizes = st.sampled_from([1 / 3600, 0.01, 1.0, 10.0, 40.0])


@st.composite
def shapes(draw: st.DrawFn, around: tuple[float, float] | None = None, size: float | None = None) -> Numbers:
    """A point, a circle or a polygon of a size, not far from a place."""
    ra, dec = around or draw(_middles)
    size = size or draw(_sizes)
    ra, dec = moved(ra, dec, draw(st.integers(0, 359)), size * draw(st.sampled_from([0.0, 0.3, 0.9, 1.7])))
    kind = draw(st.sampled_from(["point", "circle", "circle", "polygon", "polygon", "polygon"]))
    if kind == "point":
        return ra, dec
    if kind == "circle":
        return ra, dec, size * draw(st.sampled_from([0.0, 0.25, 0.8, 1.3, 4.0]))
    angles = sorted(draw(st.sets(st.integers(0, 359), min_size=3, max_size=7)))
    reaches = draw(st.lists(st.integers(1, 12), min_size=len(angles), max_size=len(angles)))
    scale = size / 8 * draw(st.sampled_from([0.3, 1.0]))
    numbers: list[float] = []
    for angle, reach in zip(angles, reaches, strict=True):
        numbers += moved(ra, dec, angle, reach * scale)
    return tuple(numbers)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Numbers, Numbers]:
    """Two shapes that may well have to do with each other."""
    around, size = draw(_middles), draw(_sizes)
    one = draw(shapes(around, size))
    if draw(st.integers(0, 5)) == 0:
        return one, one
    return one, draw(shapes(around, size))


def border(numbers: Numbers, steps: int = 60) -> np.ndarray:
    """Return points of the border of a shape, shape (n, 3)."""
    if len(numbers) == 2:
        return directions(np.array([numbers[0]]), np.array([numbers[1]]))
    if len(numbers) == 3:
        if numbers[2] >= 180:
            return np.empty((0, 3))
        ring = [moved(numbers[0], numbers[1], 360 * k / (4 * steps), numbers[2]) for k in range(4 * steps)]
        return directions(np.array([p[0] for p in ring]), np.array([p[1] for p in ring]))
    vertices = directions(np.array(numbers[0::2]), np.array(numbers[1::2]))
    fractions = np.linspace(0, 1, steps, endpoint=False)[:, None]
    sides = [a * (1 - fractions) + b * fractions for a, b in zip(vertices, np.roll(vertices, -1, axis=0), strict=True)]
    points = np.concatenate(sides)
    return points / np.linalg.norm(points, axis=1)[:, None]


def inside(numbers: Numbers, points: np.ndarray) -> np.ndarray:
    """Whether points lie in a shape; on its very border, either."""
    if len(numbers) <= 3:
        centre = directions(np.array(numbers[0]), np.array(numbers[1]))
        apart = 2 * np.arcsin(np.clip(np.linalg.norm(points - centre, axis=1) / 2, 0, 1))
        return apart <= math.radians(numbers[2] if len(numbers) == 3 else 0.0)
    vertices = directions(np.array(numbers[0::2]), np.array(numbers[1::2]))
    turns = np.zeros(len(points))
    for a, b in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        # the angle at the point between the directions to a and to b, in its tangent plane
        to_a = a - points * (points @ a)[:, None]
        to_b = b - points * (points @ b)[:, None]
        sine = np.sum(points * np.cross(to_a, to_b), axis=1)
        turns += np.arctan2(sine, np.sum(to_a * to_b, axis=1))
    ahead = points @ vertices.mean(axis=0) > 0
    return (np.abs(turns) > math.pi) & ahead


def gap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the least angle between points of two borders, radians."""
    if not len(one) or not len(other):
        return math.pi
    return float(2 * np.arcsin(min(1.0, np.min(np.linalg.norm(one[:, None] - other[None], axis=2)) / 2)))


def step(points: np.ndarray) -> float:
    """Return the largest angle between neighbouring points of a border, radians."""
    if len(points) < 2:
        return 0.0
    return float(2 * np.arcsin(np.max(np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)) / 2))
