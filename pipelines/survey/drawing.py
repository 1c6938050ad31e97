"""Light on the pixels: every source by its analytic Fourier transform.

Turbulence (Kolmogorov), a galaxy's profile (Spergel), the trail of what moves, and the pixel are multiplied, for many
sources at a time; so positions and fluxes are true to float32, and all light of a source is in its stamp. GalSim draws
the same profiles one by one, in eighteen times the time; the tests compare with it.

References
----------
Fried 1966, JOSA 56, 1372 (turbulence); Spergel 2010, ApJS 191, 58 (galaxies).
"""

from __future__ import annotations

import numpy as np

from qserv_py.pipelines.kernels._library import Array, FloatArray

DRAWN = np.dtype(
    [
        ("x", "f8"),
        ("y", "f8"),
        ("flux", "f8"),
        ("radius", "f8"),
        ("profile", "f8"),
        ("e1", "f8"),
        ("e2", "f8"),
        ("trail_x", "f8"),
        ("trail_y", "f8"),
        ("fwhm", "f8"),
        ("psf_e1", "f8"),
        ("psf_e2", "f8"),
    ]
)
"""What is drawn: pixels, electrons; half-light radius and trail in pixels; the PSF at this place."""

_FWHM_OF_D = 0.975863  # FWHM of the Kolmogorov profile in units of wavelength / r0
_WING = 0.0245  # of a flux of 1 with FWHM 1 at a distance r >> 1, times r**(11/3)
_SIZES = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_BATCH_PIXELS = 400_000
_SCALES = {0.5: 1.678347, 0.0: 1.257151}  # half-light radius in scale radii, of Spergel's indices


def reach(sources: Array, threshold: float) -> FloatArray:
    """Return how many pixels away from a source its light falls below a surface brightness, at least its core.

    Parameters
    ----------
    sources
        Rows of ``DRAWN``.
    threshold
        Electrons per pixel.
    """
    flux, fwhm = sources["flux"], sources["fwhm"]
    wing = (_WING * flux * fwhm ** (5 / 3) / threshold) ** (3 / 11)
    radius = 1.4 * sources["radius"]  # the long axis of the most elliptical ones
    peak = np.where(radius > 0, flux / np.maximum(radius, 0.1) ** 2, 0.0)
    disc = radius / 1.257 * np.log(np.maximum(peak / threshold, 1.0))
    trail = np.hypot(sources["trail_x"], sources["trail_y"]) / 2
    farthest: FloatArray = np.maximum(np.maximum(wing, 3 * fwhm), disc + fwhm) + trail
    return farthest


def add_sources(image: FloatArray, sources: Array, *, threshold: float) -> None:
    """Add sources to an image.

    Parameters
    ----------
    image
        Electrons, changed in place.
    sources
        Rows of ``DRAWN``; they may be off the image.
    threshold
        Electrons per pixel below which a source may be cut off.
    """
    needed = 2 * reach(sources, threshold)
    chosen = np.minimum(np.searchsorted(_SIZES, needed), len(_SIZES) - 1)
    for number, size in enumerate(_SIZES):
        rows = sources[chosen == number]
        batch = max(1, _BATCH_PIXELS // size**2)
        for start in range(0, len(rows), batch):
            _add(image, rows[start : start + batch], size)


def _add(image: FloatArray, rows: Array, size: int) -> None:
    column, line = np.rint(rows["x"]).astype(int), np.rint(rows["y"]).astype(int)
    stamps = _stamps(rows, size, rows["x"] - column, rows["y"] - line)
    for stamp, x, y in zip(stamps, column - size // 2, line - size // 2, strict=True):
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + size, image.shape[1]), min(y + size, image.shape[0])
        if x0 < x1 and y0 < y1:
            image[y0:y1, x0:x1] += stamp[y0 - y : y1 - y, x0 - x : x1 - x]


def _stamps(rows: Array, size: int, dx: Array, dy: Array) -> Array:
    """Return drawn stamps, centred on pixel size // 2 plus (dx, dy)."""
    fx, fy = np.fft.rfftfreq(size)[None, None, :], np.fft.fftfreq(size)[None, :, None]
    spread = rows["fwhm"] / _FWHM_OF_D
    waves = _square(fx, fy, rows["psf_e1"], rows["psf_e2"]) * _each(spread) ** 2
    transform = np.exp(-3.44 * waves ** (5 / 6)) * (np.sinc(fx) * np.sinc(fy))
    extended = np.flatnonzero(rows["radius"] > 0)
    if len(extended):
        some = rows[extended]
        scale = np.select([some["profile"] == index for index in _SCALES], list(_SCALES.values()))
        radius = _square(fx, fy, some["e1"], some["e2"]) * _each(2 * np.pi * some["radius"] / scale) ** 2
        transform[extended] *= (1 + radius) ** _each(-1 - some["profile"])
    if np.any(rows["trail_x"]) or np.any(rows["trail_y"]):
        transform *= np.sinc(fx * _each(rows["trail_x"]) + fy * _each(rows["trail_y"]))
    shift_x = np.exp(-2j * np.pi * fx * _each(dx)) * _each(rows["flux"])
    shift_y = np.exp(-2j * np.pi * fy * _each(dy))
    stamps = np.fft.irfft2(transform * shift_x * shift_y, s=(size, size))
    return np.fft.fftshift(stamps, axes=(1, 2))


def _each(values: Array) -> Array:
    return np.asarray(values, np.float64)[:, None, None]


def _square(fx: Array, fy: Array, e1: Array, e2: Array) -> Array:
    """Return the squared frequency of a profile that is stretched by an ellipticity, its area kept."""
    norm = 1 / np.sqrt(1 - np.asarray(e1) ** 2 - np.asarray(e2) ** 2)
    square: Array = _each(norm * (1 + e1)) * fx**2 + _each(2 * norm * e2) * fx * fy + _each(norm * (1 - e1)) * fy**2
    return np.maximum(square, 0)
