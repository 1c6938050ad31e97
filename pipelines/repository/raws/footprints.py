"""Where an exposure looked: polygons on the sphere around its detectors, wide enough for a telescope that errs."""

from __future__ import annotations

import numpy as np
from lsst.sphgeom import ConvexPolygon, UnitVector3d

from qserv_py.partitioner.healpix import unit_vectors
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.wcs import Wcs

PADDING_ARCSEC = 15.0
"""A telescope's guess is off by 2 arcseconds, and 0.03 degrees of rotation are 3.3 at the edge of a field of 3.5
degrees; the rest is room for worse ones."""

_STEPS = 5  # points of each side: between them a side of the distorted image bends less than the padding


def detector_points(wcs: Wcs, shape: tuple[int, int]) -> FloatArray:
    """Return unit vectors around the border of an image, shape (n, 3)."""
    rows, columns = shape
    along = np.linspace(0, 1, _STEPS)
    x = np.concatenate([along, np.ones(_STEPS), along, np.zeros(_STEPS)]) * columns - 0.5
    y = np.concatenate([np.zeros(_STEPS), along, np.ones(_STEPS), along]) * rows - 0.5
    return unit_vectors(*wcs.to_sky(x, y))


def padded_hull(points: FloatArray, *, padding_arcsec: float) -> ConvexPolygon:
    """Return a convex polygon that holds all points with a margin around each.

    Parameters
    ----------
    points
        Unit vectors within a hemisphere, shape (n, 3).
    padding_arcsec
        At the least this is between a point and the polygon's border.
    """
    middle = points.mean(axis=0)
    middle /= np.linalg.norm(middle)
    east = np.cross([0.0, 0.0, 1.0] if abs(middle[2]) < 0.9 else [1.0, 0.0, 0.0], middle)
    east /= np.linalg.norm(east)
    north = np.cross(middle, east)
    depth = points @ middle
    xi, eta = points @ east / depth, points @ north / depth  # gnomonic: great circles are straight
    # A square of half a side p around each point; the plane stretches by 1 / depth**2 at the most.
    margin = np.radians(padding_arcsec / 3600) * (1 / depth.min() ** 2)
    corners = [(xi + i * margin, eta + j * margin) for i in (-1, 1) for j in (-1, 1)]
    plane = np.concatenate([np.stack(corner, axis=1) for corner in corners])
    sphere = middle + plane[:, :1] * east + plane[:, 1:] * north
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    return convex_hull(sphere)


def convex_hull(points: FloatArray) -> ConvexPolygon:
    """Return the convex hull of unit vectors."""
    return ConvexPolygon([UnitVector3d(*map(float, point)) for point in points])
