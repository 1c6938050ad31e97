"""Polygons in the gnomonic plane, where their sides are straight lines."""

from __future__ import annotations

import numpy as np

from qserv_py.adql.geometry.shapes import constant_numbers
from qserv_py.adql.tree import Shape
from qserv_py.errors import InternalError, QueryNotSupportedError


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
