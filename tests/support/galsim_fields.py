"""Fields that GalSim draws, for tests and benchmarks that shall share no idea with our own simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import galsim
import numpy as np
from astropy.table import Table
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.wcs import Wcs
from qserv_py.pipelines.single_frame.tables.wcs_columns import wcs_columns

ZERO_POINT = 32.0
SKY = 1000.0
READ_NOISE = 8.0
TRUTH = np.dtype(
    [("x", "f8"), ("y", "f8"), ("flux", "f8"), ("star", "?"), ("radius", "f8"), ("e1", "f8"), ("e2", "f8")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A drawn field."""

    light: np.ndarray
    """Electrons of the sources alone, without noise."""

    truth: np.ndarray
    """Rows of ``TRUTH``: pixels from 0, electrons, half-light radius in pixels."""

    fwhm: float
    """Of the PSF, pixels."""


def magnitude(flux: Any) -> Any:
    """Return the magnitude of electrons."""
    return ZERO_POINT - 2.5 * np.log10(flux)


def draw(truth: np.ndarray, *, shape: tuple[int, int], fwhm: float = 3.75, moffat: bool = False) -> Field:
    """Return what GalSim draws of some sources: under Kolmogorov's PSF or Moffat's, galaxies exponential."""
    psf = galsim.Moffat(beta=3.5, fwhm=fwhm) if moffat else galsim.Kolmogorov(fwhm=fwhm)
    image = galsim.ImageD(shape[1], shape[0], xmin=0, ymin=0)
    for row in truth:
        profile = psf
        if row["radius"] > 0:
            galaxy = galsim.Exponential(half_light_radius=row["radius"]).shear(e1=row["e1"], e2=row["e2"])
            profile = galsim.Convolve(galaxy, psf)
        side = 24 if row["flux"] < 5e3 else 48 if row["flux"] < 1e5 else 96 if row["flux"] < 2e6 else 300
        at = galsim.PositionD(row["x"], row["y"])
        x, y = round(row["x"]), round(row["y"])
        box = galsim.BoundsI(x - side, x + side, y - side, y + side) & image.bounds
        if box.isDefined():
            stamp = galsim.ImageD(box)
            profile.withFlux(row["flux"]).drawImage(stamp, center=at, scale=1.0)
            image[box] += stamp
    return Field(light=image.array, truth=truth, fwhm=fwhm)


def sources(
    random: np.random.Generator,
    *,
    shape: tuple[int, int],
    n_stars: int,
    n_galaxies: int = 0,
    brightest: float = 16.5,
    faintest: float = 25.5,
) -> np.ndarray:
    """Return random sources: numbers rise with magnitude as on the sky."""
    truth = np.zeros(n_stars + n_galaxies, TRUTH)
    truth["star"][:n_stars] = True
    star = truth["star"]
    count = len(truth)
    truth["x"], truth["y"] = (random.uniform(-0.5, size - 0.5, count) for size in (shape[1], shape[0]))
    bright, slope = np.where(star, brightest, max(18.5, brightest)), np.where(star, 0.13, 0.34)
    faint = np.where(star, faintest, faintest + 1.0)
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    mag = np.log10(random.uniform(low, high)) / slope
    truth["flux"] = 10 ** (-0.4 * (mag - ZERO_POINT))
    radius = 0.35 * 10 ** (-0.08 * (mag - 23)) * np.exp(random.normal(0, 0.3, count)) / 0.2
    truth["radius"] = np.where(star, 0, radius)
    shear, angle = np.minimum(random.rayleigh(0.2, count), 0.6), random.uniform(0, np.pi, count)
    truth["e1"], truth["e2"] = shear * np.cos(2 * angle), shear * np.sin(2 * angle)
    return truth


def grid_of_stars(
    random: np.random.Generator, *, shape: tuple[int, int], step: int, bright: float, faint: float
) -> np.ndarray:
    """Return isolated stars on a grid, each moved by a random part of a pixel, of random magnitudes."""
    y, x = (values.ravel() for values in np.mgrid[step // 2 : shape[0] : step, step // 2 : shape[1] : step])
    truth = np.zeros(len(x), TRUTH)
    truth["star"] = True
    truth["x"], truth["y"] = x + random.uniform(-0.5, 0.5, len(x)), y + random.uniform(-0.5, 0.5, len(x))
    truth["flux"] = 10 ** (-0.4 * (random.uniform(bright, faint, len(x)) - ZERO_POINT))
    return truth


def exposed(
    field: Field, random: np.random.Generator, *, noise: Any = None, mask: np.ndarray | None = None
) -> Exposure:
    """Return the field as instrument signature removal leaves it: electrons on a sky, variance from the pixels.

    ``noise`` is the standard deviation of a pixel in addition, given with the variance; masked pixels hold garbage.
    """
    sky = SKY if noise is None else 0.0
    image = random.poisson(field.light + sky).astype(float)
    variance = np.maximum(image, 0) + READ_NOISE**2
    image += random.normal(0, READ_NOISE, image.shape)
    if noise is not None:
        image += random.normal(0, 1, image.shape) * noise
        variance += np.asarray(noise) ** 2
    planes = np.zeros(image.shape, np.int32) if mask is None else mask.astype(np.int32)
    image[(planes & int(Plane.BAD)) != 0] = 40000.0
    return Exposure(image=image.astype(np.float32), variance=variance.astype(np.float32), mask=planes)


def exposure_of(image: np.ndarray, variance: np.ndarray) -> Exposure:
    """Return pixels and their variance without a mask."""
    return Exposure(
        image=image.astype(np.float32), variance=variance.astype(np.float32), mask=np.zeros(image.shape, np.int32)
    )


def halves(shape: tuple[int, int], left: float, right: float) -> np.ndarray:
    """Return an image of two values."""
    return np.broadcast_to(np.where(np.arange(shape[1]) < shape[1] / 2, left, right), shape)


def amplifiers(light: np.ndarray, random: np.random.Generator) -> Exposure:
    """Return a detector of two amplifiers, one of 0.7, one of 4 electrons a unit, the light's and the variance's."""
    gain = halves(light.shape, 0.7, 4.0)  # type: ignore[arg-type]
    counts = random.poisson((light + 100.0) * gain) + random.normal(0, 6.0, light.shape)
    return exposure_of(counts / gain, (np.maximum(counts, 0) + 36.0) / gain**2)


def dithered(light: np.ndarray, random: np.random.Generator, *, exposures: int = 6) -> Exposure:
    """Return a coadd of exposures of different lengths, skies and weights, each less its sky; two cover everything."""
    total, weights, variance = np.zeros((3, *light.shape))
    for number in range(exposures):
        length, sky, weight = 10 ** random.uniform(-0.6, 0.4), random.uniform(100, 1000), random.uniform(0.3, 3)
        shift = [0 if number < 2 else int(random.integers(-0.4 * size, 0.4 * size)) for size in light.shape]
        part = tuple(slice(max(0, by), size + min(0, by)) for by, size in zip(shift, light.shape, strict=True))
        counts = random.poisson((light + sky) * length) + random.normal(0, 6.0, light.shape)
        total[part] += weight * (counts / length - sky)[part]
        variance[part] += weight**2 * ((np.maximum(counts, 0) + 36.0) / length**2)[part]
        weights[part] += weight
    return exposure_of(total / weights, variance / weights**2)


def fractal(random: np.random.Generator, shape: tuple[int, int], *, slope: float) -> np.ndarray:
    """Return a Gaussian field whose power falls with wavenumber to a power: 0 in the mean, 1 in scatter."""
    wave = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    wave[0, 0] = 1.0
    spectrum = np.fft.rfft2(random.normal(0, 1, shape)) * wave ** (-slope / 2)
    spectrum[0, 0] = 0.0
    values = np.fft.irfft2(spectrum, s=shape)
    return np.asarray(values / values.std())


def nebula(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return a bright nebula with structure of every size, electrons, smooth as under a seeing."""
    return np.asarray(gaussian_filter(600 * np.exp(0.9 * fractal(random, shape, slope=3.2)), 1.2))


def spiral(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return a near galaxy as large as the image, electrons: a bulge, two arms with knots, and lanes."""
    y, x = np.indices(shape) - 0.5 * np.asarray(shape)[:, None, None]
    radius, angle, scale = np.hypot(x, y / 0.8), np.arctan2(y / 0.8, x), shape[0] / 8
    arms = 1 + 0.8 * np.cos(2 * (angle - 3 * np.log(radius + 5)))
    disk = 3000 * np.exp(-radius / scale) * arms * np.exp(0.6 * fractal(random, shape, slope=2.6))
    return np.asarray(gaussian_filter(disk + 40000 * np.exp(-((radius / 6) ** 0.8)), 1.3))


def tracks(random: np.random.Generator, shape: tuple[int, int], count: int) -> np.ndarray:
    """Return the electrons of cosmic rays: tracks of any length that bend a little, their charge diffused."""
    out = np.zeros(shape)
    for _ in range(count):
        length, density = random.exponential(8) + 0.5, 10 ** random.uniform(2.3, 3.7)  # electrons a pixel of path
        steps = max(2, int(12 * length))
        angle = random.uniform(0, np.pi) + random.normal(0, 0.02) * np.linspace(0, length, steps)
        x = random.uniform(15, shape[1] - 15) + np.cumsum(np.cos(angle)) * length / steps
        y = random.uniform(15, shape[0] - 15) + np.cumsum(np.sin(angle)) * length / steps
        charge = density * length / steps * random.gamma(4, 0.25, steps)
        diffusion = random.uniform(0.15, 0.4)  # pixels
        for _ in range(12):
            column, row = (np.rint(at + random.normal(0, diffusion, steps)).astype(int) for at in (x, y))
            on = (column >= 0) & (row >= 0) & (column < shape[1]) & (row < shape[0])
            np.add.at(out, (row[on], column[on]), charge[on] / 12)
    return out


def bad_columns(shape: tuple[int, int], columns: Any, *, width: int = 1) -> np.ndarray:
    """Return a mask with some columns BAD."""
    mask = np.zeros(shape, np.int32)
    for first in columns:
        mask[:, first : first + width] = int(Plane.BAD)
    return mask


def rows_near(table: Any, truth: np.ndarray, *, within: float) -> list[np.ndarray]:
    """Return, for every true source, the rows within some pixels."""
    tree = cKDTree(np.stack([np.nan_to_num(table["x"], nan=-1e6), np.nan_to_num(table["y"], nan=-1e6)], axis=1))
    found = tree.query_ball_point(np.stack([truth["x"], truth["y"]], axis=1), within)
    return [np.asarray(rows, int) for rows in found]


def summary_row() -> Any:
    """Return a row of a visit summary under which a nanojansky is an electron, and the sky is flat."""
    wcs = Wcs(ra0=53.0, dec0=-27.0, x0=0.0, y0=0.0, cd=np.diag([-0.2 / 3600, 0.2 / 3600]))
    values = {"visitId": 2026112000001, "detector": 0, "zeroPoint": 31.4, "band": "r", "physical_filter": "q_r"}
    return Table({key: [value] for key, value in (values | wcs_columns(wcs)).items()})[0]
