"""Random positions where partitioning goes wrong: clusters, poles, the wrap of right ascension, cell corners."""

from __future__ import annotations

import healpy
import numpy as np
from hypothesis import strategies as st

Sky = tuple[np.ndarray, np.ndarray]


def clustered(centre_ra: float, centre_dec: float, spread: float, count: int, seed: int) -> Sky:
    """Return positions around a place, at angles up to ``spread`` degrees, also across a pole."""
    random = np.random.default_rng(seed)
    distance = np.radians(spread) * np.sqrt(random.random(count))
    angle = random.uniform(0, 2 * np.pi, count)
    lat, lon = np.radians(centre_dec), np.radians(centre_ra)
    sin_dec = np.clip(np.sin(lat) * np.cos(distance) + np.cos(lat) * np.sin(distance) * np.cos(angle), -1, 1)
    dec = np.arcsin(sin_dec)
    across = np.arctan2(np.sin(angle) * np.sin(distance) * np.cos(lat), np.cos(distance) - np.sin(lat) * np.sin(dec))
    ra = np.degrees(lon + across) % 360.0
    return np.where(ra >= 360.0, 0.0, ra), np.clip(np.degrees(dec), -90.0, 90.0)


def corners(order: int, seed: int, count: int) -> Sky:
    """Return positions at and very near the corners of cells."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 12 << (2 * order), count)
    vectors = healpy.boundaries(1 << order, pixels, step=1, nest=True).transpose(0, 2, 1).reshape(-1, 3)
    ra, dec = healpy.vec2ang(vectors, lonlat=True)
    dec = np.clip(dec + random.choice([0.0, 1e-9, -1e-9, 1e-4], len(dec)), -90.0, 90.0)
    ra = ra % 360.0
    return np.where(ra >= 360.0, 0.0, ra), dec


@st.composite
def skies(draw: st.DrawFn, max_rows: int = 300) -> Sky:
    """Draw a sky of some clusters."""
    parts: list[Sky] = []
    for _ in range(draw(st.integers(1, 3))):
        seed, count = draw(st.integers(0, 2**16)), draw(st.integers(1, max_rows // 3))
        if draw(st.integers(0, 4)) == 0:
            parts.append(corners(draw(st.integers(0, 12)), seed, max(1, count // 4)))
            continue
        ra = draw(st.sampled_from([0.0, 359.9999, 45.0, 90.0, 180.0, 123.4]))
        dec = draw(st.sampled_from([90.0, -90.0, 89.99, 41.81, -41.81, 0.0, 12.3]))
        parts.append(clustered(ra, dec, draw(st.sampled_from([0.001, 0.05, 1.0, 30.0, 180.0])), count, seed))
    return np.concatenate([ra for ra, _ in parts]), np.concatenate([dec for _, dec in parts])
