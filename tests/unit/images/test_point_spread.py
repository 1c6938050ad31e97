"""Any PSF that gives stamps can be measured with; what a fitted one says of its error is what GalSim's truth says."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import galsim
import numpy as np
import pytest
from astropy.io import fits
from support.galsim_fields import draw, exposed, grid_of_stars, rows_near

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.psf_table import psf_of, psf_table
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.moments import adaptive_moments
from qserv_py.pipelines.kernels.measurement.psf_fit import fit_psf
from qserv_py.pipelines.kernels.measurement.psf_photometry import psf_photometry
from qserv_py.pipelines.kernels.measurement.spread import spread_model
from qserv_py.pipelines.kernels.psf import Psf, sampling_of
from qserv_py.pipelines.single_frame.calibrate_image import Options, measure_image

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


@pytest.mark.parametrize("fwhm", [1.3, 1.7, 2.2, 3.4])
def test_stamps_of_narrow_stars_are_measured_as_well(fwhm: float) -> None:
    class Narrow(Seam):
        def at(self, x: object, y: object, *, dx: object = 0.0, dy: object = 0.0) -> FloatArray:
            shifts = np.broadcast_to(dx, np.shape(x)), np.broadcast_to(dy, np.shape(x))
            return np.stack([drawn(fwhm, *shift) for shift in zip(*shifts, strict=True)])

    frame, x, y, flux = field(np.random.default_rng(3), 20, lambda a: fwhm)
    found = psf_photometry(frame, Narrow(), x + 0.1, y - 0.1).fluxes
    for name, true, error in (("x", x, "x_error"), ("y", y, "y_error"), ("flux", flux, "flux_error")):
        pulls = (found[name] - true) / found[error]
        assert 0.7 < 1.4826 * np.median(np.abs(pulls)) < 1.3, name
    assert np.median(found["chi2"]) == pytest.approx(1, abs=0.03)


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


@pytest.mark.parametrize(("fwhm", "sampling"), [(3.3, 1), (2.0, 2)])
def test_a_fitted_psf_stands_on_its_middle_all_over_the_image(fwhm: float, sampling: int) -> None:
    random = np.random.default_rng(16)
    frame, x, y, _ = field(random, 24, lambda _: fwhm)
    star = np.ones(len(x), bool)
    psf = fit_psf(frame, x, y, star=star, side=SIDE, order=2, sampling=sampling).psf
    at = [values.ravel() for values in np.meshgrid(*[np.linspace(20, 220, 5)] * 2)]
    off = np.zeros((25, 2))
    for dx, dy in itertools.product((-0.25, 0.25), repeat=2):  # a narrow star seems to move with its part of a pixel
        places = [galsim.hsm.FindAdaptiveMom(galsim.Image(one)).moments_centroid for one in psf.at(*at, dx=dx, dy=dy)]
        off += (np.array([(place.x, place.y) for place in places]) - (SIDE + 1) / 2 - (dx, dy)) / 4
    assert np.abs(off).max() < 0.001  # pixels
    rows = psf_photometry(frame, psf, x, y).fluxes
    pulls = np.stack([(rows[name] - true) / rows[f"{name}_error"] for name, true in (("x", x), ("y", y))])
    u, v = x / SIZE - 0.5, y / SIZE - 0.5
    terms = np.linalg.qr(np.stack([np.ones_like(u), u, v, u * v, u**2, v**2], axis=1))[0]
    assert np.mean((terms.T @ pulls.T) ** 2) < 2  # 1 where positions have no error that neighbours share


def test_stars_hardly_wider_than_a_pixel_need_three_samples_in_it() -> None:
    frame, x, y, flux = field(np.random.default_rng(5), 16, lambda a: 1.3)
    wrong = {}
    for sampling in (1, 3):
        fit = fit_psf(frame, x, y, star=np.ones(x.size, bool), side=15, order=0, sampling=sampling, clip=100.0)
        found = psf_photometry(frame, fit.psf, x, y).fluxes
        light = flux * np.median(found["flux"] / flux)
        pulls = [(found["flux"] - light) / found["flux_error"], (found["x"] - x) / found["x_error"]]
        wrong[sampling] = max(1.4826 * float(np.nanmedian(np.abs(each))) for each in pulls)
    assert sampling_of(1.72) == 3, "the FWHM as adaptive moments have it"
    assert wrong[3] < 1.3
    assert wrong[1] > 3


def test_the_psf_of_an_earlier_file_has_pixels() -> None:
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("I", "J", array=[0]),
            fits.Column("J", "J", array=[0]),
            fits.Column("PIXELS", "625D", dim="(25,25)", array=drawn(3.4)[None]),
        ],
        name="PSF",
    )
    table.header.update(PSFORDER=0, PSFX0=50.0, PSFY0=50.0, PSFXSCAL=50.0, PSFYSCAL=50.0)
    psf = psf_of(table, name="a")
    assert (psf.side, psf.sampling) == (25, 1)
    np.testing.assert_allclose(psf.at([9.0], [9.0])[0], drawn(3.4) / drawn(3.4).sum(), atol=1e-15)
    for value in (2, 0, "two"):
        table.header["PSFSAMP"] = value
        with pytest.raises(ImageFileError, match=f"the PSF of a has {value} samples a pixel and the columns"):
            psf_of(table, name="a")


@pytest.mark.parametrize(("fwhm", "sampling"), [(1.7, 2), (2.2, 2), (3.2, 1)])
def test_stars_of_any_width_have_their_light_and_places(fwhm: float, sampling: int) -> None:
    random, shape = np.random.default_rng(2), (512, 512)
    truth = grid_of_stars(random, shape=shape, step=32, bright=17.5, faint=21)
    measured = measure_image(exposed(draw(truth, shape=shape, fwhm=fwhm), random), Options())
    psf, table = measured.image.psf, measured.table
    assert isinstance(psf, Psf)
    assert psf.sampling == sampling
    bright = np.asarray(table["psf_used"]) & (table["psf_flux"] > 50 * table["psf_flux_error"])
    assert np.median(table["psf_chi2"][bright]) < 1.1, "of pixels alone it is 2.3, 1.26, 1.01"
    nearest = [rows[0] if len(rows) == 1 else -1 for rows in rows_near(table, truth, within=2)]
    rows, true = table[[row for row in nearest if row >= 0]], truth[np.array(nearest) >= 0]
    assert len(rows) > 0.97 * len(truth)
    scale = np.median(rows["psf_flux"] / true["flux"])
    for pulls in (
        (rows["x"] - true["x"]) / rows["x_error"],
        (rows["y"] - true["y"]) / rows["y_error"],
        (rows["psf_flux"] - scale * true["flux"]) / rows["psf_flux_error"],
    ):
        assert 0.85 < 1.4826 * np.median(np.abs(pulls)) < 1.3
    kept = psf_of(psf_table(psf), name="a")
    np.testing.assert_array_equal(kept.at([80.0], [90.0], dx=0.3, dy=-0.2), psf.at([80.0], [90.0], dx=0.3, dy=-0.2))


@pytest.mark.parametrize("fwhm", [1.3, 1.7])
def test_stars_hardly_wider_than_a_pixel_have_a_shape(fwhm: float) -> None:
    truth = grid_of_stars(np.random.default_rng(3), shape=(256, 256), step=32, bright=19, faint=19.1)
    frame = Frame(image=draw(truth, shape=(256, 256), fwhm=fwhm).light)
    shapes = adaptive_moments(frame, truth["x"], truth["y"], 1.0)
    profile = galsim.Convolve(galsim.Kolmogorov(fwhm=fwhm), galsim.Pixel(1.0))
    finely = profile.drawImage(nx=200, ny=200, scale=0.1, method="no_pixel")
    square = (0.1 * galsim.hsm.FindAdaptiveMom(finely).moments_sigma) ** 2
    assert not shapes["flags"].any()
    assert np.median(shapes["xx"] + shapes["yy"]) == pytest.approx(2 * square, rel=0.08)
    assert np.std(shapes["x"] - truth["x"]) < 0.04
