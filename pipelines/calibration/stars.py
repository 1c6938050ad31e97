"""The stars of a survey: detections of many visits put together by position, and tied to the reference catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from qserv_py.errors import NoFitError
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.catalogues.matching import nearest_within
from qserv_py.pipelines.options import option
from qserv_py.pipelines.single_frame.calibrate import point_sources
from qserv_py.pipelines.single_frame.references import References

IntArray = npt.NDArray[np.int64]

_LEAST_RATIO, _MOST_RATIO = 0.95, 1.1  # of PSF flux to the flux of a Gaussian of free shape, for a star
_MAG_PER_RATIO = 2.5 / np.log(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which stars are taken."""

    signal_to_noise: float = option(50.0, "Of the PSF flux of stars, at the least", least=5.0)
    most_per_image: int = option(
        500, "The brightest so many of each image, which bounds the problem in crowded fields", least=10
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stars:
    """Bright stars of many images, arrays of one length: one entry a detection."""

    image: IntArray
    """Row of the summary, from 0."""

    visit: IntArray
    """Visit of the image."""

    x: FloatArray
    """Pixels."""

    y: FloatArray
    """Pixels."""

    position_error: FloatArray
    """Pixels, the larger axis."""

    magnitude: FloatArray
    """-2.5 log10 of the PSF flux in electrons."""

    magnitude_error: FloatArray
    """From the noise."""

    ra: FloatArray
    """ICRS degrees, by the coordinates so far."""

    dec: FloatArray
    """ICRS degrees."""

    def rows(self, which: npt.NDArray[Any]) -> Stars:
        """Return some of them."""
        return Stars(**{name: getattr(self, name)[which] for name in Stars.__slots__})


def bright_stars(tables: Iterable[tuple[int, int, Any]], options: Options) -> Stars:
    """Return the bright stars of images.

    Parameters
    ----------
    tables
        Row of the summary, visit, and table of ``calibrate`` of each image; read once, one at a time.
    options
        Which stars.

    Raises
    ------
    NoFitError
        If no image has one.
    """
    parts: list[Stars] = []
    for image, visit, table in tables:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.asarray(table["psf_flux"]) / np.asarray(table["gauss_flux"])
            star = point_sources(table, signal_to_noise=options.signal_to_noise)
            star &= (ratio > _LEAST_RATIO) & (ratio < _MOST_RATIO)
        rows = np.nonzero(star)[0]
        flux = np.asarray(table["psf_flux"])[rows]
        order = np.argsort(-flux)[: options.most_per_image]
        rows, flux = rows[order], flux[order]
        one = {name: np.asarray(table[name], float)[rows] for name in ("x", "y", "ra", "dec")}
        errors = [np.asarray(table[f"{axis}_error"], float)[rows] for axis in ("x", "y")]
        parts.append(
            Stars(
                image=np.full(len(rows), image, np.int64),
                visit=np.full(len(rows), visit, np.int64),
                position_error=np.fmax(errors[0], errors[1]),
                magnitude=-2.5 * np.log10(flux),
                magnitude_error=_MAG_PER_RATIO * np.asarray(table["psf_flux_error"], float)[rows] / flux,
                **one,
            )
        )
    if not sum(len(part.x) for part in parts):
        raise NoFitError("no image has a bright star", hint="Lower the stars' least signal to noise.")
    return Stars(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in Stars.__slots__})


def told_apart(stars: Stars, *, radius_arcsec: float) -> tuple[Stars, IntArray]:
    """Return detections that nothing near confuses, and which object each is of, numbered from 0 without gaps.

    Raises
    ------
    NoFitError
        If there is none.
    """
    label = associated(stars, radius_arcsec=radius_arcsec)
    if not (label >= 0).any():
        raise NoFitError("every star has a neighbour too near to tell them apart")
    return stars.rows(label >= 0), compacted(label[label >= 0])


def associated(stars: Stars, *, radius_arcsec: float) -> IntArray:
    """Return which object each detection is of, from 0; -1 where two detections of a visit are too near to each other.

    Detections within the radius, also through others, are of one object. Those that are nearer than half of it are one
    point at their mean first: a star that was seen a thousand times is a few points, not half a million pairs.
    """
    points = _unit_vectors(stars.ra, stars.dec)
    chord = 2 * np.sin(np.radians(radius_arcsec / 3600) / 2)
    cells = np.floor(points / (chord / (2 * np.sqrt(3)))).astype(np.int64)
    cell = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
    number = np.bincount(cell)
    means = np.stack([np.bincount(cell, points[:, axis]) / number for axis in range(3)], axis=1)
    pairs = cKDTree(means).query_pairs(chord, output_type="ndarray")
    graph = csr_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(means), len(means)))
    count, of_cell = connected_components(graph, directed=False)
    label = of_cell.astype(np.int64)[cell]
    order = np.lexsort((stars.visit, label))
    same = (np.diff(label[order]) == 0) & (np.diff(stars.visit[order]) == 0)
    mixed = np.zeros(count, bool)
    mixed[label[order][1:][same]] = True
    return np.where(mixed[label], -1, label)


def compacted(label: IntArray) -> IntArray:
    """Return labels renumbered from 0 without gaps, in their order."""
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def reference_of(
    label: IntArray, stars: Stars, references: References, *, radius_arcsec: float
) -> tuple[IntArray, IntArray]:
    """Return objects that have a reference star, and which: by the mean position of their detections."""
    count = int(label.max()) + 1
    points = np.zeros((count, 3))
    np.add.at(points, label, _unit_vectors(stars.ra, stars.dec))
    ra = np.mod(np.degrees(np.arctan2(points[:, 1], points[:, 0])), 360.0)
    dec = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    nearest = nearest_within(ra, dec, references.ra, references.dec, radius_arcsec=radius_arcsec).index
    objects = np.nonzero(nearest >= 0)[0].astype(np.int64)
    return objects, nearest[objects]


def _unit_vectors(ra: FloatArray, dec: FloatArray) -> FloatArray:
    alpha, delta = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)], axis=-1)
