"""Measurement: fluxes, positions and shapes equal NumPy's and sep's, and their errors are what noise does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sep
from hypothesis import given
from hypothesis import strategies as st
from support.pixels import images, masked_images, usable

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.frame import UNMEASURABLE, Frame
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes, axes_of, ellipse_fluxes, kron_fluxes
from qserv_py.pipelines.kernels.measurement.moments import adaptive_moments, windowed_positions
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.reference import measurement as reference
from qserv_py.pipelines.kernels.scene import Scene, psf_at

SUB_PIXELS = 12
ELLIPSES = st.tuples(
    st.floats(-3, 30), st.floats(-3, 30), st.floats(0.3, 9), st.floats(0.3, 9), st.floats(-4, 4, allow_subnormal=False)
)


def noise_of(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(10, 3, shape).astype(np.float32)


@given(ELLIPSES, st.integers(0, 2**32))
def test_an_ellipse_equals_its_sub_pixels(ellipse: tuple[float, float, float, float, float], seed: int) -> None:
    image = noise_of((22, 19), seed)
    (found,) = ellipse_fluxes(Frame(image=image, noise=2.0), *ellipse)
    everything = np.ones(image.shape, bool)
    flux, error, area = reference.ellipse_flux(image, np.full(image.shape, 4.0), everything, ellipse, side=SUB_PIXELS)
    edge = 4 * (ellipse[2] + ellipse[3] + 2) / SUB_PIXELS**1.5  # what sub-pixels can be wrong by along the border
    assert found["area"] == pytest.approx(area, abs=0.3 * edge)
    if not found["flags"] and area > 1:
        assert found["flux"] == pytest.approx(flux, abs=20 * edge)
        assert found["error"] == pytest.approx(error, rel=0.02 + edge / area)
    assert bool(found["flags"] & Flag.NO_DATA) == np.isnan(found["flux"])


@given(st.integers(1, 5), st.integers(0, 2**32))
def test_ellipses_equal_seps(count: int, seed: int) -> None:
    # Of no special numbers: where an ellipse just touches the border of a pixel, as half axis 0.5 in a pixel's middle,
    # sep's exact overlap is wrong by percents; sub-pixels agree with ours there.
    image = noise_of((60, 70), seed)
    random = np.random.default_rng(seed)
    x, y = random.uniform(11, 48, (2, count))  # at the border sep does not replace what is missing
    b, a = np.sort(random.uniform(0.3, 9, (2, count)), axis=0)
    theta = random.uniform(-np.pi / 2, np.pi / 2, count)
    ours = ellipse_fluxes(Frame(image=image, noise=1.5), x, y, a, b, theta)
    theirs, _, flags = sep.sum_ellipse(image, x, y, a, b, theta, 1.0, err=1.5, subpix=0)
    assert not flags.any()
    np.testing.assert_allclose(ours["flux"], theirs, rtol=2e-5)
    np.testing.assert_allclose(ours["area"], np.pi * a * b, rtol=1e-9)
    circles = aperture_fluxes(Frame(image=image), x, y, a)
    np.testing.assert_allclose(circles["flux"], sep.sum_circle(image, x, y, a, subpix=0)[0], rtol=2e-5)


@given(masked_images(most=40), ELLIPSES, st.booleans())
def test_what_stands_in_masked_pixels_does_not_matter(
    found: tuple[np.ndarray, np.ndarray | None],
    ellipse: tuple[float, float, float, float, float],
    with_variance: bool,
) -> None:
    image, mask = found
    image = np.where(np.abs(image) < 1e20, image, np.nan)  # 1e30 - 1e30: the order of a sum decides
    variance = np.where(image > 1000, np.nan, np.abs(image) + 1).astype(np.float32) if with_variance else None
    counts = usable(image, mask, UNMEASURABLE)
    if variance is not None:
        counts &= np.isfinite(variance)
    planes = (np.zeros(image.shape, np.int32) if mask is None else mask) & ~np.int32(Plane.INTRP)
    fluxes = []
    for spoilt in (np.nan, 1e9, -1e9):
        other = image.copy()
        other[(planes & UNMEASURABLE) != 0] = spoilt
        frame = Frame(image=other, mask=planes, variance=variance, noise=3.0)
        fluxes.append([ellipse_fluxes(frame, *ellipse)[0], *kron_fluxes(frame, *([value] for value in ellipse))])
    (flux, kron, _), *others = fluxes
    share = reference.overlap(image.shape, ellipse, side=8)
    if ((share > 0.2) & ~counts).any():
        assert flux["flags"] & Flag.MASKED
    if not ((share > 0.2) & counts).any():
        assert flux["area"] == pytest.approx(0, abs=0.2 * (share > 0).sum() + 0.2)
    assert np.isfinite(flux["flux"]) or flux["flags"] & Flag.NO_DATA
    assert np.isfinite(kron["flux"][0]) or kron["flags"][0] & Flag.NO_DATA
    for other_flux, other_kron, _ in others:
        np.testing.assert_equal([other_flux.tolist(), *other_kron.tolist()], [flux.tolist(), *kron.tolist()])


@given(st.floats(4, 14), st.floats(0.3, 3), st.integers(0, 2**32))
def test_krons_radius_equals_numpys(half: float, ratio: float, seed: int) -> None:
    image = noise_of((200, 210), seed)
    ellipse = (104.3, 98.6, half, min(14.0, half * ratio), 0.4)
    _, size = kron_fluxes(Frame(image=image), *([value] for value in ellipse))
    radius = reference.kron_radius(image, np.ones(image.shape, bool), ellipse, reach=6.0)
    assert size[0] == pytest.approx(max(2.5 * radius, 3.5), rel=1e-6)


def test_missing_light_is_that_of_the_opposite_side() -> None:
    row, column = np.indices((41, 41))
    tilted = 100.0 + 3 * (column - 20) - 2 * (row - 20) + 1000 * np.exp(-((column - 20) ** 2 + (row - 20) ** 2) / 8)
    whole = aperture_fluxes(Frame(image=tilted), [20.0], [20.0], 6.0)["flux"][0]
    round_one = tilted - 3 * (column - 20) + 2 * (row - 20)
    mask = np.zeros((41, 41), int)
    mask[:, 22] = Plane.BAD
    (flux,) = aperture_fluxes(Frame(image=round_one, mask=mask, noise=1.0), [20.0], [20.0], 6.0)
    assert flux["flux"] == pytest.approx(whole, rel=1e-9)
    assert flux["flags"] == Flag.MASKED
    assert flux["planes"] == Plane.BAD
    cut = round_one[:, 19:]
    (flux,) = aperture_fluxes(Frame(image=cut, noise=1.0), [1.0], [20.0], 6.0)
    assert flux["flux"] == pytest.approx(whole, rel=1e-9)
    assert flux["flags"] == Flag.EDGE
    (seen,) = aperture_fluxes(Frame(image=round_one, noise=1.0), [20.0], [20.0], 6.0)
    assert seen["error"] < flux["error"] < 2 * seen["error"]
    fill = np.full((41, 41), np.nan)
    fill[:, 22] = 7.0
    mask[:, 18] = Plane.BAD  # now the opposite side cannot be seen either
    (flux,) = aperture_fluxes(Frame(image=round_one, mask=mask, fill=fill), [20.0], [20.0], 6.0)
    lost = round_one.copy()
    lost[:, 22], lost[:, 18] = 7.0, 0.0
    assert flux["flux"] == pytest.approx(aperture_fluxes(Frame(image=lost), [20.0], [20.0], 6.0)["flux"][0], rel=1e-9)
    mask[:, 22] |= Plane.INTRP
    interpolated = aperture_fluxes(Frame(image=round_one, mask=mask), [20.0], [20.0], 6.0)["flux"][0]
    lost[:, 22] = round_one[:, 22]
    assert interpolated == pytest.approx(aperture_fluxes(Frame(image=lost), [20.0], [20.0], 6.0)["flux"][0], rel=1e-9)


def test_what_was_hardly_seen_has_no_flux() -> None:
    lost = aperture_fluxes(
        Frame(image=np.full((21, 21), 2.0)), [-2.0, 1e300, np.nan, 5, 5], [10.0, 5, 5, 5, np.inf], [4, 4, 4, 0, 4]
    )
    assert np.isnan(lost["flux"]).all()
    assert (lost["flags"] & Flag.NO_DATA).all()


def test_segments_of_others_do_not_count() -> None:
    image, segments = np.full((21, 21), 1.0), np.zeros((21, 21), int)
    image[8:13, 12:14] = 1000.0
    segments[8:13, 12:14] = 2
    frame = Frame(image=image, segments=segments)
    ellipse = ([10.0], [10.0], [4.0], [3.0], [0.3])
    assert ellipse_fluxes(frame, *ellipse, segment=[1])["flux"][0] == pytest.approx(np.pi * 12)
    assert ellipse_fluxes(frame, *ellipse, segment=[2])["flux"][0] > 5000
    assert ellipse_fluxes(frame, *ellipse)["flux"][0] > 5000


@given(images(most=40), st.floats(-2, 40), st.floats(-2, 40), st.floats(0.3, 5), st.booleans())
def test_moments_equal_numpys(image: np.ndarray, x: float, y: float, size: float, adaptive: bool) -> None:
    measure = adaptive_moments if adaptive else windowed_positions
    (ours,) = measure(Frame(image=image, noise=10.0), [x], [y], size)
    counts = np.isfinite(image)
    most = 400.0 if adaptive else 1e6
    theirs = reference.moments(image, counts, x, y, size, adaptive=adaptive, most=most, stray=3.0)
    settled = not ours["flags"] & (Flag.NO_DATA | Flag.NOT_CONVERGED)
    assert settled == np.isfinite(ours["x"])
    if not settled:
        return
    width = [4 * np.sqrt(ours[name]) if adaptive else 4 * size for name in ("xx", "yy")]
    inside = (
        width[0] < ours["x"] < image.shape[1] - 1 - width[0] and width[1] < ours["y"] < image.shape[0] - 1 - width[1]
    )
    if theirs is not None and inside and counts.all():  # near the end of the rounds rounding decides who settles
        np.testing.assert_allclose([ours["x"], ours["y"]], theirs[:2], atol=1e-4)
        np.testing.assert_allclose([ours["xx"], ours["yy"], ours["xy"]], theirs[2].ravel()[[0, 3, 1]], atol=1e-3)


def gaussian(x: float, y: float, xx: float, yy: float, xy: float, shape: tuple[int, int] = (61, 61)) -> np.ndarray:
    row, column = np.indices(shape)
    d = np.stack([column - x, row - y])
    inverse = np.linalg.inv([[xx, xy], [xy, yy]])
    return np.exp(-0.5 * np.einsum("iyx,ij,jyx->yx", d, inverse, d)) / (2 * np.pi) * np.sqrt(np.linalg.det(inverse))


def test_a_gaussian_is_found_again() -> None:
    frame = Frame(image=1e4 * gaussian(30.3, 28.8, 9.0, 4.0, 1.5))
    (found,) = adaptive_moments(frame, [31.0], [29.0], 1.5)
    wanted = {"x": 30.3, "y": 28.8, "xx": 9.0, "yy": 4.0, "xy": 1.5, "flux": 1e4}
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=2e-3), name
    (found,) = windowed_positions(frame, [31.0], [29.0], 2.0)
    np.testing.assert_allclose([found["x"], found["y"]], [30.3, 28.8], atol=2e-3)
    assert found["flux"] == pytest.approx(1e4, rel=2e-3)


def test_errors_are_what_noise_does() -> None:
    random = np.random.default_rng(7)
    source = 3e4 * gaussian(20.2, 19.9, 4.0, 5.0, 0.5, (41, 41))
    found: dict[str, list[Any]] = {"adaptive": [], "windowed": [], "aperture": []}
    for _ in range(400):
        image = random.poisson(source + 400) - 400 + random.normal(0, 5, source.shape)
        frame = Frame(image=image, noise=np.sqrt(425), gain=1.0)
        found["adaptive"].append(adaptive_moments(frame, [20.0], [20.0], 2.0)[0])
        found["windowed"].append(windowed_positions(frame, [20.0], [20.0], 2.0)[0])
        found["aperture"].append(aperture_fluxes(frame, [20.2], [19.9], 6.0)[0])
    for kind, names in (("adaptive", ("x", "y", "xx", "yy", "xy")), ("windowed", ("x", "y"))):
        rows = np.array(found[kind])
        for name in names:
            assert rows[name].std() == pytest.approx(rows[f"{name}_error"].mean(), rel=0.15), (kind, name)
    flux = np.array(found["aperture"])
    assert flux["flux"].std() == pytest.approx(flux["error"].mean(), rel=0.1)


def test_a_psf_has_the_shape_that_it_was_given() -> None:
    scene = Scene(shape=(100, 100), psf_variation=0.0)
    stamp = psf_at(scene, 50, 50, size=61)
    (found,) = adaptive_moments(Frame(image=stamp), [30.0], [30.0], 1.5)
    np.testing.assert_allclose([found["x"], found["y"]], 30, atol=1e-4)
    assert found["xx"] == pytest.approx(found["yy"], rel=1e-4)
    assert found["xy"] == pytest.approx(0, abs=1e-4)
    assert np.sqrt(found["xx"] * 8 * np.log(2)) == pytest.approx(3.75, rel=0.1)


def test_axes() -> None:
    a, b, theta = axes_of([4.0, 1.0, 0.0], [1.0, 4.0, 0.0], [0.0, 0.0, 0.0])
    np.testing.assert_allclose(a, [2, 2, np.sqrt(1 / 12)])
    np.testing.assert_allclose(b, [1, 1, np.sqrt(1 / 12)])
    np.testing.assert_allclose(theta[:2], [0, np.pi / 2])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"noise": -1.0}, "a noise of -1"),
        ({"gain": float("inf")}, "a gain of inf"),
        ({"mask": np.zeros((2, 2), int)}, r"mask has the shape \(2, 2\), the image \(9, 9\)"),
        ({"variance": np.zeros((9, 8))}, r"variance has the shape \(9, 8\)"),
        ({"segments": np.zeros((9, 9))}, "segments has the type float64"),
    ],
)
def test_wrong_frames_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(KernelArgumentError, match=words):
        aperture_fluxes(Frame(**{"image": np.zeros((9, 9)), **changes}), [4.0], [4.0], 2.0)


def test_wrong_vectors_are_refused() -> None:
    frame = Frame(image=np.zeros((9, 9)))
    with pytest.raises(KernelArgumentError, match="x, y, a, b, theta have the lengths 2, 1, 1, 1, 1"):
        ellipse_fluxes(frame, [1.0, 2.0], [1.0], [1.0], [1.0], [1.0])
    with pytest.raises(KernelArgumentError, match="numbers are needed"):
        aperture_fluxes(frame, ["one"], [1.0], 1.0)
    with pytest.raises(KernelArgumentError, match="segment and x have the lengths 2, 1"):
        ellipse_fluxes(frame, [1.0], [1.0], [1.0], [1.0], [1.0], segment=[1, 2])
    with pytest.raises(KernelArgumentError, match="a reach of 0"):
        kron_fluxes(frame, [1.0], [1.0], [1.0], [1.0], [1.0], reach=0.0)
    with pytest.raises(KernelArgumentError, match="windows to nan"):
        adaptive_moments(frame, [1.0], [1.0], 1.0, most=float("nan"))
    assert len(aperture_fluxes(frame, [], [], 1.0)) == 0
