"""Where the simulated objects are: two discs, a bulge and a halo of stars, galaxies, and some real clusters.

Stars are drawn in three dimensions around the galactic centre and looked at from the Sun, so that densities near the
plane and the centre come out as in a real survey: the densest chunk has a thousand times the rows per square degree of
the emptiest. Nothing here is good enough for science; it is meant to be as uneven as the sky is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from qserv_py.catalog.snapshot import FloatArray, IntArray

SUN_KPC = 8.2
"""Distance of the Sun from the galactic centre."""

GALACTIC_TO_ICRS = np.array(
    [
        [-0.0548755604, 0.4941094279, -0.8676661490],
        [-0.8734370902, -0.4448296300, -0.1980763734],
        [-0.4838350155, 0.7469822445, 0.4559837762],
    ]
)
"""Rotation from galactic to ICRS unit vectors (Hipparcos catalogue, ESA SP-1200, volume 1, section 1.5.3)."""


class Component(IntEnum):
    """Population that an object belongs to."""

    THIN_DISC = 0
    THICK_DISC = 1
    BULGE = 2
    HALO = 3
    GALAXY = 4
    CLUSTER = 5


SHARES = (0.40, 0.17, 0.12, 0.10, 0.16, 0.05)
"""Share of each component in the objects, in the order of ``Component``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A globular cluster or a satellite galaxy, at its real place."""

    name: str
    ra: float
    dec: float
    """ICRS, degrees."""

    radius_arcmin: float
    """Scale radius of a Plummer profile."""

    distance_kpc: float
    weight: float
    """Share of the cluster objects, not normalised."""


CLUSTERS = (
    Cluster(name="Large Magellanic Cloud", ra=80.894, dec=-69.756, radius_arcmin=120.0, distance_kpc=49.6, weight=6.0),
    Cluster(name="Small Magellanic Cloud", ra=13.187, dec=-72.829, radius_arcmin=60.0, distance_kpc=62.4, weight=2.5),
    Cluster(name="47 Tucanae", ra=6.0236, dec=-72.0813, radius_arcmin=3.2, distance_kpc=4.5, weight=1.5),
    Cluster(name="omega Centauri", ra=201.697, dec=-47.4795, radius_arcmin=5.0, distance_kpc=5.4, weight=2.0),
    Cluster(name="Messier 13", ra=250.4218, dec=36.4599, radius_arcmin=1.7, distance_kpc=7.1, weight=0.7),
    Cluster(name="Messier 22", ra=279.0998, dec=-23.9047, radius_arcmin=3.4, distance_kpc=3.3, weight=0.8),
    Cluster(name="Messier 67", ra=132.846, dec=11.814, radius_arcmin=8.0, distance_kpc=0.86, weight=0.5),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Positions:
    """Places of objects; all arrays have shape (n,)."""

    ra: FloatArray
    dec: FloatArray
    """ICRS, degrees, ``ra`` in [0, 360)."""

    latitude: FloatArray
    """Galactic latitude, degrees."""

    distance_kpc: FloatArray
    """Distance; meaningless for galaxies."""

    component: IntArray
    """Values of ``Component``."""


def draw_positions(rng: np.random.Generator, count: int) -> Positions:
    """Draw ``count`` objects of all components in random order."""
    component = rng.choice(len(SHARES), size=count, p=SHARES)
    vectors = np.empty((count, 3))
    for kind in Component:
        chosen = np.flatnonzero(component == kind)
        vectors[chosen] = _draw(rng, kind, len(chosen))
    distance = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    icrs = (vectors / distance[:, None]) @ GALACTIC_TO_ICRS.T
    ra = np.degrees(np.arctan2(icrs[:, 1], icrs[:, 0])) % 360.0
    return Positions(
        ra=np.where(ra >= 360.0, 0.0, ra),  # a tiny negative angle rounds to 360 itself
        dec=np.degrees(np.arcsin(np.clip(icrs[:, 2], -1.0, 1.0))),
        latitude=np.degrees(np.arcsin(np.clip(vectors[:, 2] / distance, -1.0, 1.0))),
        distance_kpc=distance,
        component=component.astype(np.int64),
    )


def _draw(rng: np.random.Generator, kind: Component, count: int) -> FloatArray:
    """Return vectors from the Sun in galactic coordinates, kpc, shape (count, 3); x points to the galactic centre."""
    match kind:
        case Component.THIN_DISC:
            return _disc(rng, count, length_kpc=2.6, height_kpc=0.3)
        case Component.THICK_DISC:
            return _disc(rng, count, length_kpc=3.0, height_kpc=1.0)
        case Component.BULGE:
            return rng.normal((SUN_KPC, 0.0, 0.0), (1.2, 0.9, 0.6), (count, 3))
        case Component.HALO:
            return rng.normal((SUN_KPC / 2, 0.0, 0.0), 12.0, (count, 3))
        case Component.GALAXY:
            return _isotropic(rng, count)
        case Component.CLUSTER:
            return _clusters(rng, count)


def _isotropic(rng: np.random.Generator, count: int) -> FloatArray:
    vectors = rng.normal(size=(count, 3))
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return unit


def _disc(rng: np.random.Generator, count: int, *, length_kpc: float, height_kpc: float) -> FloatArray:
    """Exponential disc; half of the stars are redrawn near the Sun, because a survey sees the near ones best."""
    radius = rng.gamma(2.0, length_kpc, count)
    angle = rng.uniform(-np.pi, np.pi, count)
    near = rng.random(count) < 0.5
    radius = np.where(near, SUN_KPC + rng.normal(0.0, 1.2, count), radius)
    angle = np.where(near, rng.normal(0.0, 0.15, count), angle)
    height = rng.laplace(0.0, height_kpc, count)
    return np.column_stack((SUN_KPC - radius * np.cos(angle), radius * np.sin(angle), height))


def _clusters(rng: np.random.Generator, count: int) -> FloatArray:
    weights = np.array([cluster.weight for cluster in CLUSTERS])
    chosen = rng.choice(len(CLUSTERS), size=count, p=weights / weights.sum())
    ra = np.radians(np.array([cluster.ra for cluster in CLUSTERS])[chosen])
    dec = np.radians(np.array([cluster.dec for cluster in CLUSTERS])[chosen])
    scale = np.radians(np.array([cluster.radius_arcmin for cluster in CLUSTERS])[chosen] / 60.0)
    # Plummer profile in projection, cut where it holds 97 % of the stars.
    share = rng.uniform(0.0, 0.97, count)
    radius = scale * np.sqrt(share / (1.0 - share))
    turn = rng.uniform(-np.pi, np.pi, count)
    centre = np.column_stack((np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)))
    east = np.column_stack((-np.sin(ra), np.cos(ra), np.zeros(count)))
    north = np.cross(centre, east)
    away = np.tan(radius)[:, None] * (np.cos(turn)[:, None] * east + np.sin(turn)[:, None] * north)
    unit = centre + away
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    distance = np.array([cluster.distance_kpc for cluster in CLUSTERS])[chosen]
    vectors: FloatArray = (unit @ GALACTIC_TO_ICRS) * distance[:, None]
    return vectors
