"""Background: the mesh and the spline equal NumPy's on any image, and find the sky under sources."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.pixels import masked_images, usable

from qserv_py.errors import KernelArgumentError, NoFitError
from qserv_py.pipelines.kernels.background import UNUSABLE, Background, background
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.reference import background as reference
from qserv_py.pipelines.kernels.scene import Scene, simulate


@given(masked_images(most=150), st.integers(1, 80), st.sampled_from([0.0, 0.3, 1.0]))
@example((np.full((64, 64), 5, np.float32), None), 16, 0.3)
@example((np.array([[0, 1e-40, 0, 0]], np.float32), None), 2, 0.0)
@example((np.array([[3e38, -3e38, 1, 2]], np.float32), None), 4, 0.0)
def test_cells_equal_numpys(found: tuple[np.ndarray, np.ndarray | None], mesh: int, min_fraction: float) -> None:
    image, mask = found
    good = usable(image, mask, UNUSABLE)
    cells = tuple(max(1, round(size / mesh)) for size in image.shape)
    assume(np.prod(cells) < 1000)
    with np.errstate(all="ignore"):
        level, noise = reference.cell_levels(image, good, cells, min_fraction=min_fraction)
    measured = np.isfinite(level)
    if not measured.any():
        with pytest.raises(NoFitError, match="no background to find"):
            background(image, mask, mesh=mesh, smooth=1, min_fraction=min_fraction)
        return
    ours = background(image, mask, mesh=mesh, smooth=1, min_fraction=min_fraction)
    np.testing.assert_array_equal(ours.measured, measured)
    np.testing.assert_allclose(ours.level[measured], level[measured], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours.noise[measured], noise[measured], rtol=1e-6, atol=1e-6)
    assert np.isfinite(ours.level).all()


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(0, 60), st.integers(0, 60)),
    st.integers(0, 2**32),
)
def test_the_spline_equals_a_dense_solution(cells: tuple[int, int], more: tuple[int, int], seed: int) -> None:
    mesh = np.random.default_rng(seed).normal(100, 10, cells)
    shape = (cells[0] + more[0], cells[1] + more[1])
    sky = Background(level=mesh, noise=np.abs(mesh), measured=np.ones(cells, bool), shape=shape)
    np.testing.assert_allclose(sky.level_image(), reference.spline(mesh, shape), rtol=2e-5, atol=2e-4)
    np.testing.assert_array_equal(sky.subtract_from(sky.level_image()), 0)
    assert (sky.noise_image() >= np.abs(mesh).min().astype(np.float32)).all()


def test_the_sky_under_sources() -> None:
    drawn = simulate(Scene(shape=(512, 640), n_stars=50, n_galaxies=330, sky_gradient=0.2))
    found = background(drawn.image)
    off = found.level_image() - drawn.sky
    assert abs(off.mean()) < 1.5  # faint sources stay in: 5 % of the noise
    assert off.std() < 1.5
    assert found.mean_noise == pytest.approx(np.sqrt(1000 + 64), rel=0.05)


def test_a_masked_corner_is_filled() -> None:
    random = np.random.default_rng(1)
    image = random.normal(100, 5, (256, 256)).astype(np.float32)
    image[:128, :128] = 1e4
    mask = np.where(image > 1e3, Plane.SAT, 0)
    found = background(image, mask)
    assert found.measured.sum() == 12
    assert np.abs(found.level_image() - 100).max() < 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mesh": 0}, "a mesh of 0 pixels"),
        ({"smooth": 2}, "smoothed over 2 cells"),
        ({"min_fraction": 1.5}, "a fraction of 1.5"),
        ({"mask": np.zeros((2, 3), int)}, r"mask has the shape \(2, 3\), the image \(8, 8\)"),
        ({"mask": np.full((8, 8), 2**40)}, "do not fit int32"),
        ({"image": np.zeros((0, 3))}, r"image has the shape \(0, 3\)"),
        ({"image": np.array([["a"]])}, "numbers are needed"),
        ({"image": np.full((8, 8), np.nan)}, "no background to find"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"image": np.zeros((8, 8)), **changes}
    with pytest.raises((KernelArgumentError, NoFitError), match=words):
        background(arguments.pop("image"), arguments.pop("mask", None), **arguments)


def test_another_shape_is_refused() -> None:
    with pytest.raises(KernelArgumentError, match=r"image has the shape \(3, 3\), the background \(8, 8\)"):
        background(np.zeros((8, 8))).subtract_from(np.zeros((3, 3)))
