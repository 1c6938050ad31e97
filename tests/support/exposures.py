"""Exposures made of random bits, and what it means that two are the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.images.exposure import Exposure, HeaderValue
from qserv_py.pipelines.kernels.psf import Psf, samples_of, terms_of
from qserv_py.pipelines.kernels.wcs import Wcs


def random_wcs(random: np.random.Generator, *, order: int = 1) -> Wcs:
    """A WCS of 0.2 arcseconds a pixel, turned by any angle."""
    angle, scale = random.uniform(0, 2 * np.pi), 0.2 / 3600
    cd = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = order + 1
    powers = np.add.outer(np.arange(size), np.arange(size))
    shape = np.where((powers > 1) & (powers <= order), 10.0 ** (-3.5 * np.maximum(powers - 1, 1)), 0.0)
    a, b = random.normal(size=(2, size, size)) * shape
    ra0, dec0, x0, y0 = random.uniform(0, 360), random.uniform(-85, 85), *random.uniform(-2000, 2000, 2)
    distortion = {"order": order, "a": a, "b": b} if order > 1 else {}
    return Wcs(ra0=ra0, dec0=dec0, x0=x0, y0=y0, cd=cd, **distortion)


def random_psf(random: np.random.Generator, *, order: int = 1, side: int = 7, sampling: int = 1) -> Psf:
    """A PSF of noise."""
    x0, y0, scale_x, scale_y = random.uniform(1, 4000, 4)
    samples = side if sampling == 1 else samples_of(side, sampling)
    coefficients = random.normal(size=(terms_of(order), samples, samples))
    return Psf(
        coefficients=coefficients, order=order, sampling=sampling, x0=x0, y0=y0, scale_x=scale_x, scale_y=scale_y
    )


def random_exposure(
    seed: int,
    *,
    shape: tuple[int, int] = (23, 31),
    header: dict[str, HeaderValue] | None = None,
    sip_order: int = 3,
    whole: bool = True,
) -> Exposure:
    """An exposure whose planes are any bits: NaN of all kinds, infinities, signed zeros, negative masks."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2**32, (3, *shape), dtype=np.uint32)
    return Exposure(
        image=bits[0].view(np.float32),
        variance=bits[1].view(np.float32),
        mask=bits[2].view(np.int32),
        header={"OBJECT": "M 31", "EXPTIME": 30.1} if header is None else header,
        wcs=random_wcs(random, order=sip_order) if whole else None,
        psf=random_psf(random) if whole else None,
        njy_per_unit=float(random.uniform(0.1, 3)) if whole else None,
    )


def same_bits(left: npt.NDArray[np.generic], right: npt.NDArray[np.generic]) -> bool:
    """Whether two arrays are of one type, in this machine's order of bytes, and hold the same bits."""
    native = left.dtype == right.dtype and left.dtype.isnative and right.dtype.isnative
    return native and left.shape == right.shape and left.tobytes() == right.tobytes()


def assert_same(left: Exposure, right: Exposure) -> None:
    """Two exposures are equal to the last bit; pixels of WCS and PSF to the rounding of FITS's count from 1."""
    for plane in ("image", "variance", "mask"):
        assert same_bits(getattr(left, plane), getattr(right, plane)), plane
    assert dict(left.header) == dict(right.header)
    assert left.njy_per_unit == right.njy_per_unit
    assert_same_wcs(left.wcs, right.wcs)
    assert_same_psf(left.psf, right.psf)


def assert_same_wcs(left: Wcs | None, right: Wcs | None) -> None:
    """Two WCS are equal."""
    assert (left is None) == (right is None)
    if left is None or right is None:
        return
    assert (left.ra0, left.dec0, left.order) == (right.ra0, right.dec0, right.order)
    np.testing.assert_array_equal(left.cd, right.cd)
    np.testing.assert_allclose([left.x0, left.y0], [right.x0, right.y0], rtol=0, atol=1e-11)
    for ours, theirs in ((left.a, right.a), (left.b, right.b)):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs)


def assert_same_psf(left: Psf | None, right: Psf | None) -> None:
    """Two PSFs are equal."""
    assert (left is None) == (right is None)
    if left is None or right is None:
        return
    assert (left.order, left.sampling, left.x0, left.y0, left.scale_x, left.scale_y) == (
        right.order,
        right.sampling,
        right.x0,
        right.y0,
        right.scale_x,
        right.scale_y,
    )
    assert same_bits(left.coefficients, right.coefficients)
