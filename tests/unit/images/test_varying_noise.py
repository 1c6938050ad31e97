"""Noise that varies, on images that GalSim drew: errors are what the scatter is, everywhere and in every unit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.galsim_fields import (
    READ_NOISE,
    SKY,
    amplifiers,
    dithered,
    draw,
    exposed,
    exposure_of,
    grid_of_stars,
    halves,
    rows_near,
)

from qserv_py.errors import KernelArgumentError, UnusableImageError
from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.psf_fit import fit_psf
from qserv_py.pipelines.kernels.measurement.psf_photometry import psf_photometry
from qserv_py.pipelines.single_frame.calibrate_image import Measured, Options, measure_image

SHAPE = (360, 360)
IMAGES = 2
COLUMN = np.linspace(0, 1, SHAPE[1])[None, :]


def gradient(light: np.ndarray, random: np.random.Generator) -> Exposure:
    noise = np.broadcast_to(20 + 100 * COLUMN, SHAPE)
    electrons = random.poisson(light) + random.normal(0, 1, SHAPE) * noise
    return exposure_of(electrons, light + noise**2)


def vignetted(light: np.ndarray, random: np.random.Generator) -> Exposure:
    response = np.broadcast_to(1 - 0.8 * COLUMN, SHAPE)
    counts = random.poisson((light + SKY) * response) + random.normal(0, READ_NOISE, SHAPE)
    return exposure_of(counts / response, (np.maximum(counts, 0) + READ_NOISE**2) / response**2)


def coadd(light: np.ndarray, random: np.random.Generator) -> Exposure:
    exposures = np.where(COLUMN < 0.5, 16.0, 1.0) * np.ones(SHAPE)  # an edge, not a slope
    counts = random.poisson((light + SKY) * exposures) / exposures
    return exposure_of(counts, counts / exposures)


def faint(light: np.ndarray, random: np.random.Generator) -> Exposure:
    counts = random.poisson(light + 4.0) + random.normal(0, 1.5, SHAPE)  # the pixel's own electrons make its variance
    return exposure_of(counts, np.maximum(counts, 0) + 1.5**2)


@pytest.mark.parametrize("kind", [gradient, vignetted, coadd, faint, amplifiers, dithered])
def test_errors_are_those_of_the_scatter_everywhere(kind: Any) -> None:
    random = np.random.default_rng(11)
    bright, weak = {coadd: (22, 23.5), faint: (22, 24)}.get(kind, (21, 22.5))
    pulls: list[np.ndarray] = []
    for _ in range(IMAGES):
        truth = grid_of_stars(random, shape=SHAPE, step=30, bright=bright, faint=weak)
        truth["flux"][::9] = 10 ** (-0.4 * (19.0 - 32.0))  # for the PSF
        table = measure_image(kind(draw(truth, shape=SHAPE).light, random), Options()).table
        near = rows_near(table, truth, within=4)
        assert np.mean([len(found) == 1 for found in near]) > 0.97
        assert len(table) <= 1.05 * len(truth)
        row = table[[found[0] for found in near if len(found)]]
        true = truth[[len(found) > 0 for found in near]]
        scale = np.median(row["psf_flux"][::9] / true["flux"][::9])
        flux = (row["psf_flux"] - scale * true["flux"]) / row["psf_flux_error"]
        place = (row["x"] - true["x"]) / row["x_error"]
        chosen = true["flux"] < 1e5
        pulls.append(np.stack([true["x"], flux, place])[:, chosen])
    x, flux, place = np.concatenate(pulls, axis=1)
    for part in (x < SHAPE[1] / 2, x > SHAPE[1] / 2):
        for pull in (flux, place):
            width = 1.4826 * np.median(np.abs(pull[part] - np.median(pull[part])))
            assert 0.8 < width < 1.22  # some 120 stars: 9 %
        if kind is faint:  # elsewhere a percent of the sky, under so many stars, is more
            assert abs(np.median(flux[part])) < 0.25


def test_amplifiers_of_different_gain_have_their_own() -> None:
    random = np.random.default_rng(16)
    truth = grid_of_stars(random, shape=SHAPE, step=36, bright=17.5, faint=21)
    found = measured(amplifiers(draw(truth, shape=SHAPE).light, random))
    noise = found.image.noise
    assert len(found.table) == pytest.approx(len(truth), abs=2)  # without gains bright stars fall apart
    assert noise.gains is not None
    away = np.abs(COLUMN[0] - 0.5) > 0.25  # the mesh has 64 pixels
    np.testing.assert_allclose(noise.gains[:, away], halves(SHAPE, 0.7, 4.0)[:, away], rtol=0.1)


def test_one_gain_is_one_number() -> None:
    random = np.random.default_rng(17)
    truth = grid_of_stars(random, shape=SHAPE, step=36, bright=17.5, faint=21)
    noise = measured(vignetted(draw(truth, shape=SHAPE).light, random)).image.noise
    flat = measured(exposed(draw(truth, shape=SHAPE), random)).image.noise
    assert flat.gains is None
    assert noise.gains is not None  # a flat field divides the electrons
    true = np.broadcast_to(1 - 0.8 * COLUMN, SHAPE)
    np.testing.assert_allclose(noise.gains[:, 40:320], true[:, 40:320], atol=0.1)


def test_gains_that_are_all_one_are_the_gain() -> None:
    random = np.random.default_rng(18)
    truth = grid_of_stars(random, shape=SHAPE, step=36, bright=18, faint=22)
    image = measured(exposed(draw(truth, shape=SHAPE), random)).image
    frame = replace(image.frame, gain=1.5)
    each = [
        psf_photometry(one, image.psf, truth["x"], truth["y"])
        for one in (frame, replace(frame, gain=7.0, gains=np.full(SHAPE, 1.5)))
    ]
    np.testing.assert_array_equal(each[0].fluxes, each[1].fluxes)
    with pytest.raises(KernelArgumentError, match="gains of every pixel without the variance"):
        Frame(image=image.light, noise=1.0, gains=np.ones(SHAPE))


def measured(exposure: Exposure) -> Measured:
    return measure_image(exposure, Options())


def test_the_unit_of_the_image_does_not_matter() -> None:
    random = np.random.default_rng(12)
    truth = grid_of_stars(random, shape=SHAPE, step=35, bright=18, faint=23)
    exposure = exposed(draw(truth, shape=SHAPE), random)
    nanojansky = replace(
        exposure,
        image=(0.02 * exposure.image).astype(np.float32),
        variance=(4e-4 * exposure.variance).astype(np.float32),
    )
    one, other = measured(exposure), measured(nanojansky)
    assert one.image.noise.gain == pytest.approx(1, rel=0.02)
    assert other.image.noise.gain == pytest.approx(50, rel=0.02)
    assert len(one.table) == len(other.table) >= len(truth) - 2
    for name in ("psf_flux", "ap12_flux", "kron_flux", "gauss_flux"):
        for column in (name, f"{name}_error"):
            np.testing.assert_allclose(other.table[column], 0.02 * one.table[column], rtol=2e-3, err_msg=column)


@pytest.mark.parametrize("factor", [0.01, 30.0])
def test_a_variance_that_the_pixels_deny_is_scaled(factor: float) -> None:
    random = np.random.default_rng(13)
    truth = grid_of_stars(random, shape=SHAPE, step=35, bright=18, faint=22)
    exposure = exposed(draw(truth, shape=SHAPE), random)
    wrong = measured(replace(exposure, variance=(factor * exposure.variance).astype(np.float32)))
    right = measured(exposure)
    assert right.image.noise.scale is None
    assert np.median(wrong.image.noise.scales) == pytest.approx(1 / factor, rel=0.25)
    assert abs(len(wrong.table) - len(right.table)) <= 1
    assert np.median(wrong.table["psf_flux_error"]) == pytest.approx(np.median(right.table["psf_flux_error"]), rel=0.12)


def test_an_image_without_variance_is_refused() -> None:
    random = np.random.default_rng(14)
    exposure = exposed(draw(grid_of_stars(random, shape=SHAPE, step=60, bright=18, faint=20), shape=SHAPE), random)
    with pytest.raises(UnusableImageError, match="0.0 % of the usable pixels have a variance"):
        measured(replace(exposure, variance=np.zeros_like(exposure.variance)))


def test_a_variance_that_is_wrong_in_a_part_is_scaled_there() -> None:
    random = np.random.default_rng(15)
    right = np.arange(512) >= 256
    image = random.normal(500, np.where(right, 30.0, 10.0), (512, 512))
    found = measured(exposure_of(image, np.full(image.shape, 100.0)))
    assert len(found.table) <= 1
    assert np.median(found.image.noise.scales[:, :3]) == 1
    assert np.median(found.image.noise.scales[:, 5:]) == pytest.approx(9, rel=0.1)
    assert np.median(found.image.sky_noise[:, 400:]) == pytest.approx(30, rel=0.05)


def test_fluxes_do_not_rise_and_fall_over_the_image_by_the_noise_of_the_wings() -> None:
    random = np.random.default_rng(4)
    truth = grid_of_stars(random, shape=(400, 400), step=25, bright=20, faint=20.2)
    noise = np.full((400, 400), 60.0)
    image = exposed(draw(truth, shape=(400, 400)), random, noise=noise)
    frame = Frame(image=image.image, variance=image.variance, gain=1.0)
    psf = fit_psf(frame, truth["x"], truth["y"], star=np.ones(len(truth), bool), order=2).psf
    fluxes = psf_photometry(frame, psf, truth["x"], truth["y"]).fluxes["flux"] / truth["flux"]
    u, v = truth["x"] / 200 - 1, truth["y"] / 200 - 1
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)
    surface = terms @ np.linalg.lstsq(terms, fluxes, rcond=None)[0]
    assert np.std(surface) < 0.0015  # a star alone is right to 0.005, so 256 stars to 0.0007 in five terms
