"""Background: the level and the noise of the sky on a mesh, and a bicubic spline from there to every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError, NoFitError
from qserv_py.pipelines.kernels._library import FloatArray, FloatImage, check, image_of, lib, like, pointer
from qserv_py.pipelines.kernels.planes import Plane

UNUSABLE = Plane.BAD | Plane.SAT | Plane.CR | Plane.NO_DATA
"""Planes of pixels that say nothing about the sky."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """The sky of an image."""

    level: FloatArray
    """Clipped mode of every cell, the unit of the image."""

    noise: FloatArray
    """Standard deviation of one pixel in every cell."""

    measured: npt.NDArray[np.bool_]
    """Whether a cell had enough usable pixels; the others are filled from the nearest that had."""

    shape: tuple[int, int]
    """Rows and columns of the image."""

    @property
    def mean_level(self) -> float:
        """Median of the cells' levels."""
        return float(np.median(self.level))

    @property
    def mean_noise(self) -> float:
        """Median of the cells' noise."""
        return float(np.median(self.noise))

    def level_image(self) -> FloatImage:
        """Return the level of every pixel."""
        return _spline(self.level, None, self.shape)

    def noise_image(self) -> FloatImage:
        """Return the noise of every pixel; where the spline swings too far, the least or greatest cell's."""
        image = _spline(self.noise, None, self.shape)
        return np.clip(image, self.noise.min(), self.noise.max(), out=image)

    def subtract_from(self, image: npt.ArrayLike) -> FloatImage:
        """Return the image less the level.

        Raises
        ------
        KernelArgumentError
            If the image has another shape.
        """
        pixels = image_of(image, name="image")
        if pixels.shape != self.shape:
            raise KernelArgumentError(f"image has the shape {pixels.shape}, the background {self.shape}")
        return _spline(self.level, pixels, self.shape)


def background(
    image: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    *,
    mesh: int = 64,
    smooth: int = 3,
    bad: int = UNUSABLE,
    min_fraction: float = 0.3,
) -> Background:
    """Return the sky of an image.

    Every cell's pixels are clipped at 3 sigmas around their median until nothing changes; the level is Pearson's mode,
    or the median where sources crowd the cell.

    Parameters
    ----------
    image
        Any unit; pixels that are not finite are not used.
    mask
        Planes of each pixel, of the image's shape.
    mesh
        Pixels along a cell's side; the image is cut into equal cells of about that size.
    smooth
        Cells along the side of a median filter over the mesh, odd; 1 for none.
    bad
        Planes of pixels that are not used.
    min_fraction
        Of usable pixels that a cell needs.

    Raises
    ------
    KernelArgumentError
        If the shapes differ or a number is out of range.
    NoFitError
        If no cell has enough usable pixels.

    References
    ----------
    Bertin & Arnouts 1996, A&AS 117, 393, section 5.
    """
    pixels = image_of(image, name="image")
    planes = like(mask, pixels, name="mask", dtype=np.int32)
    if mesh < 1 or smooth < 1 or smooth % 2 == 0:
        raise KernelArgumentError(f"a mesh of {mesh} pixels, smoothed over {smooth} cells", hint="smooth is odd.")
    cells = tuple(max(1, round(size / mesh)) for size in pixels.shape)
    level, noise = np.empty(cells, np.float32), np.empty(cells, np.float32)
    check(
        lib.qk_background_cells(
            pointer(pixels), pointer(planes), bad, *pixels.shape, *cells, min_fraction, pointer(level), pointer(noise)
        )
    )
    measured = np.isfinite(level)
    if not measured.any():
        raise NoFitError(
            f"no cell of {mesh} pixels has {100 * min_fraction:g} % usable pixels: there is no background to find",
            hint="Look at the image's mask; a blank or fully masked detector cannot be measured.",
        )
    finished = [smoothed(filled(values, measured), smooth) for values in (level, noise)]
    return Background(level=finished[0], noise=finished[1], measured=measured, shape=pixels.shape)


def filled(values: FloatArray | FloatImage, measured: npt.NDArray[np.bool_]) -> FloatArray:
    """Give a cell that was not measured the mean of the nearest that were."""
    filled = values.astype(np.float64)
    rows, columns = np.nonzero(measured)
    for row, column in zip(*np.nonzero(~measured), strict=True):
        distance = (rows - row) ** 2 + (columns - column) ** 2
        nearest = distance == distance.min()
        filled[row, column] = filled[rows[nearest], columns[nearest]].mean()
    return filled


def smoothed(values: FloatArray, side: int) -> FloatArray:
    """Return the median of every cell and its neighbours; a gradient goes on beyond the border."""
    padded = np.pad(values, side // 2, mode="reflect", reflect_type="odd")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    smoothed: FloatArray = np.median(windows.reshape(*values.shape, -1), axis=2)
    return smoothed


def lines_between(mesh: FloatArray, shape: tuple[int, ...]) -> FloatImage:
    """Return the value of every pixel by lines between the middles of cells: a spline would swing beside an edge."""
    weights = []
    for cells, size in zip(mesh.shape, shape, strict=True):
        middle = (np.arange(cells) + 0.5) * size / cells - 0.5
        weights.append(np.stack([np.interp(np.arange(size), middle, one) for one in np.eye(cells)], axis=1))
    return (weights[0] @ mesh @ weights[1].T).astype(np.float32)


def _spline(mesh: FloatArray, image: FloatImage | None, shape: tuple[int, int]) -> FloatImage:
    out = np.empty(shape, np.float32)
    values: npt.NDArray[Any] = np.ascontiguousarray(mesh)
    check(lib.qk_spline(pointer(values), *values.shape, pointer(image), *shape, pointer(out)))
    return out
