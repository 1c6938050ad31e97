"""Relative photometric calibration: zero points of all images of one filter from stars that several of them saw.

References
----------
Padmanabhan et al. 2008, ApJ 674, 1217.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from qserv_py.errors import NoFitError
from qserv_py.pipelines.calibration.joint_fit import Anchors, Block, IntArray, JointFit, Observations, joint_fit
from qserv_py.pipelines.calibration.stars import Stars, reference_of, told_apart
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.options import option
from qserv_py.pipelines.single_frame.references import References


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How zero points are solved."""

    radius_arcsec: float = option(0.5, "Of detections of one star", least=0.01)
    floor_mag: float = option(0.003, "Error of a measurement at the least: what the noise does not know", least=0.0)
    reference_floor_mag: float = option(0.01, "Error of a reference magnitude at the least", least=0.0)
    flat_gradient: bool = option(False, "Whether to solve for a slope of each detector's flat, the same in all visits")
    least_stars: int = option(5, "An image with fewer keeps its zero point", least=1)


def solve_zero_points(stars: Stars, summary: Any, references: References, options: Options) -> Any:
    """Return the zero points of images, one row an image that has enough stars.

    Parameters
    ----------
    stars
        Of all images.
    summary
        Rows of images, as ``Stars.image`` counts them: visitId, detector, zeroPoint, xSize, ySize.
    references
        Of the filter's band; may be none.
    options
        How.

    Returns
    -------
    table
        visit, detector, zeroPoint, zeroPointErr, zeroPointSlopeX, zeroPointSlopeY (magnitudes from the middle to the
        border), nStar, rms. Its meta has the repeatability before and after, millimagnitudes.

    Raises
    ------
    NoFitError
        If no star was seen twice and none has a reference.
    """
    stars, label = told_apart(stars, radius_arcsec=options.radius_arcsec)
    tied, which = reference_of(label, stars, references, radius_arcsec=options.radius_arcsec)
    known = np.isfinite(references.magnitude[which])
    tied, which = tied[known], which[known]
    stars, label, tied, which = _useful(stars, label, tied, which)
    before = stars.magnitude + np.asarray(summary["zeroPoint"], float)[stars.image]
    error = np.hypot(stars.magnitude_error, options.floor_mag)
    anchors = Anchors(
        object=tied,
        value=references.magnitude[which],
        error=np.hypot(references.magnitude_error[which], options.reference_floor_mag),
    )
    blocks = _blocks(stars, summary, flat_gradient=options.flat_gradient)
    fit = joint_fit(Observations(value=before, error=error, object=label), blocks, anchors=anchors)
    table = _zero_points(stars, summary, fit, error, options)
    after = before - sum(
        np.sum(block.basis * terms[block.group], axis=1) for block, terms in zip(blocks, fit.terms, strict=True)
    )
    table.meta |= {
        "stars": int(label.max()) + 1,
        "references": len(tied),
        "outliers": int(np.sum(~fit.used)),
        "repeatability_before_mmag": 1000 * repeatability(before, error, label, fit.used),
        "repeatability_mmag": 1000 * repeatability(after, error, label, fit.used),
    }
    return table


def repeatability(magnitude: FloatArray, error: FloatArray, label: IntArray, used: npt.NDArray[np.bool_]) -> float:
    """Return the rms of stars' magnitudes around each star's mean, the mean's degree of freedom counted; NaN for none.

    Stars whose noise is above 5 mmag are left out: their rms would be the noise's.
    """
    bright = used & (error < 0.005)
    values, names = magnitude[bright], label[bright]
    count = np.bincount(names, minlength=1)
    mean = np.bincount(names, values) / np.maximum(count, 1)
    freedom = int(np.sum(np.maximum(count - 1, 0)))
    repeated = count[names] > 1
    square = float(np.sum((values - mean[names])[repeated] ** 2))
    return float(np.sqrt(square / freedom)) if freedom else float("nan")


def _useful(
    stars: Stars, label: IntArray, tied: IntArray, which: IntArray
) -> tuple[Stars, IntArray, IntArray, IntArray]:
    """Keep stars that were seen twice or have a reference: one sighting alone says nothing of any image."""
    keep = np.bincount(label) > 1
    keep[tied] = True
    if not keep.any():
        raise NoFitError("no star was seen twice, none has a reference", hint="Do the visits overlap at all?")
    number = np.cumsum(keep) - 1
    rows = keep[label]
    return stars.rows(rows), number[label[rows]], number[tied], which


def _blocks(stars: Stars, summary: Any, *, flat_gradient: bool) -> list[Block]:
    blocks = [Block(group=stars.image, basis=np.ones((len(stars.x), 1)), prior=np.array([np.inf]))]
    if flat_gradient:
        u, v = (
            2 * at / np.asarray(summary[size], float)[stars.image] - 1
            for at, size in ((stars.x, "xSize"), (stars.y, "ySize"))
        )
        detector = np.asarray(summary["detector"])[stars.image].astype(np.int64)
        blocks.append(Block(group=detector, basis=np.stack([u, v], axis=1), prior=np.array([0.05, 0.05])))
    return blocks


def _zero_points(stars: Stars, summary: Any, fit: JointFit, error: FloatArray, options: Options) -> Any:
    shift = fit.terms[0][:, 0]
    images = len(shift)
    used, image = fit.used, stars.image
    number = np.bincount(image[used], minlength=images)
    weight = np.bincount(image[used], 1 / error[used] ** 2, minlength=images)
    square = np.bincount(image[used], fit.residual[used] ** 2, minlength=images)
    rows = np.nonzero(number >= options.least_stars)[0]
    detector = np.asarray(summary["detector"])[rows].astype(np.int64)
    slope = -fit.terms[1][detector] if len(fit.terms) > 1 else np.zeros((len(rows), 2))
    return Table(
        {
            "visit": np.asarray(summary["visitId"])[rows].astype(np.int64),
            "detector": detector,
            "zeroPoint": np.asarray(summary["zeroPoint"], float)[rows] - shift[rows],
            "zeroPointErr": 1 / np.sqrt(weight[rows]),
            "zeroPointSlopeX": slope[:, 0],
            "zeroPointSlopeY": slope[:, 1],
            "nStar": number[rows].astype(np.int32),
            "rms": np.sqrt(square[rows] / number[rows]),
        }
    )
