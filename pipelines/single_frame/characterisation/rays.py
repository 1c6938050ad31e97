"""Cosmic rays that no single pixel tells from a star, once it is known how wide stars are.

A track over which the charge spreads is as smooth as an undersampled star from pixel to pixel. As a whole it is not: it
is thinner than any star. And beside the pixels that were hit there are some with the rest of the charge.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from qserv_py.pipelines.kernels._library import Array, FloatImage
from qserv_py.pipelines.kernels.detection import Detections, Flag
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.moments import adaptive_moments
from qserv_py.pipelines.kernels.measurement.psf_photometry import psf_photometry
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.psf import PointSpread
from qserv_py.pipelines.single_frame.characterisation.psf_model import Stars, thickness_of

_THIN = 0.5  # of the thickness of stars: undersampled ones scatter down to 0.7
_MAYBE = 0.5  # pixel**2 more than stars: detection's filter widens footprints, the threshold cuts them off
_BRIGHT = 10.0  # standard deviations of a filtered peak: fainter footprints are small by chance
_PIECES = 3  # besides its own, that a track may fall into
_SURE = 3.0  # standard deviations below that of stars
_SEEN, _AROUND = 3.0, 2  # standard deviations above what is as many pixels around, of a pixel that belongs to a track
_WRONG = 0.1  # of the light of a fitted star, that may be missing from the fit
_DARK = 2.0  # standard deviations that is at most: more is a star's light


def sources_of_rays(frame: Frame, found: Detections, stars: Stars) -> npt.NDArray[np.bool_]:
    """Return the pixels of sources that are thinner than stars."""
    rows: Array = found.sources
    of_footprint = thickness_of(rows) / stars.thickness
    thin = thickness_of(rows) < stars.thickness + _MAYBE
    maybe = np.nonzero(thin & (rows["siblings"] <= _PIECES))[0]  # parts of a crowd are cut, and thin where they are
    size = stars.fwhm_pixels / np.sqrt(8 * np.log(2))
    shapes = adaptive_moments(frame, rows["x"][maybe], rows["y"][maybe], size, segment=maybe + 1)
    thickness = thickness_of(shapes) / stars.thickness
    with np.errstate(invalid="ignore"):
        # Of a Gaussian all second moments have the same relative error, along any axis; that of a star is asked for.
        error = np.maximum(shapes["xx_error"] / shapes["xx"], shapes["yy_error"] / shapes["yy"])
        thin = (thickness < _THIN) & (thickness + _SURE * error < 1)
    shrunk = (shapes["flags"] & int(Flag.NOT_CONVERGED)) != 0  # to less than a pixel
    thin |= shrunk & (of_footprint[maybe] < _THIN) & (rows["peak"][maybe] > _BRIGHT)
    ray = np.zeros(len(rows) + 1, bool)
    ray[maybe[thin] + 1] = True
    of_ray: npt.NDArray[np.bool_] = ray[found.segments]
    return of_ray


def hit_widened(frame: Frame, hit: npt.NDArray[np.bool_], noise: FloatImage) -> npt.NDArray[np.bool_]:
    """Return hits and the pixels beside them that stand out of what is around, where that is no star."""
    light, wide = np.asarray(frame.image), hit.copy()
    y, x = _beside(hit)
    seen = light[y, x] > _SEEN * noise[y, x]
    y, x = y[seen], x[seen]
    rows, columns, inside = _squares(y, x, _AROUND, hit.shape)
    at = np.where(inside, rows, 0), np.where(inside, columns, 0)
    squares = np.where(inside & ~hit[at], light[at], np.nan)
    level = np.nanmedian(squares, axis=(1, 2))  # of the pixel itself at least
    wide[y, x] = (light[y, x] - level > _SEEN * noise[y, x]) & (level < _DARK * noise[y, x])
    return wide


def hit_beside_stars(
    frame: Frame, found: Detections, psf: PointSpread, hit: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return hits and the pixels beside them that stand out of the stars which rays crossed, as these are fitted."""
    rows: Array = found.sources
    crossed = (rows["planes"] & int(Plane.CR)) != 0
    if not crossed.any():
        return hit
    tree = cKDTree(np.stack([rows["x"], rows["y"]], axis=1))
    near = np.unique(np.concatenate(tree.query_ball_point(tree.data[crossed], psf.side))).astype(int)
    left = psf_photometry(frame, psf, rows["x"][near], rows["y"][near]).residual
    model = np.asarray(frame.image) - left
    y, x = _beside(hit)
    lit = model[y, x] > 0
    y, x = y[lit], x[lit]
    wide = hit.copy()
    wide[y, x] = left[y, x] > _SEEN * np.sqrt(np.asarray(frame.variance)[y, x]) + _WRONG * model[y, x]
    return wide


def _squares(
    y: npt.NDArray[np.intp], x: npt.NDArray[np.intp], reach: int, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return rows and columns of the squares around pixels, shape (n, side, side), and which are inside of an image."""
    offset = np.arange(-reach, reach + 1)
    rows, columns = np.broadcast_arrays(y[:, None, None] + offset[:, None], x[:, None, None] + offset)
    return rows, columns, (rows >= 0) & (columns >= 0) & (rows < shape[0]) & (columns < shape[1])


def _beside(hit: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows and columns of the pixels that touch hits, a corner at least, and are none."""
    y, x = np.nonzero(hit)
    rows, columns, inside = _squares(y, x, 1, hit.shape)
    at = np.unique(rows[inside] * hit.shape[1] + columns[inside])
    at = at[~hit.ravel()[at]]
    return np.unravel_index(at, hit.shape)
