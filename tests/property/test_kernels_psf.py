"""The PSF: model and fluxes equal dense least squares, errors are what noise does, a simulated field is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pixels import masked_images, usable

from qserv_py.errors import KernelArgumentError, NoFitError
from qserv_py.pipelines.kernels.background import background
from qserv_py.pipelines.kernels.detection import Flag, detect, gaussian_kernel
from qserv_py.pipelines.kernels.frame import UNMEASURABLE, Frame
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes
from qserv_py.pipelines.kernels.measurement.moments import adaptive_moments
from qserv_py.pipelines.kernels.measurement.psf_fit import _fit, fit_psf
from qserv_py.pipelines.kernels.measurement.psf_photometry import psf_photometry
from qserv_py.pipelines.kernels.measurement.stars import select_stars
from qserv_py.pipelines.kernels.psf import Psf, samples_of
from qserv_py.pipelines.kernels.reference import psf as reference
from qserv_py.pipelines.kernels.scene import Scene, psf_at, simulate


def gaussian_psf(order: int = 1, side: int = 15, sigma: float = 1.6, sampling: int = 1) -> Psf:
    """A round Gaussian that grows towards the right and lengthens upwards."""
    samples = samples_of(side, sampling)
    row, column = (np.indices((samples, samples)) - samples // 2) / sampling
    coefficients = np.zeros(((order + 1) * (order + 2) // 2, samples, samples))
    coefficients[0] = np.exp(-(row**2 + column**2) / (2 * sigma**2))
    if order:
        coefficients[1] = 0.1 * coefficients[0] * (row**2 + column**2) / 10
        coefficients[order + 1] = 0.1 * coefficients[0] * row**2 / 10
    return Psf(coefficients=coefficients, order=order, sampling=sampling, x0=30, y0=30, scale_x=30, scale_y=30)


PSF = gaussian_psf()


@given(
    st.integers(0, 4),
    st.sampled_from([3, 5, 15]),
    st.integers(1, 4),
    st.floats(-0.5, 0.5),
    st.floats(-0.5, 0.5),
    st.integers(0, 2**32),
)
def test_drawing_equals_dense_interpolation(
    order: int, side: int, sampling: int, dx: float, dy: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    psf = gaussian_psf(order, side, sampling=sampling)
    assert psf.side == side
    psf = replace(psf, coefficients=psf.coefficients + random.normal(0, 1e-3, psf.coefficients.shape))
    x, y = random.uniform(0, 60, (2, 3))
    ours = psf.at(x, y, dx=dx, dy=dy)
    for stamp, at_x, at_y in zip(ours, x, y, strict=True):
        np.testing.assert_allclose(stamp, reference.draw(psf, at_x, at_y, dx, dy), rtol=1e-9, atol=1e-12)


def test_moving_keeps_sum_middle_and_size() -> None:
    psf = gaussian_psf(0, 31)
    row, column = np.indices((31, 31)) - 15
    for dx, dy in ((0.5, -0.5), (0.3, 0.1), (0.0, 0.0)):
        (stamp,) = psf.at([30.0], [30.0], dx=dx, dy=dy)
        assert stamp.sum() == pytest.approx(1, abs=1e-7)
        assert (stamp * column).sum() == pytest.approx(dx, abs=1e-6)
        assert (stamp * row).sum() == pytest.approx(dy, abs=1e-6)
        assert (stamp * (column - dx) ** 2).sum() == pytest.approx(1.6**2, rel=1e-5)


@given(masked_images(most=40), st.integers(1, 5), st.integers(0, 2**32))
def test_forced_fluxes_equal_one_linear_system(
    found: tuple[np.ndarray, np.ndarray | None], count: int, seed: int
) -> None:
    image, mask = found
    image = np.where(np.abs(image) < 1e6, image, np.nan)
    counts = usable(image, mask, UNMEASURABLE)
    random = np.random.default_rng(seed)
    x, y = random.uniform(0, image.shape[1] - 1, count), random.uniform(0, image.shape[0] - 1, count)
    apart = np.hypot(x[:, None] - x, y[:, None] - y) + 100 * np.eye(count)
    ours = psf_photometry(Frame(image=image, mask=mask, noise=2.0), PSF, x, y, free_position=False, visits=100)
    measured = ours.fluxes["flags"] & int(Flag.NO_DATA) == 0
    assert (measured == np.isfinite(ours.fluxes["flux"])).all()
    if measured.all() and apart.min() > 3:  # closer, a hundred rounds do not settle
        theirs = reference.forced_fluxes(PSF, image, counts, x, y)
        inside = [reference.model_image(PSF, image.shape, *at)[counts].sum() for at in zip(x, y, strict=True)]
        if min(inside) > 0.7:
            np.testing.assert_allclose(ours.fluxes["flux"], theirs, rtol=1e-4, atol=1e-3 * np.abs(theirs).max() + 1e-3)
            models = sum(
                flux * reference.model_image(PSF, image.shape, *at)
                for flux, *at in zip(ours.fluxes["flux"], x, y, strict=True)
            )
            scale = np.abs(np.where(np.isfinite(image), image, 0)).max() + np.abs(theirs).max()
            np.testing.assert_allclose(ours.residual, image - models, atol=1e-5 * scale + 1e-6)


@given(masked_images(most=30), st.lists(st.tuples(st.floats(), st.floats()), max_size=6))
def test_any_image_and_position_is_survived(
    found: tuple[np.ndarray, np.ndarray | None], places: list[tuple[float, float]]
) -> None:
    image, mask = found
    x, y = np.array([*places, (3.0, 2.0)]).T
    rows = psf_photometry(Frame(image=image, mask=mask, noise=5.0, gain=1.0), PSF, x, y).fluxes
    lost = ~(np.isfinite(x) & np.isfinite(y)) | (np.abs(x) > 100) | (np.abs(y) > 100)
    assert np.isnan(rows["flux"][lost]).all()
    assert (np.isfinite(rows["flux"]) | (rows["flags"] & int(Flag.NO_DATA) != 0)).all()
    try:
        fitted = fit_psf(Frame(image=image, mask=mask, noise=5.0), x, y, star=np.isfinite(x), order=0, side=9)
    except NoFitError:
        return
    assert np.isfinite(fitted.psf.coefficients).all()


def star_field(positions: np.ndarray, fluxes: np.ndarray, psf: Psf = PSF) -> np.ndarray:
    shape = (61, 61)
    return sum(  # type: ignore[no-any-return]
        flux * reference.model_image(psf, shape, *at) for at, flux in zip(positions, fluxes, strict=True)
    )


def test_overlapping_stars_are_told_apart() -> None:
    positions = np.array([[20.3, 20.8], [24.1, 21.9], [23.0, 26.4], [48.6, 40.2]])
    fluxes = np.array([1e5, 3e4, 2e4, 5e3])
    frame = Frame(image=star_field(positions, fluxes), noise=1.0)
    start = positions + 0.4
    rows = psf_photometry(frame, PSF, *start.T, visits=100).fluxes
    np.testing.assert_allclose(rows["flux"], fluxes, rtol=2e-3)
    np.testing.assert_allclose(np.stack([rows["x"], rows["y"]], axis=1), positions, atol=5e-3)
    assert not rows["flags"].any()


def test_errors_are_what_noise_does() -> None:
    random = np.random.default_rng(3)
    clean = star_field(np.array([[30.2, 29.7]]), np.array([2e4]))
    rows = []
    for _ in range(300):
        image = random.poisson(np.maximum(clean, 0) + 300) - 300.0
        frame = Frame(image=image, noise=np.sqrt(300), gain=1.0)
        rows.append(psf_photometry(frame, PSF, [30.0], [30.0], visits=1).fluxes[0])
    found = np.array(rows)
    for name in ("flux", "x", "y"):
        assert found[name].std() == pytest.approx(found[f"{name}_error"].mean(), rel=0.15), name
    assert found["flux"].mean() == pytest.approx(2e4, abs=4 * found["flux"].std() / np.sqrt(300))
    assert found["chi2"].mean() == pytest.approx(1, abs=0.03)


def test_a_star_that_runs_away_keeps_its_place() -> None:
    image = star_field(np.array([[30.0, 30.0]]), np.array([1e4]))
    (row,) = psf_photometry(Frame(image=image, noise=1.0), PSF, [34.0], [30.0]).fluxes
    assert (row["x"], row["y"]) == (34.0, 30.0)
    assert row["flags"] & Flag.NOT_CONVERGED
    assert np.isnan(row["x_error"])


@settings(max_examples=5)
@given(st.integers(0, 2), st.integers(0, 2**32))
def test_the_model_equals_least_squares_of_every_pixel(order: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = (values.ravel().astype(float) for values in np.meshgrid([8, 23, 38, 52], [9, 24, 39, 52]))
    fluxes = random.uniform(1e4, 1e5, x.size)
    image = star_field(np.stack([x, y], axis=1), fluxes) + random.normal(0, 2, (61, 61))
    frame = Frame(image=image, noise=2.0)
    wanted = replace(PSF, order=order)
    fitted = _fit(frame, wanted, x, y, fluxes, None, 0.0, before=None)
    half = PSF.side // 2
    pixels = np.asarray(frame.image)
    stamps = np.stack(
        [
            pixels[int(b) - half : int(b) + half + 1, int(a) - half : int(a) + half + 1] / flux
            for a, b, flux in zip(x, y, fluxes, strict=True)
        ]
    )
    weights = np.broadcast_to((fluxes**2)[:, None, None], stamps.shape)
    theirs = reference.fit_unmoved(wanted, stamps, weights, x, y)
    np.testing.assert_allclose(fitted.coefficients, theirs, rtol=1e-6, atol=1e-9)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1), st.sampled_from([2, 3]), st.integers(0, 2**32))
def test_a_model_of_finer_samples_equals_one_dense_system(order: int, sampling: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    wanted = gaussian_psf(order, 5, 0.8, sampling)
    x, y = (values.ravel().astype(float) for values in np.meshgrid(np.arange(5, 60, 10), np.arange(5, 60, 10)))
    x, y = x + random.uniform(-0.5, 0.5, x.size), y + random.uniform(-0.5, 0.5, x.size)
    fluxes = random.uniform(1e4, 1e5, x.size)
    image = star_field(np.stack([x, y], axis=1), fluxes, wanted) + random.normal(0, 20, (61, 61))
    mask = (random.uniform(size=image.shape) < 0.02).astype(np.int32)
    frame = Frame(image=image, noise=20.0, mask=mask)
    fitted = _fit(frame, wanted, x, y, fluxes, None, 0.0, before=None)
    boxes = [np.s_[round(b) - 2 : round(b) + 3, round(a) - 2 : round(a) + 3] for a, b in zip(x, y, strict=True)]
    pixels = np.asarray(frame.image)
    stamps = np.stack([pixels[box] / flux for box, flux in zip(boxes, fluxes, strict=True)])
    weights = np.stack([np.where(mask[box], 0, (flux / 20) ** 2) for box, flux in zip(boxes, fluxes, strict=True)])
    theirs = reference.fit_samples(wanted, stamps, weights, x, y)
    ours, exact = (
        np.stack([reference.star_pixels(psf, a, b, a - round(a), b - round(b)) for a, b in zip(x, y, strict=True)])
        for psf in (fitted, replace(fitted, coefficients=theirs))
    )
    noises = (ours - exact) * np.sqrt(weights)
    assert np.sqrt(np.mean(noises**2)) < 0.4, "rounds end where noise is all that is left"
    assert np.mean(weights * (ours - stamps) ** 2) < np.mean(weights * (exact - stamps) ** 2) + 0.1


def test_a_noiseless_field_gives_its_psf_back() -> None:
    random = np.random.default_rng(5)
    grid = np.stack(np.meshgrid([9, 23, 37, 51], [9, 23, 37, 51]), axis=-1).reshape(-1, 2)
    positions = grid + random.uniform(-0.5, 0.5, grid.shape)
    image = star_field(positions, random.uniform(1e4, 1e5, len(grid))) + random.normal(0, 0.1, (61, 61))
    segments = detect(image, noise=0.1, kernel=gaussian_kernel(3.5)).segments
    frame = Frame(image=image, noise=0.1, segments=np.minimum(segments, 0))
    fitted = fit_psf(frame, *positions.T, star=np.ones(len(grid), bool), side=15, order=1, rounds=5)
    for x, y in ((9.0, 9.0), (30.0, 30.0), (50.0, 20.0)):
        np.testing.assert_allclose(fitted.psf.at([x], [y]), PSF.at([x], [y]), atol=6e-3 * PSF.at([x], [y]).max())


@pytest.fixture(scope="module")
def field() -> dict[str, Any]:
    """A detector measured from its pixels alone."""
    scene = Scene(shape=(1024, 1024), n_stars=160, n_galaxies=1050, seed=11)
    drawn = simulate(scene)
    sky = background(drawn.image)
    light = sky.subtract_from(drawn.image)
    found = detect(light, noise=sky.mean_noise, kernel=gaussian_kernel(3.75))
    rows = found.sources
    frame = Frame(image=light, noise=sky.mean_noise, gain=1.0, segments=found.segments)
    shapes = adaptive_moments(frame, rows["x"], rows["y"], 2.0, segment=np.arange(len(rows)) + 1)
    bright = aperture_fluxes(frame, rows["x"], rows["y"], 6.0)
    star = select_stars(shapes, flux=bright["flux"], error=bright["error"], planes=rows["planes"])
    fitted = fit_psf(frame, rows["x"], rows["y"], star=star, order=1)
    return {"scene": scene, "truth": drawn.truth, "rows": rows, "star": star, "fit": fitted, "frame": frame}


def nearest(field: dict[str, Any], rows: np.ndarray) -> np.ndarray:
    truth = field["truth"]
    return np.array([np.argmin((truth["x"] - row["x"]) ** 2 + (truth["y"] - row["y"]) ** 2) for row in rows])


def test_stars_are_selected(field: dict[str, Any]) -> None:
    chosen = field["truth"][nearest(field, field["rows"][field["star"]])]
    assert len(chosen) >= 20
    assert chosen["star"].mean() > 0.95


def test_the_model_has_the_size_of_the_psf(field: dict[str, Any]) -> None:
    places = np.array([[200.0, 200.0], [200, 800], [500, 500], [800, 200], [800, 800]])
    off = []
    for stamp, (x, y) in zip(field["fit"].psf.at(*places.T), places, strict=True):
        ours, theirs = (
            adaptive_moments(Frame(image=image), [12.0], [12.0], 1.6)[0]
            for image in (stamp, psf_at(field["scene"], x, y))
        )
        off.append((ours["xx"] + ours["yy"]) / (theirs["xx"] + theirs["yy"]) - 1)
        assert (ours["xx"] - ours["yy"]) / 5 == pytest.approx((theirs["xx"] - theirs["yy"]) / 5, abs=0.01)
    assert abs(np.mean(off)) < 0.007


def test_stars_have_their_fluxes_and_places(field: dict[str, Any]) -> None:
    found = psf_photometry(field["frame"], field["fit"].psf, field["rows"]["x"], field["rows"]["y"]).fluxes
    truth = field["truth"][nearest(field, field["rows"])]
    bright = truth["star"] & (truth["mag"] < 21) & (truth["mag"] > 17.5)
    ratio = found["flux"][bright] / truth["flux"][bright]
    pull = (ratio / np.median(ratio) - 1) * truth["flux"][bright] / found["flux_error"][bright]
    assert bright.sum() > 20
    assert abs(np.median(ratio) - 1) < 0.02  # light beyond the stamp
    assert 1.4826 * np.median(np.abs(pull)) < 2
    assert 1.4826 * np.median(np.abs(found["x"] - truth["x"])[bright] / found["x_error"][bright]) < 1.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"side": 4}, "a PSF of 4 pixels"),
        ({"side": 129}, "a PSF of 129 pixels"),
        ({"order": 5}, "a PSF of 25 pixels, order 5, 1 samples a pixel"),
        ({"order": -1}, "a PSF of 25 pixels, order -1"),
        ({"sampling": 0}, "order 2, 0 samples a pixel"),
        ({"sampling": 5}, "order 2, 5 samples a pixel"),
        ({"star": np.ones(2, bool)}, "star and x have the lengths 2, 1"),
        ({"rounds": 0}, "0 rounds"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"star": [True], **changes}
    with pytest.raises(KernelArgumentError, match=words):
        fit_psf(Frame(image=np.ones((30, 30)), noise=1.0), [10.0], [10.0], **arguments)


def test_too_few_stars() -> None:
    frame = Frame(image=star_field(np.array([[30.0, 30.0]]), np.array([1e4])), noise=1.0)
    with pytest.raises(NoFitError, match="1 stars for a PSF of order 2, which needs 6"):
        fit_psf(frame, [30.0], [30.0], star=[True])
    shapes = adaptive_moments(frame, [30.0], [30.0], 1.6)
    with pytest.raises(NoFitError, match="0 of 1 sources are bright and clean enough"):
        select_stars(shapes, flux=[1.0], error=[1.0], planes=[0])
    with pytest.raises(KernelArgumentError, match="0 visits"):
        psf_photometry(frame, PSF, [30.0], [30.0], visits=0)
