"""The noise of an image, from its variance plane: of the sky alone to detect, of the sky and the light to measure.

A variance plane holds the noise of the sky and that of the sources' own light, and often it was made from the very
pixels whose noise it states: a pixel that is too bright by chance has a larger variance, and counts less. So one more
number is found from the image: how much variance a unit of light brings (the inverse of the gain, in whatever unit).
With it the light's part is taken out for detection, and replaced by that of the model in fits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qserv_py.errors import NoFitError, UnusableImageError
from qserv_py.pipelines.kernels._library import FloatArray, FloatImage, MaskImage
from qserv_py.pipelines.kernels.background import UNUSABLE, Background, background

_MAD_TO_SIGMA = 1.4826
_BRIGHT = 5.0  # standard deviations of the sky: pixels that tell the gain
_LEAST_BRIGHT = 50  # of them
_MOST_SPREAD = 0.5  # of variance over light, in units of itself: beyond, variance does not follow the light
_LEAST_SHARE = 0.5  # of the mesh's variance that a pixel has in the core of a star
_TOLERANCE = 1.25  # of the plane's noise against the pixels' before the plane is scaled
_FOURTH = (1.0, -4.0, 6.0, -4.0, 1.0)  # differences
_LEAST_STEPS = 50  # of them in a cell
_STEP = 8  # rows between those that are looked at for the pixels' noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What the variance plane says, held against the pixels."""

    scales: FloatArray
    """What the plane was multiplied by in every cell of the background; 1 where the pixels scatter as it says."""

    scale: FloatImage | None
    """The same in every pixel; None for 1."""

    gain: float
    """Electrons per unit of the image; 0 where the variance does not follow the light."""

    mesh: FloatImage
    """The scaled variance of the sky in every pixel, smooth over the cells of the background."""


def noise_of(light: FloatImage, variance: FloatImage, mask: MaskImage, sky: Background, *, side: int) -> Noise:
    """Return how a variance plane is to be read.

    Parameters
    ----------
    light
        Background subtracted.
    variance
        Its plane, the light's unit squared.
    mask
        Planes of each pixel.
    sky
        Of the image.
    side
        Pixels along a cell of its mesh.

    Raises
    ------
    UnusableImageError
        If less than half of the usable pixels have a positive, finite variance.
    """
    used = (mask & int(UNUSABLE)) == 0
    known = used & (variance > 0) & (variance < np.inf)
    if known.sum() < 0.5 * used.sum() or not known.any():
        raise UnusableImageError(
            f"{100 * known.sum() / max(1, used.sum()):.1f} % of the usable pixels have a variance; 50 % are needed",
            hint="Give the variance of every pixel, the unit of the image squared.",
        )
    mesh = _mesh(variance, mask if known.all() else np.where(known, mask, mask | _UNKNOWN), side)
    scales = _scales(light, variance, known, sky.noise / np.sqrt(mesh.level))
    smooth, scale = mesh.level_image(), None
    if (scales != 1).any():
        scale = np.clip(replace(mesh, level=scales).level_image(), scales.min(), scales.max()).astype(np.float32)
        variance, smooth = variance * scale, smooth * scale
    return Noise(scales=scales, scale=scale, gain=_gain(light, variance, known, smooth), mesh=smooth)


def sky_noise(light: FloatImage, variance: FloatImage, noise: Noise) -> FloatImage:
    """Return the standard deviation of the sky in every pixel, without the noise of the sources' light.

    Parameters
    ----------
    light, variance
        As of ``noise_of``, the plane scaled.
    noise
        What that gave.

    Returns
    -------
    noise
        Where nothing is known, that of the mesh.
    """
    of_sky = variance - light * np.float32(1 / noise.gain) if noise.gain > 0 else variance.copy()
    np.maximum(of_sky, np.float32(_LEAST_SHARE) * noise.mesh, out=of_sky)
    unknown = ~((of_sky < np.inf) & (variance > 0))
    of_sky[unknown] = noise.mesh[unknown]
    return np.sqrt(of_sky, out=of_sky)


_UNKNOWN = np.int32(UNUSABLE & -UNUSABLE)  # any plane that the background leaves out


def _gain(light: FloatImage, variance: FloatImage, known: npt.NDArray[np.bool_], mesh: FloatImage) -> float:
    """Return the light over the variance that it brings, of bright pixels; 0 where these do not agree."""
    with np.errstate(invalid="ignore"):
        bright = known & (light > np.float32(_BRIGHT) * np.sqrt(np.maximum(mesh, 0)))
    if bright.sum() < _LEAST_BRIGHT:
        return 0.0
    ratio = (variance[bright] - mesh[bright]) / light[bright]
    middle = float(np.median(ratio))
    agree = middle > 0 and _MAD_TO_SIGMA * float(np.median(np.abs(ratio - middle))) < _MOST_SPREAD * middle
    return 1 / middle if agree else 0.0


def _mesh(values: FloatImage, mask: MaskImage, side: int) -> Background:
    """Return values outside sources on the mesh of the sky, never below the least positive cell."""
    try:
        found = background(values, mask=mask, mesh=side)
    except NoFitError:
        found = background(values, mask=None, mesh=side, min_fraction=0.0)
    level = np.where(found.level > 0, found.level, np.nan)
    least = float(np.nanmin(level)) if np.isfinite(level).any() else 1.0
    return Background(
        level=np.where(np.isfinite(level), level, least), noise=found.noise, measured=found.measured, shape=found.shape
    )


def _scales(light: FloatImage, variance: FloatImage, known: npt.NDArray[np.bool_], of_mesh: FloatArray) -> FloatArray:
    """Return what to multiply the plane by in every cell: 1 while it lies between two that the pixels show.

    Crowds of sources raise the scatter of pixels, ``of_mesh`` in units of what is stated. Fourth differences along a
    row see little of a source and all of white noise, but not of a correlated one. The truth is between.
    """
    of_steps = _differences(light[::_STEP], variance[::_STEP], known[::_STEP], of_mesh.shape)
    of_steps = np.where(np.isfinite(of_steps), of_steps, of_mesh)
    low, high = np.minimum(of_steps, of_mesh), np.maximum(of_steps, of_mesh)
    scale = np.where(low > _TOLERANCE, low**2, 1.0)
    return np.where((high > 0) & (high * _TOLERANCE < 1), high**2, scale)


def _differences(
    light: FloatImage, variance: FloatImage, known: npt.NDArray[np.bool_], cells: tuple[int, ...]
) -> FloatArray:
    """Return the scatter of fourth differences along rows, in units of what is stated, of each cell; NaN for none."""
    found = np.full(cells, np.nan)
    end = light.shape[1] - len(_FOURTH) + 1
    if end < 1:
        return found
    parts = [slice(k, k + end) for k in range(len(_FOURTH))]
    step = np.abs(np.tensordot(_FOURTH, [light[:, part] for part in parts], axes=1))
    with np.errstate(all="ignore"):
        step /= np.sqrt(np.tensordot(np.square(_FOURTH), [variance[:, part] for part in parts], axes=1))
    step[~np.logical_and.reduce([known[:, part] for part in parts])] = np.nan
    rows, columns = (np.linspace(0, size, n + 1).astype(int) for size, n in zip(step.shape, cells, strict=True))
    for j in range(cells[0]):
        for i in range(cells[1]):
            values = step[rows[j] : rows[j + 1], columns[i] : columns[i + 1]]
            values = values[np.isfinite(values)]
            if len(values) >= _LEAST_STEPS:
                found[j, i] = _MAD_TO_SIGMA * np.partition(values, len(values) // 2)[len(values) // 2]
    return found
