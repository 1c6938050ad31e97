"""Cosmic rays: the lazy kernel equals the whole method, finds rays and leaves stars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pixels import masked_images, usable

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels.cosmic_rays import find_cosmic_rays
from qserv_py.pipelines.kernels.frame import UNMEASURABLE, Frame
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.reference import cosmic_rays as reference
from qserv_py.pipelines.kernels.scene import Scene, simulate


@given(
    masked_images(most=30), st.sampled_from([0.0, 1.0, 3.0]), st.booleans(), st.integers(1, 4), st.integers(0, 2**32)
)
def test_it_equals_the_whole_method(
    found: tuple[np.ndarray, np.ndarray | None], gain: float, with_variance: bool, rounds: int, seed: int
) -> None:
    image, mask = found
    image = np.where(np.abs(image) < 1e20, image, np.nan).astype(np.float32)
    random = np.random.default_rng(seed)
    image = np.where(random.random(image.shape) < 0.03, image + 3000, image)
    variance = random.uniform(50, 200, image.shape).astype(np.float32) if with_variance else None
    counts = usable(image, mask, int(UNMEASURABLE | Plane.SAT))
    frame = Frame(image=image, mask=mask, noise=10.0, gain=gain, variance=variance)
    ours = find_cosmic_rays(frame, rounds=rounds)
    hit, clean = reference.find(
        image, counts, noise=10.0, gain=gain, variance=variance, sigma=5.5, share=0.3, contrast=5.0, rounds=rounds
    )
    np.testing.assert_array_equal(ours.hit, hit)
    np.testing.assert_array_equal(ours.clean, clean)


def test_rays_are_found_and_stars_are_left() -> None:
    scene = Scene(shape=(300, 400), n_stars=30, n_galaxies=150, seed=4)
    drawn = simulate(scene)
    random = np.random.default_rng(8)
    image, hit = drawn.image - drawn.sky, np.zeros(scene.shape, bool)
    for _ in range(60):  # tracks one pixel wide, up to 12 long
        x, y, angle = random.uniform(10, 390), random.uniform(10, 290), random.uniform(0, np.pi)
        for step in range(random.integers(1, 12)):
            place = round(y + step * np.sin(angle)), round(x + step * np.cos(angle))
            if 0 <= place[0] < 300 and 0 <= place[1] < 400 and not hit[place]:
                hit[place] = True
                image[place] += random.uniform(500, 5000)
    found = find_cosmic_rays(Frame(image=image, noise=np.sqrt(1064), gain=1.0))
    assert found.hit[hit].mean() > 0.95
    assert (found.hit & ~hit).sum() < 0.25 * hit.sum()  # borders of tracks
    bright = drawn.truth["star"] & (drawn.truth["mag"] < 22)
    peaks = np.rint([drawn.truth["y"][bright], drawn.truth["x"][bright]]).astype(int)
    free = ~hit[tuple(np.clip(peaks, 0, [[299], [399]]))]
    assert not found.hit[tuple(np.clip(peaks, 0, [[299], [399]])[:, free])].any()
    truth = drawn.image - drawn.sky
    assert np.abs((found.clean - truth)[hit]).mean() < 0.1 * np.abs((image - truth)[hit]).mean()


def test_saturated_and_masked_pixels_are_left() -> None:
    image = np.zeros((15, 15))
    image[7, 7] = image[3, 3] = image[11, 11] = 1e4
    mask = np.zeros((15, 15), int)
    mask[7, 7], mask[3, 3] = Plane.SAT, Plane.BAD
    found = find_cosmic_rays(Frame(image=image, noise=1.0, mask=mask))
    assert np.argwhere(found.hit).tolist() == [[11, 11]]
    assert found.clean[11, 11] == 0


@pytest.mark.parametrize("unusable", ["mask", "nan", "variance"])
def test_a_ray_beside_an_unusable_pixel(unusable: str) -> None:
    image, mask, variance = np.zeros((15, 15)), np.zeros((15, 15), int), np.full((15, 15), 100.0)
    image[7, 7] = 85.0  # found only when the bright pixel beside it does not count
    image[7, 8] = np.nan if unusable == "nan" else 1e4
    mask[7, 8] = Plane.BAD if unusable == "mask" else 0
    variance[7, 8] = -1.0 if unusable == "variance" else 100.0
    frame = Frame(image=image, mask=mask, noise=10.0, variance=variance if unusable == "variance" else None)
    assert np.argwhere(find_cosmic_rays(frame).hit).tolist() == [[7, 7]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sigma": 0.0}, "0 sigmas"),
        ({"share": 2.0}, "2 of them for neighbours"),
        ({"contrast": float("nan")}, "contrast nan"),
        ({"rounds": 0}, "0 rounds"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(KernelArgumentError, match=words):
        find_cosmic_rays(Frame(image=np.zeros((5, 5)), noise=1.0), **changes)


def test_noise_is_needed() -> None:
    with pytest.raises(KernelArgumentError, match="a noise of 0"):
        find_cosmic_rays(Frame(image=np.zeros((5, 5))))
