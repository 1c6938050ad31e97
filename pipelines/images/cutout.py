"""A part of an image, with everything that counts its pixels moved along."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels.psf import Psf
from qserv_py.pipelines.kernels.wcs import Wcs

Bbox = tuple[int, int, int, int]
"""First column, first row, column after the last, row after the last; pixels from 0."""

Value = TypeVar("Value", bound=np.generic)


def bbox_within(bbox: object, shape: Sequence[int]) -> Bbox:
    """Return a box that was asked of an image of a shape.

    Raises
    ------
    ImageFileError
        If it is not four whole numbers, is empty or reaches beyond the image.
    """
    hint = "bbox is (x0, y0, x1, y1): pixels from 0, x1 and y1 not included."
    try:
        x0, y0, x1, y1 = (operator.index(corner) for corner in bbox)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ImageFileError(f"the box {bbox!r} is not four whole numbers", hint=hint) from None
    rows, columns = shape
    if not (0 <= x0 < x1 <= columns and 0 <= y0 < y1 <= rows):
        raise ImageFileError(
            f"the box {(x0, y0, x1, y1)} is empty or not within the image of {columns} x {rows} pixels", hint=hint
        )
    return x0, y0, x1, y1


def cut_plane(plane: npt.NDArray[Value], bbox: Bbox) -> npt.NDArray[Value]:
    """Return a box of a plane, as a copy, so that the whole can go."""
    x0, y0, x1, y1 = bbox_within(bbox, plane.shape)
    return plane[y0:y1, x0:x1].copy()


def cut_exposure(exposure: Exposure, bbox: Bbox) -> Exposure:
    """Return a box of an exposure; its WCS and PSF count from the box's corner."""
    x0, y0 = bbox_within(bbox, exposure.image.shape)[:2]
    return replace(
        exposure,
        image=cut_plane(exposure.image, bbox),
        variance=cut_plane(exposure.variance, bbox),
        mask=cut_plane(exposure.mask, bbox),
        wcs=None if exposure.wcs is None else move_wcs(exposure.wcs, x0, y0),
        psf=None if exposure.psf is None else move_psf(exposure.psf, x0, y0),
    )


def move_wcs(wcs: Wcs, x0: int, y0: int) -> Wcs:
    """Return a WCS whose pixels count from another corner."""
    return replace(wcs, x0=wcs.x0 - x0, y0=wcs.y0 - y0)


def move_psf(psf: Psf, x0: int, y0: int) -> Psf:
    """Return a PSF whose pixels count from another corner."""
    return replace(psf, x0=psf.x0 - x0, y0=psf.y0 - y0)
