"""Hypothesis strategies for images that kernels must survive: odd shapes, blank, flat, infinite, saturated, masked."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 65535.0, -1e30, 1e30, 1e-40)


@st.composite
def shapes(draw: st.DrawFn, *, most: int = 70) -> tuple[int, int]:
    """Rows and columns, often 1 x 1 or 1 x N."""
    size = st.one_of(st.just(1), st.integers(1, 9), st.integers(1, most))
    return draw(size), draw(size)


@st.composite
def images(draw: st.DrawFn, *, most: int = 70) -> np.ndarray:
    """A float32 image: noise on a level with sources, or one value, with a sprinkling of odd pixels."""
    shape = draw(shapes(most=most))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["sky", "sky", "sky", "blank", "nan", "counts"]))
    if kind == "blank":
        image = np.full(shape, draw(st.sampled_from([0.0, -7.0, 1e6])))
    elif kind == "nan":
        image = np.full(shape, np.nan)
    elif kind == "counts":
        image = random.poisson(0.3, shape).astype(float)
    else:
        image = random.normal(draw(st.sampled_from([0.0, 1000.0])), 10.0, shape)
        y, x = np.mgrid[: shape[0], : shape[1]]
        for _ in range(draw(st.integers(0, 4))):
            at_y, at_x, width = random.uniform(0, shape[0]), random.uniform(0, shape[1]), random.uniform(0.5, 4)
            image += random.choice([100, 1e3, 1e5]) * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * width**2))
        if draw(st.booleans()):
            image = np.minimum(image, 2000.0)
    odd = random.random(shape) < draw(st.sampled_from([0.0, 0.0, 0.02, 0.5]))
    image[odd] = random.choice(ODD, odd.sum())
    return image.astype(np.float32)


@st.composite
def masks(draw: st.DrawFn, image: np.ndarray) -> np.ndarray | None:
    """No mask, or planes at random: few, many or all."""
    share = draw(st.sampled_from([None, 0.0, 0.05, 0.6, 1.0]))
    if share is None:
        return None
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    planes = random.choice([1, 2, 8, 64, 256, 511], image.shape)
    return np.where(random.random(image.shape) < share, planes, 0).astype(np.int32)


@st.composite
def masked_images(draw: st.DrawFn, *, most: int = 70) -> tuple[np.ndarray, np.ndarray | None]:
    """An image with its mask."""
    image = draw(images(most=most))
    return image, draw(masks(image))


def usable(image: np.ndarray, mask: np.ndarray | None, bad: int) -> np.ndarray:
    """Which pixels a kernel may use."""
    finite = np.isfinite(image)
    return finite if mask is None else finite & ((mask & bad) == 0)
