"""The noise of an image, from its variance plane: of the sky alone to detect, of the sky and the light to measure.

A variance plane holds the noise of the sky and that of the sources' own light, and often it was made from the very
pixels whose noise it states: a pixel that is too bright by chance has a larger variance, and counts less. So one more
number is found from the image: how much variance a unit of light brings (the inverse of the gain, in whatever unit).
With it the light's part is taken out for detection, and replaced by that of the model in fits. It is found in every
cell of a mesh: amplifiers differ, and a coadd has as many gains as it has sets of exposures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qserv_py.errors import NoFitError, UnusableImageError
from qserv_py.pipelines.kernels._library import FloatArray, FloatImage, MaskImage
from qserv_py.pipelines.kernels.background import UNUSABLE, Background, background, filled, lines_between

_MAD_TO_SIGMA = 1.4826
_BRIGHT = 5.0  # standard deviations: light that is above all doubt, and steps of it that tell the gain
_LEAST_BRIGHT = 50  # of these steps, in a cell or, where no cell has as many, in the image
_MOST_SPREAD = 0.5  # of variance over light, in units of itself: beyond, variance does not follow the light
_ONE_GAIN = 0.05  # how far cells may be from their median, in units of it, before every pixel gets its own
_LEAST_SHARE = 0.5  # of the mesh's variance that a pixel has in the core of a star
_TOLERANCE = 1.25  # of the plane's noise against the pixels' before the plane is scaled
_FOURTH = (1.0, -4.0, 6.0, -4.0, 1.0)  # differences
_LEAST_STEPS = 50  # of them in a cell
_GAIN_STEP = 2  # rows between those whose steps are taken
_STEP = 8  # rows between those that are looked at for the pixels' noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What the variance plane says, held against the pixels."""

    scales: FloatArray
    """What the plane was multiplied by in every cell of the background; 1 where the pixels scatter as it says."""

    scale: FloatImage | None
    """The same in every pixel; None for 1."""

    gain: float
    """Electrons per unit of the image, the median of cells; 0 where the variance does not follow the light."""

    gains: FloatImage | None
    """The same of every pixel; None where one number holds everywhere."""

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
    smooth, scale = np.clip(mesh.level_image(), mesh.level.min(), mesh.level.max()).astype(np.float32), None
    if (scales != 1).any():
        scale = np.clip(replace(mesh, level=scales).level_image(), scales.min(), scales.max()).astype(np.float32)
        variance, smooth = variance * scale, smooth * scale
    gain, gains = _gains(light, variance, known, mesh, smooth)
    return Noise(scales=scales, scale=scale, gain=gain, gains=gains, mesh=smooth)


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
    gain = noise.gain if noise.gains is None else noise.gains
    of_sky = variance - light / np.float32(gain) if noise.gain > 0 else variance.copy()
    np.maximum(of_sky, np.float32(_LEAST_SHARE) * noise.mesh, out=of_sky)
    # Where the light's part is not known well, bright stars would be flat in units of the noise, and fall apart.
    np.copyto(of_sky, np.minimum(of_sky, noise.mesh), where=light * np.abs(light) > np.float32(_BRIGHT**2) * variance)
    unknown = ~((of_sky < np.inf) & (variance > 0))
    of_sky[unknown] = noise.mesh[unknown]
    return np.sqrt(of_sky, out=of_sky)


_UNKNOWN = np.int32(UNUSABLE & -UNUSABLE)  # any plane that the background leaves out


def _gains(
    light: FloatImage, variance: FloatImage, known: npt.NDArray[np.bool_], mesh: Background, smooth: FloatImage
) -> tuple[float, FloatImage | None]:
    """Return the light over the variance that it brings, and that of every pixel where cells differ.

    From a pixel to the next, beside bright sources, the variance changes by what the light brings and by nothing else,
    whatever that of the sky is. The median of such steps does not see those across the borders of amplifiers.
    """
    cell, ratio = _steps(light, variance, known, smooth, mesh.level.shape)
    parts = np.split(ratio, np.searchsorted(cell, np.arange(1, mesh.level.size)))
    each = np.array([_agreed(part) for part in parts]).reshape(mesh.level.shape)
    measured = each > 0
    if not measured.any() or measured.sum() < 0.5 * np.isfinite(each).sum():
        of_all = _agreed(ratio)
        return (1 / of_all if of_all > 0 else 0.0), None
    middle = float(np.median(each[measured]))
    if np.percentile(np.abs(each[measured] / middle - 1), 90) < _ONE_GAIN:
        return 1 / middle, None
    return 1 / middle, lines_between(1 / filled(each, measured), light.shape)


def _steps(
    light: FloatImage,
    variance: FloatImage,
    known: npt.NDArray[np.bool_],
    smooth: FloatImage,
    cells: tuple[int, ...],
) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """Return the steps of variance over light between neighbours in a row, where these are large, sorted by cells."""
    rows = slice(None, None, _GAIN_STEP)
    with np.errstate(invalid="ignore"):
        step = np.diff(light[rows], axis=1)
        large = step * step > np.float32(_BRIGHT**2) * smooth[rows, 1:]
    large &= known[rows, 1:]
    large &= known[rows, :-1]
    y, x = np.nonzero(large)
    ratio = np.diff(variance[rows], axis=1)[y, x] / step[y, x]
    cell = (y * _GAIN_STEP * cells[0] // light.shape[0]) * cells[1] + x * cells[1] // light.shape[1]
    order = np.argsort(cell, kind="stable")
    return cell[order], ratio[order].astype(np.float64)


def _agreed(ratio: FloatArray) -> float:
    """Return the median of ratios; 0 where these do not agree on a positive one, NaN where there are too few."""
    if len(ratio) < _LEAST_BRIGHT:
        return float("nan")
    middle = float(np.median(ratio))
    agree = middle > 0 and _MAD_TO_SIGMA * float(np.median(np.abs(ratio - middle))) < _MOST_SPREAD * middle
    return middle if agree else 0.0


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
