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

MAX_ORDER = 24
"""Finest order of a cover: cells of 0.01 arcsec."""

CELLS_ACROSS = 8
"""Cells that a cover lays across the radius of a region: about 15 % too much area, some 30 ranges."""

MARGIN_DEG = 1e-9
"""Added to sizes: rounding must not lose a row on a border. 3.6 microarcseconds."""


@dataclass(frozen=True, eq=False)
class Cover:
    """Cells of a region, as ranges of order-29 cells, shape (n, 2) each."""

    inside: IntArray
    """Wholly in the region."""

    maybe: IntArray
    """All that may hold a point of the region; contains ``inside``."""

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
"""Of a condition that says nothing about the place."""


def order_for(radius_deg: float) -> int:
    """Return the order whose cells are about ``radius / CELLS_ACROSS`` wide."""
    if radius_deg <= 0:
        return MAX_ORDER
    return max(0, min(MAX_ORDER, math.ceil(math.log2(58.6 * CELLS_ACROSS / radius_deg))))


def circle(ra: float, dec: float, radius: float) -> Cover:
    """Return the cover of the positions within ``radius`` of a centre, all in degrees.

    Notes
    -----
    The inside cells are those of a circle smaller by ``MARGIN_DEG``, so that a row which the exact test would refuse
    by rounding is never taken untested.
    """
    from cdshealpix import cdshealpix as kernel

    if radius >= 180:
        return EVERYWHERE
    order = order_for(max(radius, MARGIN_DEG))
    lon, lat = math.radians(ra % 360), math.radians(dec)
    pixels, orders, _ = kernel.cone_search(order, 0, lon, lat, math.radians(radius + MARGIN_DEG), False)
    maybe = ranges.of_cells(pixels, orders)
    if radius <= 2 * MARGIN_DEG:
        return Cover(ranges.NOTHING, maybe)
    pixels, orders, full = kernel.cone_search(order, 0, lon, lat, math.radians(radius - MARGIN_DEG), False)
    full = full.astype(bool)
    return Cover(ranges.of_cells(pixels[full], orders[full]), maybe)


def polygon(ra: Sequence[float], dec: Sequence[float]) -> Cover:
    """Return the cover of a polygon with great circles as sides that a hemisphere holds; degrees, 3 or more vertices.

    Notes
    -----
    ``maybe`` covers the convex hull; ``inside`` is known only where the polygon is its own hull.
    """
    vertices = _unit_vectors(np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64))
    normals = _hull_normals(vertices)
    centre = vertices.mean(axis=0)
    centre /= np.linalg.norm(centre)
    radius = math.degrees(float(np.arccos(np.clip(vertices @ centre, -1, 1)).max()))
    convex = len(normals) == len(vertices)

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


def _hull_normals(vertices: FloatArray) -> FloatArray:
    """Return the inward normals, shape (k, 3), of the sides of the convex hull of points of one hemisphere."""
    first, second = np.nonzero(~np.eye(len(vertices), dtype=bool))
    normals = np.cross(vertices[first], vertices[second])
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 1e-12] / lengths[lengths > 1e-12, None]
    kept: FloatArray = normals[(vertices @ normals.T >= -1e-12).all(axis=0)]
    return kept


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
        return EVERYWHERE
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
    # The corners are furthest from the middle.
    corners = [math.sin(centre) * math.sin(d) + math.cos(centre) * math.cos(d) * math.cos(half) for d in (low, high)]
    around = (middle, centre, math.acos(max(-1.0, min(1.0, *corners))))
    return _descend(order_for(min(longest, 90.0) / 2), judge, around)


Judge = Callable[[FloatArray, FloatArray, float], tuple[BoolArray, BoolArray]]
"""Of circles (centres in radians, one radius): which may meet the region, and which lie inside it."""


def _descend(order: int, judge: Judge, around: tuple[float, float, float]) -> Cover:
    """Return the cover that cells down to ``order`` make, each judged by the circle around it.

    ``around`` is a circle that holds the region: lon, lat, radius in radians. The cells to start from come from it.
    """
    from cdshealpix import cdshealpix as kernel

    start = max(0, order - 2)
    lon0, lat0, radius = around
    lon0 %= 2 * math.pi
    pixels, _, _ = kernel.cone_search(start, 0, lon0, lat0, min(math.pi, radius + math.radians(MARGIN_DEG)), True)
    pixels = pixels.astype(np.int64)
    inside: list[IntArray] = []
    for depth in range(start, order + 1):
        lon, lat = np.empty(len(pixels)), np.empty(len(pixels))
        depths = np.full(len(pixels), depth, dtype=np.uint8)
        kernel.healpix_to_lonlat(depths, pixels.astype(np.uint64), 0.5, 0.5, lon, lat, np.uint16(1))
        maybe, whole = judge(lon, lat, _CELL_RADIUS / 2**depth)
        inside.append(ranges.of_cells(pixels[whole], np.full(int(whole.sum()), depth)))
        pixels = pixels[maybe & ~whole]
        if depth < order:
            pixels = (pixels[:, None] * 4 + np.arange(4)).ravel()
    known = ranges.merged(np.concatenate(inside))
    border = ranges.of_cells(pixels, np.full(len(pixels), order))
    return Cover(known, ranges.union(known, border))


def _unit_vectors(ra: FloatArray, dec: FloatArray) -> FloatArray:
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
