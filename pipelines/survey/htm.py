"""Trixels of the Hierarchical Triangular Mesh, numbered as the Butler's ``htm`` dimensions are.

References
----------
Kunszt, Szalay & Thakar 2001, in "Mining the Sky", 631.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import Array

_X, _Y, _Z = np.eye(3)
_ROOTS = np.array(
    [
        [_X, -_Z, _Y],
        [_Y, -_Z, -_X],
        [-_X, -_Z, -_Y],
        [-_Y, -_Z, _X],
        [_X, _Z, -_Y],
        [-_Y, _Z, -_X],
        [-_X, _Z, _Y],
        [_Y, _Z, _X],
    ]
)
"""Corners of the triangles S0 to S3 and N0 to N3, numbered 8 to 15."""


def trixels_of(ra: Array, dec: Array, *, level: int) -> npt.NDArray[np.int64]:
    """Return the trixel of each position.

    Parameters
    ----------
    ra, dec
        ICRS degrees, shape (n,).
    level
        0 to 24; there are 8 * 4**level trixels.
    """
    longitude, latitude = np.radians(ra), np.radians(dec)
    points = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    inside = np.stack([_inwards(corners[None], points).min(axis=1) for corners in _ROOTS])
    root = inside.argmax(axis=0)
    trixels, corners = 8 + root, _ROOTS[root]
    for _ in range(level):
        middles = _unit(np.roll(corners, -1, axis=1) + np.roll(corners, 1, axis=1))  # each across from its corner
        children = [
            np.stack([corners[:, k], middles[:, (k + 2) % 3], middles[:, (k + 1) % 3]], axis=1) for k in range(3)
        ]
        children.append(middles)
        chosen = np.stack([_inwards(child, points).min(axis=1) for child in children]).argmax(axis=0)
        trixels = 4 * trixels + chosen
        corners = np.stack(children)[chosen, np.arange(len(points))]
    found: npt.NDArray[np.int64] = trixels
    return found


def _inwards(corners: Array, points: Array) -> Array:
    """Return how far points are on the inner side of each edge."""
    normals = np.cross(corners, np.roll(corners, -1, axis=1))
    inwards: Array = np.einsum("nij,nj->ni", np.broadcast_to(normals, (len(points), 3, 3)), points)
    return inwards


def _unit(vectors: Array) -> Array:
    unit: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
