"""Any PSF that gives stamps can be measured with; what a fitted one says of its error is what GalSim's truth says."""

from __future__ import annotations

from collections.abc import Callable

import galsim
import numpy as np
import pytest

from qserv_py.pipelines.images.psf_table import psf_of, psf_table
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.psf import Psf
from qserv_py.pipelines.kernels.psf_fit import fit_psf
from qserv_py.pipelines.kernels.psf_photometry import psf_photometry
from qserv_py.pipelines.kernels.spread import spread_model

SIDE, SIZE, SEAM, NOISE = 25, 240, 120, 10.0


def seeing(x: float) -> float:
    """FWHM of a coadd whose right half has one exposure more."""
    return 3.0 if x < SEAM else 4.4


def drawn(fwhm: float, dx: float = 0.0, dy: float = 0.0, side: int = SIDE) -> FloatArray:
    profile = galsim.Gaussian(fwhm=fwhm).shift(dx, dy)
    stamp: FloatArray = profile.drawImage(nx=side, ny=side, scale=1.0).array.astype(float)
    return stamp


class Seam:
    """What no polynomial is."""

    side = SIDE

    def at(self, x: object, y: object, *, dx: object = 0.0, dy: object = 0.0) -> FloatArray:
        x, y = np.atleast_1d(x), np.atleast_1d(y)
        shifts = np.broadcast_to(dx, x.shape), np.broadcast_to(dy, x.shape)
        return np.stack([drawn(seeing(a), b, c) for a, b, c in zip(x, *shifts, strict=True)])

    def error_at(self, x: object, y: object) -> FloatArray:
        return np.zeros(np.shape(x))


class Wrapped(Seam):
    """A polynomial that does not say that it is one."""

    def __init__(self, psf: Psf) -> None:
        self.psf = psf

    def at(self, x: object, y: object, *, dx: object = 0.0, dy: object = 0.0) -> FloatArray:
        return self.psf.at(x, y, dx=dx, dy=dy)  # type: ignore[arg-type]


def field(
    random: np.random.Generator, step: int, size: Callable[[float], float] = seeing
) -> tuple[Frame, FloatArray, FloatArray, FloatArray]:
    """Stars on a grid, in pairs when it is fine; the frame, and what is true of them."""
    grid = np.arange(step / 2 + 4, SIZE - step / 2, step)
    x, y = (values.ravel() + random.uniform(-2, 2, values.size) for values in np.meshgrid(grid, grid))
    flux = 10 ** random.uniform(4, 5, x.size)
    image = galsim.Image(SIZE, SIZE, scale=1.0, dtype=float)
    for a, b, f in zip(x, y, flux, strict=True):
        star = galsim.Gaussian(fwhm=size(a), flux=f)
        star.drawImage(image, center=galsim.PositionD(a + 1, b + 1), add_to_image=True)
    variance = NOISE**2 + image.array
    light = image.array + random.normal(0, 1, image.array.shape) * np.sqrt(variance)
    return Frame(image=light, variance=variance.astype(np.float32), gain=1.0), x, y, flux


@pytest.mark.parametrize("free_position", [True, False])
def test_a_psf_that_jumps_gives_the_fluxes_of_stars_on_both_sides(free_position: bool) -> None:
    frame, x, y, flux = field(np.random.default_rng(3), 14)
    assert np.min(np.hypot(x[:-1] - x[1:], y[:-1] - y[1:])) < 12, "some have neighbours within their stamps"
    fitted = psf_photometry(frame, Seam(), x, y, free_position=free_position)
    pulls = (fitted.fluxes["flux"] - flux) / fitted.fluxes["flux_error"]
    for side in (x < SEAM, x >= SEAM):
        assert abs(np.mean(pulls[side])) < 0.35
        assert 0.8 < np.std(pulls[side]) < 1.3
    if free_position:
        offs = (fitted.fluxes["x"] - x) / fitted.fluxes["x_error"]
        assert np.isfinite(offs).mean() > 0.97  # some pairs are one pixel apart
        assert 0.8 < np.nanstd(offs) < 1.25
    assert np.std(fitted.residual / np.sqrt(np.asarray(frame.variance))) == pytest.approx(1, abs=0.03)
    spread, _ = spread_model(frame, Seam(), fitted, scale=0.5)
    assert abs(np.median(spread)) < 0.001, "a galaxy has 0.003 at the least"
    # The mean of both PSFs, which a polynomial would be, is not the same.
    mean = Psf(coefficients=drawn(3.7)[None], order=0, x0=0, y0=0, scale_x=1, scale_y=1)
    wrong = psf_photometry(frame, mean, x, y).fluxes
    assert abs(np.median(wrong["flux"][x < SEAM] / flux[x < SEAM]) - 1) > 0.05


@pytest.mark.parametrize("states_variance", [True, False])
def test_stamps_of_a_polynomial_are_measured_as_the_polynomial(states_variance: bool) -> None:
    random = np.random.default_rng(8)
    slope = 0.2 * (drawn(3.2) - drawn(3.6))
    psf = Psf(coefficients=np.stack([drawn(3.4), slope, -slope]), order=1, x0=120, y0=120, scale_x=120, scale_y=120)
    frame, x, y, _ = field(random, 20, lambda a: 3.4)
    mask = (random.uniform(size=(SIZE, SIZE)) < 0.005).astype(np.int32)
    if states_variance:
        frame = Frame(image=frame.image, variance=frame.variance, gain=1.0, mask=mask)
    else:
        frame = Frame(image=frame.image, noise=NOISE, gain=1.0, mask=mask)
    x, y = np.append(x, [-5.0, np.nan, 0.2]), np.append(y, [10.0, 10.0, 0.1])
    whole, apart = (psf_photometry(frame, one, x, y) for one in (psf, Wrapped(psf)))
    error = whole.fluxes["flux_error"]
    allowed = 0.02 if states_variance else 0.2  # errors: the noise of neighbours' light is stated once, not fitted
    for name, unit in (("flux", error), ("x", whole.fluxes["x_error"]), ("y", whole.fluxes["y_error"])):
        off = np.abs(whole.fluxes[name] - apart.fluxes[name]) / unit
        assert np.nanmax(off) < allowed, name
        assert (np.isnan(whole.fluxes[name]) == np.isnan(apart.fluxes[name])).all()
    np.testing.assert_allclose(apart.fluxes["flux_error"], error, rtol=0.03)
    np.testing.assert_array_equal(whole.fluxes["flags"], apart.fluxes["flags"])


def test_a_source_without_a_stamp_is_left_in_the_image() -> None:
    frame, x, y, flux = field(np.random.default_rng(4), 40)

    class Hole(Seam):
        def at(self, x: object, y: object, *, dx: object = 0.0, dy: object = 0.0) -> FloatArray:
            stamps = super().at(x, y, dx=dx, dy=dy)
            stamps[0] = np.nan
            return stamps

    found = psf_photometry(frame, Hole(), x, y)
    assert found.fluxes["flags"][0] & int(Flag.NO_DATA)
    assert np.isnan(found.fluxes["flux"][0])
    assert found.residual[round(y[0]), round(x[0])] > 0.9 * np.asarray(frame.image)[round(y[0]), round(x[0])]
    np.testing.assert_allclose(found.fluxes["flux"][1:], flux[1:], rtol=0.2)


def test_the_error_of_a_fitted_psf_is_how_wrong_it_is() -> None:
    for size, order in ((lambda x: 3.0 + 1.2 * x / SIZE, 0), (lambda x: 3.4, 1)):
        frame, x, y, _ = field(np.random.default_rng(6), 30, size)
        fit = fit_psf(frame, x, y, star=np.ones(x.size, bool), side=SIDE, order=order)
        true = np.stack([drawn(size(a)) for a in x])
        off = np.sqrt(np.sum((fit.psf.at(x, y) - true) ** 2, axis=(1, 2)) / np.sum(true**2, axis=(1, 2)))
        said = fit.psf.error_at(x, y)
        assert (said == said[0]).all()
        if order == 0:
            assert said[0] == pytest.approx(np.sqrt(np.median(off**2)), rel=0.35)
            assert said[0] > 0.05
        else:
            assert said[0] < 0.02
        assert np.isnan(fit.psf.error_at([np.nan], [1.0])).all()
        assert psf_of(psf_table(fit.psf), name="a").error == fit.psf.error
        unknown = Psf(coefficients=true[:1], order=0, x0=0, y0=0, scale_x=1, scale_y=1)
        assert np.isnan(psf_of(psf_table(unknown), name="a").error)
