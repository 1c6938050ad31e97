"""Astrometric and photometric calibration: astropy is the oracle of coordinates, truth that of the fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io.fits import Header
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from qserv_py.errors import KernelArgumentError, NoFitError
from qserv_py.pipelines.kernels.catalogues.astrometry import fit_wcs, solve_wcs
from qserv_py.pipelines.kernels.catalogues.zero_point import fit_zero_point
from qserv_py.pipelines.kernels.wcs import Wcs, to_plane

SCALE = 0.2 / 3600
SIDE = 2048


def rotated(angle: float, *, ra0: float = 150.0, dec0: float = 2.0, scale: float = SCALE) -> Wcs:
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    cd = scale * np.array([[-c, s], [s, c]])
    return Wcs(ra0=ra0, dec0=dec0, x0=1023.5, y0=1023.5, cd=cd)


def distorted(wcs: Wcs, seed: int, order: int) -> Wcs:
    random = np.random.default_rng(seed)
    tables = []
    for _ in range(2):
        table = np.zeros((order + 1, order + 1))
        for i in range(order + 1):
            for j in range(order + 1 - i):
                if i + j > 1:
                    table[i, j] = random.normal(0, 2.0) / 1024.0 ** (i + j)
        tables.append(table)
    return Wcs(
        ra0=wcs.ra0, dec0=wcs.dec0, x0=wcs.x0, y0=wcs.y0, cd=wcs.cd, order=order, a=tables[0], b=tables[1]
    )  # fmt: skip


def apart_mas(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    dx = (one[0] - other[0] + 180) % 360 - 180
    return 3.6e6 * np.stack([dx * np.cos(np.radians(one[1])), one[1] - other[1]])


def grid() -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.linspace(0, SIDE - 1, 12), np.linspace(0, SIDE - 1, 12))
    return x.ravel(), y.ravel()


@settings(max_examples=40)
@given(
    st.floats(0, 359.99), st.floats(-89.9, 89.9), st.floats(-180, 180), st.integers(1, 4), st.integers(0, 2**32)
)  # fmt: skip
def test_coordinates_are_astropys(ra0: float, dec0: float, angle: float, order: int, seed: int) -> None:
    wcs = rotated(angle, ra0=ra0, dec0=dec0)
    if order > 1:
        wcs = distorted(wcs, seed, order)
    theirs = WCS(Header(wcs.header()), relax=True)
    x, y = grid()
    sky = wcs.to_sky(x, y)
    expected = theirs.all_pix2world(x, y, 0)
    assert np.abs(apart_mas(sky, expected)).max() < 1e-3
    back = wcs.to_pixel(*sky)
    np.testing.assert_allclose(back[0], x, atol=1e-6)
    np.testing.assert_allclose(back[1], y, atol=1e-6)


def test_the_other_side_of_the_sky_has_no_pixel() -> None:
    x, y = rotated(0.0).to_pixel([150.0, 330.0], [2.0, -2.0])
    np.testing.assert_allclose([x[0], y[0]], 1023.5)
    assert np.isnan([x[1], y[1]]).all()


@settings(max_examples=30)
@given(st.floats(0, 359.99), st.floats(-89.5, 89.5), st.integers(1, 4), st.integers(0, 2**32))
def test_exact_pairs_give_the_wcs_back(ra0: float, dec0: float, order: int, seed: int) -> None:
    truth = rotated(30.0, ra0=ra0, dec0=dec0)
    if order > 1:
        truth = distorted(truth, seed, order)
    x, y = grid()
    sky = truth.to_sky(x, y)
    fit = fit_wcs(rotated(29.0, ra0=ra0, dec0=dec0), x, y, *sky, order=order)
    assert np.abs(apart_mas(fit.wcs.to_sky(x, y), sky)).max() < 1e-2
    assert np.abs(apart_mas((fit.wcs.ra0, fit.wcs.dec0), (truth.ra0, truth.dec0))).max() < 1e-2


def field(truth: Wcs, seed: int, *, stars: int = 158, junk: int = 400) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Sources with noise and junk, and references with noise, some beyond the image; the brightest first."""
    random = np.random.default_rng(seed)
    x, y = random.uniform(0, SIDE, (2, stars))
    ra, dec = truth.to_sky(x, y)
    ra = ra + random.normal(0, 5, stars) / 3.6e6 / np.cos(np.radians(dec))
    dec = dec + random.normal(0, 5, stars) / 3.6e6
    far_x, far_y = random.uniform(-1500, 0, (2, 60))
    far = truth.to_sky(far_x, far_y)
    sources = [np.append(values, random.uniform(0, SIDE, junk)) for values in (x, y)]
    sources = [values + random.normal(0, 1.4 / 200, values.size) for values in sources]
    return sources, [np.append(ra, far[0]), np.append(dec, far[1])]


@pytest.mark.parametrize("seed", range(4))
def test_a_field_is_solved_to_a_milliarcsecond(seed: int) -> None:
    truth = rotated(40.0)
    sources, references = field(truth, seed)
    guess = rotated(40.03, ra0=150.0 + 2 / 3600, dec0=2.0 - 2 / 3600)
    fit = solve_wcs(guess, *sources, *references)
    assert fit.wcs.order == 1
    off = apart_mas(fit.wcs.to_sky(*grid()), truth.to_sky(*grid()))
    assert np.sqrt(np.mean(off**2)) < 1.0
    assert len(fit.sources) > 140
    assert (fit.sources == fit.references).mean() > 0.97
    assert fit.rms_arcsec == pytest.approx(5.2e-3, rel=0.15)


def test_distortion_is_found() -> None:
    truth = distorted(rotated(-100.0), 5, 3)
    sources, references = field(truth, 3, stars=400)
    fit = solve_wcs(rotated(-100.0, ra0=150.0005), *sources, *references, match_arcsec=2.0)
    assert fit.wcs.order == 3
    off = apart_mas(fit.wcs.to_sky(*grid()), truth.to_sky(*grid()))
    assert np.sqrt(np.mean(off**2)) < 1.5


def test_pairs_count_by_their_errors() -> None:
    truth, squares = rotated(40.0), np.zeros(2)
    error, reference_error = np.where(np.arange(300) < 100, 1.0, 40.0), np.full(300, 5.0)  # mas
    errors = {"error_arcsec": error / 1000, "reference_error_arcsec": reference_error / 1000}
    for seed in range(8):
        random = np.random.default_rng(seed)
        x, y = random.uniform(0, SIDE, (2, 300))
        ra, dec = truth.to_sky(x, y)
        noise = random.normal(0, np.hypot(error, reference_error), (2, 300)) / 3.6e6
        ra, dec = ra + noise[0] / np.cos(np.radians(dec)), dec + noise[1]
        for k, known in enumerate((errors, {})):
            fit = solve_wcs(truth, x, y, ra, dec, **known)
            squares[k] += np.mean(apart_mas(fit.wcs.to_sky(*grid()), truth.to_sky(*grid())) ** 2) / 8
    assert np.sqrt(squares[0]) < 1.6  # 100 pairs of 5.1 mas give 1.25 on both axes
    assert squares[1] > 2 * squares[0]
    part = solve_wcs(truth, x, y, ra, dec, error_arcsec=np.where(np.arange(300) == 7, np.nan, error))
    assert len(part.sources) > 200  # where one error is not known all count alike


def test_a_guess_that_is_only_turned_and_scaled_is_not_sheared_by_noise() -> None:
    square, stars = 0.0, 125
    for seed in range(64):
        random = np.random.default_rng(seed)
        truth = rotated(random.uniform(0, 360))
        x, y = random.uniform(0, SIDE, (2, stars))
        ra, dec = truth.to_sky(x, y)
        noise = random.normal(0, 5, (2, stars)) / 3.6e6
        ra, dec = ra + noise[0] / np.cos(np.radians(dec)), dec + noise[1]
        turn = np.radians(random.uniform(-0.03, 0.03))
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        guess = replace(truth, cd=1.00003 * turned @ truth.cd, dec0=truth.dec0 + 1 / 3600)
        fit = solve_wcs(guess, x, y, ra, dec)
        square += np.mean(apart_mas(fit.wcs.to_sky(*grid()), truth.to_sky(*grid())) ** 2) / 64
    affine = 5 * np.sqrt(3 / stars)  # on an axis, which has three terms
    assert np.sqrt(square) < 0.9 * affine


def test_a_shear_is_found() -> None:
    truth = rotated(40.0)
    refracted = replace(truth, cd=np.array([[1 + 3e-5, 1e-5], [1e-5, 1 - 3e-5]]) @ truth.cd)
    for seed in range(4):
        sources, references = field(refracted, seed)
        fit = solve_wcs(rotated(40.03), *sources, *references)
        off = apart_mas(fit.wcs.to_sky(*grid()), refracted.to_sky(*grid()))
        assert np.sqrt(np.mean(off**2)) < 2.0  # 3.7 without it


def test_outliers_are_left_out() -> None:
    truth = rotated(10.0)
    x, y = grid()
    ra, dec = truth.to_sky(x, y)
    random = np.random.default_rng(1)
    dec = dec + random.normal(0, 5e-3, dec.size) / 3600
    wrong = random.choice(dec.size, 12, replace=False)
    dec[wrong] += 1 / 3600
    ra[0] = np.nan
    fit = fit_wcs(truth, x, y, ra, dec)
    assert not np.isin(wrong, fit.sources).any()
    assert 0 not in fit.sources
    assert fit.wcs.order == 1


def test_what_cannot_be_solved_is_said() -> None:
    random = np.random.default_rng(2)
    x, y = random.uniform(0, SIDE, (2, 200))
    ra, dec = rotated(0.0).to_sky(*random.uniform(0, SIDE, (2, 200)))
    with pytest.raises(NoFitError, match="no offset within 10 arc seconds brings 200 sources onto"):
        solve_wcs(rotated(0.0), x, y, ra, dec)
    with pytest.raises(NoFitError, match="no offset within 10 arc seconds brings 0 sources onto 0 references"):
        solve_wcs(rotated(0.0), [], [], [], [])
    with pytest.raises(NoFitError, match="2 pairs for a WCS of order 1, which needs 3"):
        fit_wcs(rotated(0.0), x[:2], y[:2], ra[:2], dec[:2])
    with pytest.raises(NoFitError, match="200 pairs stand so that they do not determine"):
        fit_wcs(rotated(0.0), x, np.full(200, 5.0), ra, dec)
    with pytest.raises(KernelArgumentError, match="a WCS of order 9"):
        fit_wcs(rotated(0.0), x, y, ra, dec, order=9)
    with pytest.raises(KernelArgumentError, match="order 0"):
        solve_wcs(rotated(0.0), x, y, ra, dec, max_order=0)


def test_standard_coordinates_by_hand() -> None:
    xi, eta = to_plane(np.array([10.0, 11.0]), np.array([1.0, 0.0]), ra0=10.0, dec0=0.0)
    np.testing.assert_allclose(np.radians([xi[1], eta[0]]), np.tan(np.radians(1.0)))
    np.testing.assert_allclose([xi[0], eta[1]], 0, atol=1e-15)


@settings(max_examples=40)
@given(st.integers(1, 200), st.sampled_from([0.0, 0.01, 0.05]), st.integers(0, 2**32))
def test_the_zero_point_is_found(count: int, extra: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    flux = 10 ** random.uniform(4, 5.5, count)
    error = np.sqrt(flux + 4e4)
    magnitude = 31.4 - 2.5 * np.log10(flux) + random.normal(0, extra, count)
    measured = flux + random.normal(0, error)
    found = fit_zero_point(measured, error, magnitude, np.full(count, 0.005))
    assert found.magnitude == pytest.approx(31.4, abs=6 * found.error + 5 * extra)  # one star does not show its scatter
    if count >= 50:
        assert found.scatter == pytest.approx(extra, abs=0.02)
        assert found.used.mean() > 0.9


def test_variable_stars_are_clipped() -> None:
    flux = np.full(50, 1e5)
    magnitude = np.full(50, 20.0)
    magnitude[:10] -= 1.0
    found = fit_zero_point(flux, np.full(50, 300.0), magnitude, np.full(50, 0.01))
    assert found.magnitude == pytest.approx(32.5)
    assert not found.used[:10].any()
    assert found.used[10:].all()


def test_no_stars_have_no_zero_point() -> None:
    with pytest.raises(NoFitError, match="none of 2 stars has a positive flux"):
        fit_zero_point([-1.0, np.nan], [1.0, 1.0], [20.0, 20.0], [0.1, 0.1])
