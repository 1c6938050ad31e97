"""Astrometric refinement: the coordinates of all images from stars that several of them saw, and from references.

Each image gets a polynomial that moves its stars east and north; each star a mean position; references tie the whole.
The polynomials then become part of the images' TAN-SIP coordinates.

References
----------
Bernstein et al. 2017, PASP 129, 074503.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from qserv_py.errors import NoFitError
from qserv_py.pipelines.calibration.joint_fit import Anchors, Block, IntArray, Observations, joint_fit
from qserv_py.pipelines.calibration.stars import Stars, reference_of, told_apart
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.catalogues.astrometry import fit_wcs
from qserv_py.pipelines.kernels.wcs import Wcs, from_plane, to_plane
from qserv_py.pipelines.options import option
from qserv_py.pipelines.single_frame.references import References
from qserv_py.pipelines.single_frame.tables.wcs_columns import wcs_columns, wcs_of_row

_MAS = 3.6e6
_GRID = 20
_DAYS_PER_YEAR = 365.25
_PRIOR_MAS = 100.0  # of a term: no visit is off by more after its own fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How coordinates are solved."""

    radius_arcsec: float = option(0.5, "Of detections of one star", least=0.01)
    order: int = option(1, "Of the polynomial that each image gets on top of its own coordinates", least=0, most=4)
    floor_mas: float = option(
        1.5, "Error of a position at the least: what the atmosphere and the PSF add to the noise", least=0.0
    )
    least_stars: int = option(10, "An image with fewer keeps its coordinates", least=3)


def solve_coordinates(
    stars: Stars, summary: Any, references: References, options: Options, *, motions: FloatArray | None = None
) -> Any:
    """Return the coordinates of images, one row an image that has enough stars.

    Parameters
    ----------
    stars
        Of all images.
    summary
        Rows of images, as ``Stars.image`` counts them: visitId, detector, xSize, ySize, expMidptMJD, coordinates.
    references
        At the mean time of the visits.
    options
        How.
    motions
        Proper motion of the references east and north, mas per year, shape (2, references): positions of a visit differ
        from those of the mean time by it.

    Returns
    -------
    table
        visit, detector, the columns of ``wcs_columns``, nStar, rms_mas per axis. Its meta has the repeatability before
        and after, mas per axis.

    Raises
    ------
    NoFitError
        If no star was seen twice and none has a reference.
    """
    stars, label = told_apart(stars, radius_arcsec=options.radius_arcsec)
    tied, which = reference_of(label, stars, references, radius_arcsec=options.radius_arcsec)
    offsets, middle = _offsets(stars, label)
    if motions is not None:
        offsets -= _motion(stars, summary, label, tied, motions[:, which])
    anchors = _plane_offsets(references.ra[which], references.dec[which], middle[:, tied])
    scale = np.array([3600 * np.sqrt(abs(np.linalg.det(wcs_of_row(row).cd))) for row in summary])[stars.image]
    error = np.hypot(1000 * scale * stars.position_error, options.floor_mas)
    basis = _basis(stars, summary, options.order)
    block = Block(group=stars.image, basis=basis, prior=np.full(basis.shape[1], _PRIOR_MAS))
    fits = [
        joint_fit(
            Observations(value=offsets[axis], error=error, object=label),
            [block],
            anchors=Anchors(object=tied, value=anchors[axis], error=np.fmax(references.error_mas[which], 0.1)),
        )
        for axis in range(2)
    ]
    used = fits[0].used & fits[1].used
    moved = [np.sum(basis * fit.terms[0][stars.image], axis=1) for fit in fits]
    table = _rows(stars, summary, [fit.terms[0] for fit in fits], [fit.residual for fit in fits], used, options)
    table.meta |= {
        "stars": int(label.max()) + 1,
        "references": len(tied),
        "outliers": int(np.sum(~used)),
        "repeatability_before_mas": _repeatability(offsets, label, used),
        "repeatability_mas": _repeatability(offsets - np.stack(moved), label, used),
    }
    return table


def _offsets(stars: Stars, label: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return how far detections are from the first one of their object, mas east and north, and where that one is."""
    first = np.unique(label, return_index=True)[1]
    middle = np.stack([stars.ra[first], stars.dec[first]])
    return _plane_offsets(stars.ra, stars.dec, middle[:, label]), middle


def _plane_offsets(ra: FloatArray, dec: FloatArray, middle: FloatArray) -> FloatArray:
    xi, eta = to_plane(ra, dec, ra0=middle[0], dec0=middle[1])  # elementwise
    return _MAS * np.stack([xi, eta])


def _motion(stars: Stars, summary: Any, label: IntArray, tied: IntArray, motions: FloatArray) -> FloatArray:
    """Return by how much stars with known proper motions have moved since the mean time of the visits, mas."""
    mjd = np.asarray(summary["expMidptMJD"], float)
    years = ((mjd - mjd.mean()) / _DAYS_PER_YEAR)[stars.image]
    of_object = np.zeros((2, int(label.max()) + 1))
    of_object[:, tied] = np.nan_to_num(motions)
    moved: FloatArray = of_object[:, label] * years
    return moved


def _basis(stars: Stars, summary: Any, order: int) -> FloatArray:
    size = [np.asarray(summary[name], float)[stars.image] for name in ("xSize", "ySize")]
    return _terms(stars.x, stars.y, size, order)


def _terms(x: FloatArray, y: FloatArray, size: Sequence[Any], order: int) -> FloatArray:
    u, v = 2 * x / size[0] - 1, 2 * y / size[1] - 1
    return np.stack([u**i * v**j for i in range(order + 1) for j in range(order + 1 - i)], axis=1)


def _rows(
    stars: Stars,
    summary: Any,
    terms: Sequence[FloatArray],
    residuals: Sequence[FloatArray],
    used: npt.NDArray[np.bool_],
    options: Options,
) -> Any:
    images = len(terms[0])
    number = np.bincount(stars.image[used], minlength=images)
    square = np.bincount(stars.image[used], sum(one[used] ** 2 for one in residuals) / 2, minlength=images)
    rows = []
    for image in np.nonzero(number >= options.least_stars)[0]:
        row = summary[int(image)]
        wcs = moved_wcs(
            wcs_of_row(row), (int(row["ySize"]), int(row["xSize"])), [one[image] for one in terms], options.order
        )
        rows.append(
            {
                "visit": int(row["visitId"]),
                "detector": int(row["detector"]),
                "nStar": int(number[image]),
                "rms_mas": float(np.sqrt(square[image] / number[image])),
                **wcs_columns(wcs),
            }
        )
    if not rows:
        raise NoFitError(f"no image has {options.least_stars} stars")
    return Table(rows)


def moved_wcs(wcs: Wcs, shape: tuple[int, int], terms: Sequence[FloatArray], order: int) -> Wcs:
    """Return coordinates less what ``terms`` say they are off by, mas east and north."""
    ny, nx = shape
    x, y = (values.ravel() for values in np.meshgrid(np.linspace(0, nx - 1, _GRID), np.linspace(0, ny - 1, _GRID)))
    ra, dec = wcs.to_sky(x, y)
    basis = _terms(x, y, (nx, ny), order)
    east, north = (-(basis @ one) / _MAS for one in terms)
    sky = from_plane(east, north, ra0=ra, dec0=dec)  # type: ignore[arg-type]  # elementwise
    return fit_wcs(wcs, x, y, *sky, order=max(wcs.order, order)).wcs


def _repeatability(offsets: FloatArray, label: IntArray, used: npt.NDArray[np.bool_]) -> float:
    """Return the rms of detections around their object's mean, mas per axis."""
    names, values = label[used], offsets[:, used]
    count = np.bincount(names, minlength=1)
    freedom = int(np.sum(np.maximum(count - 1, 0)))
    square = 0.0
    for one in values:
        mean = np.bincount(names, one) / np.maximum(count, 1)
        square += float(np.sum((one - mean[names])[count[names] > 1] ** 2))
    return float(np.sqrt(square / 2 / freedom)) if freedom else float("nan")
