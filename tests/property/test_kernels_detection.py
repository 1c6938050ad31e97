"""Detection: the filter, the footprints and the deblending equal the slow references; known scenes are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.galsim_fields import TRUTH, draw, rows_near
from support.pixels import masked_images, shapes, usable

from qserv_py.errors import KernelArgumentError, LimitError
from qserv_py.pipelines.kernels.detection import (
    UNDETECTABLE,
    Flag,
    detect,
    gaussian_kernel,
    separable_terms,
    significance,
)
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.reference import detection as reference

POINT = np.ones((1, 1))


@given(
    masked_images(most=50),
    st.sampled_from([1, 3, 5, 9]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_the_filter_equals_numpys(
    found: tuple[np.ndarray, np.ndarray | None], side: int, noise_image: bool, seed: int
) -> None:
    image, mask = found
    image = np.where(np.abs(image) > 1e20, 0, image)  # beyond, float32 overflows where float64 does not
    random = np.random.default_rng(seed)
    kernel = random.normal(1, 0.3, (side, side)).astype(np.float32)
    noise: Any = 10.0
    if noise_image:
        noise = random.choice([0.0, -1.0, np.nan, np.inf, 1.0, 20.0], image.shape).astype(np.float32)
    ours = significance(image, noise=noise, kernel=kernel, mask=mask, tolerance=0.0)
    rows, columns = separable_terms(kernel, tolerance=0.0)
    terms = np.einsum("tj,ti->ji", rows.astype(float), columns.astype(float))
    seen = usable(image, mask, UNDETECTABLE)
    if mask is not None:
        seen |= np.isfinite(image) & ((mask & Plane.INTRP) != 0)
    theirs = reference.significance(image, seen, noise, terms)
    scale = np.abs(np.where(np.isfinite(image), image, 0)).max()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * scale)
    assert np.isfinite(ours).all()


@given(st.data(), shapes(most=24), st.integers(0, 2**32))
def test_footprints_and_deblending_equal_the_slow_ones(data: st.DataObject, shape: tuple[int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    image = random.normal(0, 1, shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for _ in range(data.draw(st.integers(0, 6))):
        width = random.uniform(0.7, 3)
        at = random.uniform(0, shape[0]), random.uniform(0, shape[1])
        image += 10 ** random.uniform(0.5, 3) * np.exp(-((x - at[1]) ** 2 + (y - at[0]) ** 2) / (2 * width**2))
    if data.draw(st.booleans()):
        image = np.round(image)  # plateaus and ties
    options = {
        "threshold": data.draw(st.sampled_from([0.5, 2.0, 5.0])),
        "min_pixels": data.draw(st.integers(1, 5)),
        "levels": data.draw(st.sampled_from([1, 2, 8, 32])),
        "contrast": data.draw(st.sampled_from([0.0, 0.005, 0.1, 1.0])),
    }
    found = detect(image, noise=1.0, kernel=POINT, **options)
    segments, counts = reference.detect(found.significance, **options)
    np.testing.assert_array_equal(found.segments, segments)
    assert len(found.sources) == sum(counts)
    assert np.bincount(found.sources["footprint"], minlength=len(counts)).tolist() == counts
    assert (found.sources["siblings"] == np.repeat(np.array(counts, int) - 1, counts)).all()
    for number, source in enumerate(found.sources, 1):
        inside = segments == number
        weight = found.significance[inside].astype(float)
        assert source["pixels"] == inside.sum()
        assert source["peak"] == weight.max()
        assert found.significance[source["peak_y"], source["peak_x"]] == weight.max()
        assert (source["x_min"], source["x_max"]) == (x[inside].min(), x[inside].max())
        assert (source["y_min"], source["y_max"]) == (y[inside].min(), y[inside].max())
        mean_x, mean_y = np.average(x[inside], weights=weight), np.average(y[inside], weights=weight)
        np.testing.assert_allclose((source["x"], source["y"]), (mean_x, mean_y), atol=1e-9)
        moments = [
            np.average((x[inside] - mean_x) ** 2, weights=weight),
            np.average((y[inside] - mean_y) ** 2, weights=weight),
            np.average((x[inside] - mean_x) * (y[inside] - mean_y), weights=weight),
        ]
        np.testing.assert_allclose([source["xx"], source["yy"], source["xy"]], moments, atol=1e-9)
        np.testing.assert_allclose(source["flux"], image[inside].sum(), rtol=1e-5)


@given(masked_images(most=60))
def test_any_image_is_survived(found: tuple[np.ndarray, np.ndarray | None]) -> None:
    image, mask = found
    answer = detect(image, mask=mask, noise=10.0, kernel=gaussian_kernel(2.5), threshold=3.0)
    assert np.unique(answer.segments[answer.segments > 0]).tolist() == list(range(1, len(answer.sources) + 1))
    for number, source in enumerate(answer.sources, 1):
        inside = answer.segments == number
        assert source["planes"] == (0 if mask is None else np.bitwise_or.reduce(mask[inside]))
        assert source["pixels"] == inside.sum()
        assert source["siblings"] == np.sum(answer.sources["footprint"] == source["footprint"]) - 1
    assert np.isfinite(answer.sources["x"]).all()


def two_stars(apart: float, ratio: float = 1.0) -> np.ndarray:
    y, x = np.mgrid[:41, :61]
    return sum(  # type: ignore[no-any-return]
        flux * np.exp(-((x - at) ** 2 + (y - 20) ** 2) / (2 * 1.6**2))
        for flux, at in ((1000.0, 30 - apart / 2), (1000.0 * ratio, 30 + apart / 2))
    )


def test_two_stars_part_when_they_can() -> None:
    for apart, expected in ((2.0, 1), (8.0, 2)):
        found = detect(two_stars(apart), noise=1.0, kernel=gaussian_kernel(3.8))
        assert len(found.sources) == expected
        assert len(np.unique(found.sources["footprint"])) == 1
        assert bool(found.sources["flags"][0] & Flag.DEBLENDED) is (expected == 2)
    np.testing.assert_allclose(sorted(found.sources["x"]), [26, 34], atol=0.4)
    assert len(detect(two_stars(8.0, 0.001), noise=1.0, kernel=gaussian_kernel(3.8)).sources) == 1


def test_flags() -> None:
    image = np.zeros((20, 20))
    image[0:3, 5:8] = image[10:13, 10:13] = 100
    mask = np.zeros((20, 20), int)
    mask[11, 11] = Plane.SAT | Plane.SUSPECT
    edge, middle = detect(image, noise=1.0, kernel=POINT, mask=mask).sources
    assert edge["flags"] == Flag.EDGE
    assert edge["planes"] == 0
    assert middle["flags"] == 0
    assert middle["planes"] == Plane.SAT | Plane.SUSPECT
    mask[11, 11] |= Plane.CR
    assert detect(image, noise=1.0, kernel=POINT, mask=mask).sources["pixels"].tolist() == [9, 8]
    mask[11, 11] |= Plane.INTRP
    edge, middle = detect(image, noise=1.0, kernel=POINT, mask=mask).sources
    assert middle["pixels"] == 9
    assert middle["planes"] == Plane.SAT | Plane.SUSPECT | Plane.CR | Plane.INTRP


def test_a_huge_footprint_is_divided_by_its_peaks() -> None:
    image = np.full((1100, 1000), 100.0)
    image[5, 5] = 100.5  # does not stand out
    (source,) = detect(image, noise=1.0, kernel=POINT).sources
    assert source["pixels"] == image.size
    assert source["flags"] == Flag.EDGE | Flag.TOO_LARGE
    image[5, 5] = image[900, 900] = 1e6
    found = detect(image, noise=1.0, kernel=POINT)
    assert found.sources["peak_x"].tolist() == [5, 900]
    assert found.sources["pixels"].sum() == image.size
    assert (found.sources["flags"] == Flag.EDGE | Flag.CROWD | Flag.DEBLENDED).all()


def test_a_crowd_is_divided_by_its_peaks() -> None:
    random = np.random.default_rng(3)
    y, x = np.mgrid[5:195:10, 5:195:10]  # stars of GalSim, four standard deviations apart, on a pedestal
    truth = np.zeros(x.size, TRUTH)
    truth["x"], truth["y"] = x.ravel() + random.uniform(-1, 1, x.size), y.ravel() + random.uniform(-1, 1, x.size)
    truth["flux"], truth["star"] = 10 ** random.uniform(4, 5.5, x.size), True
    light = draw(truth, shape=(200, 200)).light + 2000
    found = detect(light + random.normal(0, 10, light.shape), noise=10.0, kernel=gaussian_kernel(3.75))
    near = [len(rows) for rows in rows_near(found.sources, truth, within=2.5)]
    assert np.mean(np.array(near) == 1) > 0.9
    assert len(found.sources) < 1.05 * x.size
    assert (found.sources["flags"] & Flag.CROWD).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"noise": 0.0}, "a noise of 0"),
        ({"noise": float("nan")}, "a noise of nan"),
        ({"noise": np.ones((2, 2))}, r"noise has the shape \(2, 2\), the image \(8, 8\)"),
        ({"kernel": np.ones((3, 5))}, r"a kernel of shape \(3, 5\)"),
        ({"kernel": np.ones((4, 4))}, r"a kernel of shape \(4, 4\)"),
        ({"kernel": np.zeros((3, 3))}, "the kernel is empty"),
        ({"kernel": np.full((3, 3), np.nan)}, "not finite"),
        ({"threshold": 0.0}, "a threshold of 0"),
        ({"levels": 0}, "0 levels"),
        ({"levels": 129}, "129 levels"),
        ({"min_pixels": 0}, "0 pixels at least"),
        ({"contrast": -1.0}, "contrast -1"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"noise": 1.0, "kernel": POINT, **changes}
    with pytest.raises(KernelArgumentError, match=words):
        detect(np.zeros((8, 8)), **arguments)


def test_too_many_sources() -> None:
    image = np.zeros((20, 20))
    image[::2, ::2] = 100
    with pytest.raises(LimitError, match="more than 99 sources above the threshold"):
        detect(image, noise=1.0, kernel=POINT, min_pixels=1, max_sources=99)
    assert len(detect(image, noise=1.0, kernel=POINT, min_pixels=1, max_sources=100).sources) == 100


@pytest.mark.parametrize("fwhm", [0, -1, float("nan"), 41])
def test_a_kernel_of_no_width_is_refused(fwhm: float) -> None:
    with pytest.raises(KernelArgumentError, match="0 to 40"):
        gaussian_kernel(fwhm)
