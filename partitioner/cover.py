"""Regions to covers: the cells that lie wholly inside a region, and the cells that may hold a part of it.

A cover is two sets of cells with ``inside <= region <= maybe``. Rows in ``inside`` need no further test, rows in
``maybe`` need the exact one. Sets of cells combine as regions do, so AND, OR and NOT of any regions have covers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qserv_py.catalog.snapshot import BoolArray, FloatArray, IntArray
from qserv_py.partitioner import ranges
from qserv_py.partitioner.healpix import block_of_neighbours
from qserv_py.partitioner.healpix_functions import functions

MAX_ORDER = 24
"""Finest order of a cover: cells of 0.01 arcsec."""

CELLS_ACROSS = 8
"""Cells that a cover lays across the radius of a region; it then has about 15 % too much area, in some 30 ranges."""

MARGIN_DEG = 1e-9
"""Degrees (3.6 microarcseconds) that are added to sizes, so that rounding cannot lose a row on a border."""


@dataclass(frozen=True, eq=False)
class Cover:
    """Cells of a region, as ranges of order-29 cells, shape (n, 2) each."""

    inside: IntArray
    """Cells that lie wholly in the region."""

    maybe: IntArray
    """Cells that may hold a point of the region; those of ``inside`` are among them."""

    def __and__(self, other: Cover) -> Cover:
        return Cover(ranges.intersection(self.inside, other.inside), ranges.intersection(self.maybe, other.maybe))

    def __or__(self, other: Cover) -> Cover:
        return Cover(ranges.union(self.inside, other.inside), ranges.union(self.maybe, other.maybe))

    def __invert__(self) -> Cover:
        return Cover(ranges.complement(self.maybe), ranges.complement(self.inside))


_CELL_RADIUS = math.radians(62.0)
"""No point of a cell of order k is further than this / 2**k from its centre (healpy's max_pixrad: at most 61.25)."""

EVERYWHERE = Cover(ranges.EVERYTHING, ranges.EVERYTHING)
NOWHERE = Cover(ranges.NOTHING, ranges.NOTHING)
UNKNOWN = Cover(ranges.NOTHING, ranges.EVERYTHING)
"""The cover of a condition that says nothing about the place, such as ``flux > 5``."""


def order_for(radius_deg: float) -> int:
    """Return the order whose cells are about ``radius / CELLS_ACROSS`` wide."""
    if radius_deg <= 0:
        return MAX_ORDER
    return max(0, min(MAX_ORDER, math.ceil(math.log2(58.6 * CELLS_ACROSS / radius_deg))))


def circle(ra: float, dec: float, radius: float) -> Cover:
    """Return the cover of the positions within ``radius`` of a centre, all in degrees."""
    if radius >= 180:
        return EVERYWHERE
    order = order_for(max(radius, MARGIN_DEG))
    lon0, lat0 = math.radians(ra % 360), math.radians(dec)

    def judge(lon: FloatArray, lat: FloatArray, reach: float) -> tuple[BoolArray, BoolArray]:
        chord = np.sin((lat - lat0) / 2) ** 2 + np.cos(lat) * math.cos(lat0) * np.sin((lon - lon0) / 2) ** 2
        inner = math.radians(radius - MARGIN_DEG) - reach
        outer = min(math.pi, math.radians(radius + MARGIN_DEG) + reach)
        inside = chord <= math.sin(inner / 2) ** 2 if inner > 0 else np.zeros(len(lon), dtype=bool)
        return chord <= math.sin(outer / 2) ** 2, inside

    return _descend(order, judge, (lon0, lat0, math.radians(radius)))


def polygon(ra: Sequence[float], dec: Sequence[float]) -> Cover:
    """Return the cover of a polygon with great circles as sides that a hemisphere holds; degrees, 3 or more vertices.

    Notes
    -----
    ``maybe`` covers the convex hull; ``inside`` is known only where the polygon is its own hull.
    """
    vertices = _unit_vectors(np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64))
    centre = vertices.mean(axis=0)
    centre /= np.linalg.norm(centre)
    normals = _hull_normals(vertices, centre)
    radius = math.degrees(float(np.arccos(np.clip(vertices @ centre, -1, 1)).max()))
    convex = _is_convex(vertices)

    def judge(lon: FloatArray, lat: FloatArray, reach: float) -> tuple[BoolArray, BoolArray]:
        points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
        from_sides = points @ normals.T
        near = math.sin(min(reach, math.pi / 2))
        maybe = (from_sides >= -near).all(axis=1) & (
            points @ centre >= math.cos(min(math.pi, reach + math.radians(radius)))
        )
        inside = maybe & (from_sides >= near).all(axis=1) if reach < math.pi / 4 else np.zeros(len(points), dtype=bool)
        return maybe, inside

    around = (math.atan2(centre[1], centre[0]), math.asin(float(np.clip(centre[2], -1, 1))), math.radians(radius))
    found = _descend(order_for(max(radius, MARGIN_DEG)), judge, around)
    return found if convex else Cover(ranges.NOTHING, found.maybe)


def _hull_normals(vertices: FloatArray, centre: FloatArray) -> FloatArray:
    """Return the inward normals, shape (k, 3), of the sides of the convex hull of points of one hemisphere."""
    # Great circles are straight lines in the gnomonic plane around the centre.
    east = np.cross((0.0, 0.0, 1.0) if abs(centre[2]) < 0.9 else (1.0, 0.0, 0.0), centre)
    east /= np.linalg.norm(east)
    depths = vertices @ centre
    xs, ys = vertices @ east / depths, vertices @ np.cross(centre, east) / depths
    hull = vertices[_hull_of_plane(xs, ys)]
    normals = np.cross(hull, np.roll(hull, -1, axis=0))
    lengths = np.linalg.norm(normals, axis=1)
    kept: FloatArray = normals[lengths > 0] / lengths[lengths > 0, None]
    return kept


def _hull_of_plane(xs: FloatArray, ys: FloatArray) -> list[int]:
    """Return the indices of the corners of the convex hull, counter-clockwise (Andrew's monotone chain)."""
    points = list(zip(xs.tolist(), ys.tolist(), strict=True))
    order = sorted(range(len(points)), key=points.__getitem__)
    corners: list[int] = []
    for indices in (order, order[::-1]):
        chain: list[int] = []
        for index in indices:
            x, y = points[index]
            while len(chain) > 1:
                (x1, y1), (x2, y2) = points[chain[-2]], points[chain[-1]]
                if (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) > 0:
                    break
                chain.pop()
            chain.append(index)
        corners += chain[:-1]
    return corners


def _is_convex(vertices: FloatArray) -> bool:
    """Whether the polygon is its own hull: all other vertices lie on one side of each edge, and none lies on it.

    To count the corners of the hull is not enough: a bow tie and a pentagram have all their vertices on it.
    """
    sides = np.cross(vertices, np.roll(vertices, -1, axis=0))
    lengths = np.linalg.norm(sides, axis=1)
    if (lengths < _SHORTEST_SIDE).any() or len(vertices) > _MOST_VERTICES:
        return False
    heights = vertices @ (sides / lengths[:, None]).T
    number = np.arange(len(vertices))
    others = (number[:, None] != number) & (number[:, None] != (number + 1) % len(vertices))
    return bool((heights[others] > _SHORTEST_SIDE).all() or (heights[others] < -_SHORTEST_SIDE).all())


_SHORTEST_SIDE = 1e-12
"""Radians (0.2 microarcseconds): edges shorter than this are of the size of rounding errors of a unit vector."""

_MOST_VERTICES = 1000
"""Vertices of a polygon that is tested for convexity; the test takes their square of memory."""


def zone(ra: tuple[float, float], dec: tuple[float, float]) -> Cover:
    """Return the cover of a range of right ascension and of declination, degrees, borders included.

    Parameters
    ----------
    ra
        West and east border. Stored right ascensions lie in [0, 360), and ``ra BETWEEN`` compares the stored number,
        so a border beyond that range does not wrap.
    dec
        South and north border.
    """
    west, east = max(0.0, ra[0]), min(360.0, ra[1])
    south, north = max(-90.0, dec[0]), min(90.0, dec[1])
    if south > north or west > east:
        return NOWHERE
    if (west, east, south, north) == (0.0, 360.0, -90.0, 90.0):
        # Not EVERYWHERE: "ra > 0" is false on the border itself.
        return UNKNOWN
    middle, half = math.radians((west + east) / 2), math.radians((east - west) / 2)
    low, high = math.radians(south), math.radians(north)

    def judge(lon: FloatArray, lat: FloatArray, reach: float) -> tuple[BoolArray, BoolArray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            widths = np.arcsin(np.sin(reach) / np.cos(lat))
        # A cell that reaches a pole has every right ascension.
        widths = np.where(np.abs(lat) + reach >= math.pi / 2, math.pi, widths)
        away = np.abs((lon - middle + math.pi) % (2 * math.pi) - math.pi)
        maybe = (away <= half + widths) & (lat >= low - reach) & (lat <= high + reach)
        inside = (away <= half - widths) & (lat >= low + reach) & (lat <= high - reach)
        return maybe, inside

    # The longer side decides the order: a thin zone would otherwise need cells of its own width all along its length.
    equator = 0.0 if south <= 0 <= north else min(abs(south), abs(north))
    longest = max(north - south, (east - west) * math.cos(math.radians(equator)), MARGIN_DEG)
    centre = (low + high) / 2
    # The corners are furthest from the middle, unless the zone goes round to the other side of the sphere.
    corners = [math.sin(centre) * math.sin(d) + math.cos(centre) * math.cos(d) * math.cos(half) for d in (low, high)]
    radius = math.pi if half > math.pi / 2 else math.acos(max(-1.0, min(1.0, *corners)))
    around = (middle, centre, radius)
    return _descend(order_for(min(longest, 90.0) / 2), judge, around)


Judge = Callable[[FloatArray, FloatArray, float], tuple[BoolArray, BoolArray]]
"""Judges circles (centres in radians, one radius): which may meet the region, and which lie inside it."""


def _descend(order: int, judge: Judge, around: tuple[float, float, float]) -> Cover:
    """Return the cover that cells down to ``order`` make, each judged by the circle around it.

    ``around`` is a circle that holds the region: lon, lat, radius in radians. The cells to start from come from it.
    """
    depth, pixels = _start(*around)
    if depth > order:
        depth, pixels = order, np.unique(pixels >> (2 * (depth - order)))
    inside: list[IntArray] = []
    while True:
        found, pixels = _judged(depth, pixels, judge)
        inside.append(found.inside)
        if depth >= order:
            return Cover(ranges.merged(np.concatenate(inside)), ranges.merged(np.concatenate([*inside, found.maybe])))
        step = min(2, order - depth)
        pixels = (pixels[:, None] * 4**step + np.arange(4**step)).ravel()
        depth += step


def _start(lon0: float, lat0: float, radius: float) -> tuple[int, IntArray]:
    """Return an order, and the few cells of it that hold a circle (radians): a cell and its neighbours.

    Notes
    -----
    Not ``cdshealpix.cone_search``: it misses cells at the rim of some circles (13.12 degrees around lon 314.9,
    lat -81.07), and calls cells inside that are not (28 degrees around 0, 0).
    """
    size = math.degrees(radius) + MARGIN_DEG
    # No cell is narrower than 39.5 degrees / 2**order (39.8 at order 7): the neighbours reach further than the circle.
    order = min(MAX_ORDER, math.floor(math.log2(39.0 / size)))
    if order < 0:
        return 0, np.arange(12, dtype=np.int64)
    pixel, dx, dy = np.empty(1, dtype=np.uint64), np.empty(1), np.empty(1)
    depths = np.array([order], dtype=np.uint8)
    functions.lonlat_to_healpix(depths, np.array([lon0 % (2 * math.pi)]), np.array([lat0]), pixel, dx, dy, np.uint16(1))
    block = block_of_neighbours(pixel.astype(np.int64), order=order)
    return order, np.unique(block[block >= 0])


def _judged(order: int, pixels: IntArray, judge: Judge) -> tuple[Cover, IntArray]:
    """Judge cells; return their cover, and those that are neither inside nor outside."""
    lon, lat = np.empty(len(pixels)), np.empty(len(pixels))
    depths = np.full(len(pixels), order, dtype=np.uint8)
    functions.healpix_to_lonlat(depths, pixels.astype(np.uint64), 0.5, 0.5, lon, lat, np.uint16(1))
    maybe, whole = judge(lon, lat, _CELL_RADIUS / 2**order)
    inside, border = pixels[whole], pixels[maybe & ~whole]
    inside_ranges = ranges.of_cells(inside, np.full(len(inside), order))
    border_ranges = ranges.of_cells(border, np.full(len(border), order))
    return Cover(inside_ranges, ranges.union(inside_ranges, border_ranges)), border


def _unit_vectors(ra: FloatArray, dec: FloatArray) -> FloatArray:
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
