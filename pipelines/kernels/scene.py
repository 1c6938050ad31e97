"""A simulated detector with its truth: stars and exponential galaxies under a varying PSF, sky and noise.

For the tests and benchmarks of the kernels. Every profile is drawn by its analytic Fourier transform: turbulence
(Kolmogorov), galaxy and pixel multiplied. So positions and fluxes are true to float32. A seed gives the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import Array, FloatImage

_FWHM_OF_D = 0.975863  # FWHM of the Kolmogorov profile in units of wavelength / r0
_BATCH = 128
TRUTH = np.dtype(
    [
        ("x", "f8"),
        ("y", "f8"),
        ("flux", "f8"),
        ("mag", "f8"),
        ("star", "?"),
        ("radius", "f8"),
        ("e1", "f8"),
        ("e2", "f8"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is on the sky and how the detector sees it."""

    shape: tuple[int, int] = (2048, 2048)
    """Rows and columns."""

    seed: int = 1
    """Of all random numbers."""

    n_stars: int = 650
    """Stars of magnitude 16.5 to 25.5."""

    n_galaxies: int = 4220
    """Galaxies of magnitude 18.5 to 26.5."""

    zero_point: float = 32.0
    """Magnitude of one electron."""

    fwhm: float = 3.75
    """Of the PSF in the middle, pixels."""

    psf_variation: float = 0.05
    """Relative change of the FWHM from the middle to a corner; the ellipticity changes by half of it."""

    sky: float = 1000.0
    """Electrons per pixel."""

    sky_gradient: float = 0.0
    """Relative change of the sky across the image."""

    read_noise: float = 8.0
    """Electrons."""

    pixel_scale: float = 0.2
    """Arc seconds; only galaxy sizes depend on it."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A drawn scene."""

    image: FloatImage
    """Electrons with sky and noise."""

    sky: FloatImage
    """Electrons of sky alone."""

    truth: Array
    """Rows of ``TRUTH``: pixels, electrons, half-light radius in pixels, ellipticity."""


def simulate(scene: Scene) -> Simulated:
    """Draw a scene."""
    random = np.random.default_rng(scene.seed)
    truth = _draw_truth(scene, random)
    image = np.zeros(scene.shape)
    sizes = np.select([truth["flux"] > 3e5, truth["flux"] > 1e4], [256, 96], 48)
    for size in (48, 96, 256):
        rows = truth[sizes == size]
        for start in range(0, len(rows), _BATCH):
            _add(image, rows[start : start + _BATCH], scene, size)
    ny, nx = scene.shape
    along = np.linspace(-0.5, 0.5, nx) + np.linspace(-0.5, 0.5, ny)[:, None]
    sky = scene.sky * (1 + 0.5 * scene.sky_gradient * along)
    image = random.poisson(np.maximum(image, 0) + sky) + random.normal(0, scene.read_noise, scene.shape)
    return Simulated(image.astype(np.float32), sky.astype(np.float32), truth)


def psf_at(scene: Scene, x: float, y: float, *, size: int = 25) -> Array:
    """Return the true PSF at a position, centred on the middle pixel of an odd-sized stamp; its whole sum is 1."""
    row = np.zeros(1, TRUTH)
    row["x"], row["y"], row["flux"], row["star"] = x, y, 1.0, True
    wide = max(128, 2 * size)
    first = wide // 2 - size // 2
    stamp: Array = _stamps(row, scene, wide, np.zeros(1), np.zeros(1))[0, first:, first:]
    return stamp[:size, :size]


def _draw_truth(scene: Scene, random: np.random.Generator) -> Array:
    count = scene.n_stars + scene.n_galaxies
    truth = np.zeros(count, TRUTH)
    truth["star"][: scene.n_stars] = True
    star = truth["star"]
    truth["x"] = random.uniform(-0.5, scene.shape[1] - 0.5, count)
    truth["y"] = random.uniform(-0.5, scene.shape[0] - 0.5, count)
    truth["mag"] = np.where(
        star, _magnitudes(random, count, 16.5, 25.5, slope=0.13), _magnitudes(random, count, 18.5, 26.5, slope=0.34)
    )
    truth["flux"] = 10 ** (-0.4 * (truth["mag"] - scene.zero_point))
    arcsec = 0.35 * 10 ** (-0.08 * (truth["mag"] - 23)) * np.exp(random.normal(0, 0.3, count))
    truth["radius"] = np.where(star, 0, arcsec / scene.pixel_scale)
    ellipticity, angle = np.minimum(random.rayleigh(0.2, count), 0.6), random.uniform(0, np.pi, count)
    truth["e1"] = np.where(star, 0, ellipticity * np.cos(2 * angle))
    truth["e2"] = np.where(star, 0, ellipticity * np.sin(2 * angle))
    return truth


def _magnitudes(
    random: np.random.Generator, count: int, bright: float, faint: float, *, slope: float
) -> npt.NDArray[np.float64]:
    """Draw magnitudes with number counts proportional to 10**(slope m)."""
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    return np.log10(random.uniform(low, high, count)) / slope


def _add(image: Array, rows: Array, scene: Scene, size: int) -> None:
    """Add some sources, each in a stamp around its nearest pixel."""
    column, line = np.rint(rows["x"]).astype(int), np.rint(rows["y"]).astype(int)
    stamps = _stamps(rows, scene, size, rows["x"] - column, rows["y"] - line)
    for stamp, x, y in zip(stamps, column - size // 2, line - size // 2, strict=True):
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + size, image.shape[1]), min(y + size, image.shape[0])
        image[y0:y1, x0:x1] += stamp[y0 - y : y1 - y, x0 - x : x1 - x]


def _stamps(rows: Array, scene: Scene, size: int, dx: Array, dy: Array) -> Array:
    """Return drawn stamps, centred on pixel size // 2 plus (dx, dy)."""
    fx = np.fft.rfftfreq(size)[None, None, :]
    fy = np.fft.fftfreq(size)[None, :, None]
    u, v = 2 * rows["x"] / scene.shape[1] - 1, 2 * rows["y"] / scene.shape[0] - 1
    spread = (1 + scene.psf_variation * (0.5 * u * u + 0.3 * v + 0.2 * u * v)) * scene.fwhm / _FWHM_OF_D
    radius = _square(fx, fy, 0.5 * scene.psf_variation * u, 0.5 * scene.psf_variation * v) * _each(spread) ** 2
    transform = np.exp(-3.44 * radius ** (5 / 6)) * np.sinc(fx) * np.sinc(fy)
    scale = 2 * np.pi * rows["radius"] / 1.678
    if scale.any():
        transform = transform * (1 + _square(fx, fy, rows["e1"], rows["e2"]) * _each(scale) ** 2) ** -1.5
    phase = np.exp(-2j * np.pi * (fx * _each(dx) + fy * _each(dy)))
    stamps = np.fft.irfft2(_each(rows["flux"]) * transform * phase, s=(size, size))
    return np.fft.fftshift(stamps, axes=(1, 2))


def _each(values: Array) -> Array:
    return np.asarray(values, np.float64)[:, None, None]


def _square(fx: Array, fy: Array, e1: Array, e2: Array) -> Array:
    """Return the squared frequency of a profile that is stretched by an ellipticity, its area kept."""
    norm = 1 / np.sqrt(1 - np.asarray(e1) ** 2 - np.asarray(e2) ** 2)
    square: Array = _each(norm) * ((1 + _each(e1)) * fx**2 + 2 * _each(e2) * fx * fy + (1 - _each(e1)) * fy**2)
    return square
