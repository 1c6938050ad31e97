"""Stars and galaxies that GalSim drew are told apart, by a cut that knows the noise."""

from __future__ import annotations

from typing import Any

import galsim
import numpy as np
import pytest
from support.galsim_fields import draw, exposed, grid_of_stars, rows_near, summary_row

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.psf_photometry import psf_photometry
from qserv_py.pipelines.kernels.measurement.spread import spread_model
from qserv_py.pipelines.kernels.psf import Psf
from qserv_py.pipelines.single_frame.calibrate_image import Options, measure_image
from qserv_py.pipelines.single_frame.tables.source_table import source_table

FWHM, SIDE = 3.75, 31
SHAPE = (600, 600)


def drawn(profile: Any, *, side: int = SIDE) -> np.ndarray:
    array: np.ndarray = profile.drawImage(nx=side, ny=side, scale=1.0).array.astype(float)
    return array


def test_the_spread_of_a_disk_is_what_galsim_draws() -> None:
    star = galsim.Kolmogorov(fwhm=FWHM)
    galaxy = galsim.Convolve(star, galsim.Exponential(scale_radius=0.5))
    point, wide = drawn(star), drawn(galaxy)
    psf = Psf(coefficients=point[None] / point.sum(), order=0, x0=50, y0=50, scale_x=50, scale_y=50)
    for light, expected in (
        (star, 0.0),
        (galaxy, (wide**2).sum() / (wide * point).sum() - (wide * point).sum() / (point**2).sum()),
    ):
        frame = Frame(image=1e5 * drawn(light, side=101), noise=1.0)
        fitted = psf_photometry(frame, psf, [50.0], [50.0])
        spread, error = spread_model(frame, psf, fitted, scale=0.5)
        assert spread[0] == pytest.approx(expected, abs=2e-5)
        assert 0 < error[0] < 1e-4
    with pytest.raises(KernelArgumentError, match="a disk of 0 pixels"):
        spread_model(frame, psf, fitted, scale=0)


def test_the_spread_knows_the_gain_of_every_pixel() -> None:
    """One gain, said once for the image or for each pixel, is one answer; another gain is another."""
    star = drawn(galsim.Kolmogorov(fwhm=FWHM))
    psf = Psf(coefficients=star[None] / star.sum(), order=0, x0=50, y0=50, scale_x=50, scale_y=50)
    # light that no model takes away stays in the pixels, and what it adds to the variance is taken away by the gain
    wide = galsim.Convolve(galsim.Kolmogorov(fwhm=FWHM), galsim.Exponential(scale_radius=4))
    light = 1e4 * drawn(wide, side=101)
    variance = 4.0 + light / 2.5
    measured = []
    for gains in (None, np.full(light.shape, 2.5), np.full(light.shape, 5.0)):
        frame = Frame(image=light, noise=2.0, gain=2.5 if gains is None else 0.0, variance=variance, gains=gains)
        fitted = psf_photometry(frame, psf, [50.0], [50.0])
        measured.append(spread_model(frame, psf, fitted, scale=0.5)[1][0])
    assert measured[1] == pytest.approx(measured[0], rel=1e-6)
    assert measured[2] != pytest.approx(measured[0], rel=1e-2)


@pytest.fixture(scope="module")
def rows() -> list[tuple[Any, np.ndarray]]:
    """Detected sources and their truth: stars, and as many galaxies of a half-light radius as is usual at 23 mag."""
    random, found = np.random.default_rng(21), []
    for _ in range(2):
        truth = grid_of_stars(random, shape=SHAPE, step=32, bright=20.5, faint=24.2)
        truth["flux"][::12] = 10 ** (-0.4 * (18.5 - 32.0))  # for the PSF
        truth["radius"][1::2] = 0.35 / 0.2
        truth["star"] = truth["radius"] == 0
        measured = measure_image(exposed(draw(truth, shape=SHAPE), random), Options()).table
        measured["astrometry_used"] = measured["photometry_used"] = np.zeros(len(measured), bool)
        table = source_table(measured, summary_row())
        near = rows_near(table, truth, within=3)
        one = [len(rows) == 1 for rows in near]
        found.append((table[[rows[0] for rows in near if len(rows) == 1]], truth[one]))
    return found


def test_the_spread_of_stars_is_its_error(rows: list[tuple[Any, np.ndarray]]) -> None:
    pull = np.concatenate([(t["spreadModel"] / t["spreadModelErr"])[truth["star"]] for t, truth in rows])
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1, abs=0.15)  # 350 stars: 6 %
    assert abs(np.median(pull)) < 0.5  # the PSF is from thirty stars


def test_the_cut_knows_the_noise(rows: list[tuple[Any, np.ndarray]]) -> None:
    columns = [(t["extendedness"], t["psfFlux"] / t["psfFluxErr"], truth["star"]) for t, truth in rows]
    extended, signal, star = (np.concatenate(each) for each in zip(*columns, strict=True))
    for low, high, stars, galaxies in ((8, 14, 0.75, 0.65), (14, 30, 0.88, 0.92), (30, 90, 0.93, 0.98)):
        inside = (signal >= low) & (signal < high)
        assert (inside & star).sum() > 30
        assert np.mean(extended[inside & star] == 0) >= stars
        assert np.mean(extended[inside & ~star] == 1) >= galaxies
