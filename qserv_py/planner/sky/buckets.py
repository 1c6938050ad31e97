"""The buckets of a neighbour join in one chunk: zones of declination cut into bins of right ascension."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qserv_py.catalog.chunk import ChunkId

BUCKET_RADII = 4.0
"""Width of a bucket in radii: few rows stand in two buckets, few pairs of a bucket are too far apart."""

_CELL_RADIUS = 62.0
"""Degrees; no point of a chunk of order k is further than this / 2**k from its centre."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of one chunk, degrees."""

    height: float
    """Of a zone of declination."""

    bins: int
    """Bins of right ascension around the sky; 1 where a circle may reach around a pole."""

    reach: float
    """How far a circle reaches in right ascension."""

    @property
    def width(self) -> float:
        """Of a bin."""
        return 360.0 / self.bins


def buckets_of(chunk: ChunkId, *, radius: float, centre_dec: float) -> Buckets:
    """Return the buckets of a chunk for pairs within a radius (degrees)."""
    highest = min(90.0, abs(centre_dec) + _CELL_RADIUS / 2**chunk.order + 2 * radius)
    height = BUCKET_RADII * radius
    narrow = math.cos(math.radians(highest))
    half = math.sin(math.radians(radius) / 2)
    if narrow <= half * 1.01:
        return Buckets(height, 1, 360.0)
    reach = math.degrees(2 * math.asin(half / narrow)) * (1 + 1e-9) + 1e-12
    bins = max(1, math.floor(360.0 / (BUCKET_RADII * reach)))
    return Buckets(height, bins if bins > 1 else 1, reach)
