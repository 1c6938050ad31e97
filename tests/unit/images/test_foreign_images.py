"""Images as others' programs give them: masked arrays, byte orders, scaled integers, blank pixels, wrong noise."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from support.galsim_fields import draw, exposed, grid_of_stars

from qserv_py.errors import KernelArgumentError, LimitError
from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels.cosmic_rays import find_cosmic_rays
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes, ellipse_fluxes
from qserv_py.pipelines.kernels.measurement.psf_photometry import psf_photometry
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.psf import Psf
from qserv_py.pipelines.single_frame.calibrate_image import Options, measure_image

SHAPE = (300, 300)
STEP = 50


@pytest.fixture(scope="module")
def plain() -> Exposure:
    random = np.random.default_rng(41)
    exposure = exposed(draw(grid_of_stars(random, shape=SHAPE, step=STEP, bright=18, faint=21), shape=SHAPE), random)
    return Exposure(image=np.rint(exposure.image), variance=exposure.variance, mask=exposure.mask)


@pytest.fixture(scope="module")
def expected(plain: Exposure) -> Any:
    return measure_image(plain, Options()).table


def assert_same(image: Any, variance: Any, mask: Any, expected: Any, *, at: Any = slice(None)) -> Any:
    table = measure_image(Exposure(image=image, variance=variance, mask=mask), Options()).table
    assert len(table) == len(expected)
    mine, theirs = (np.lexsort([rows["x"] // STEP, rows["y"] // STEP]) for rows in (table, expected))
    for name in ("x", "psf_flux", "ap12_flux"):
        np.testing.assert_allclose(table[name][mine][at], expected[name][theirs][at], rtol=0.01, err_msg=name)
    return table


@pytest.mark.parametrize("kind", [">f4", ">f8", "<f8", ">i4", "i8", "u2", "F"])
def test_types_and_byte_orders(plain: Exposure, expected: Any, kind: str) -> None:
    if kind == "F":
        planes = [np.asfortranarray(plane) for plane in (plain.image, plain.variance, plain.mask)]
    else:
        planes = [plain.image.astype(kind), plain.variance.astype(">f8"), plain.mask.astype(">i8")]
    assert_same(*planes, expected)


def test_masked_arrays_and_booleans(plain: Exposure, expected: Any) -> None:
    hole = np.zeros(SHAPE, bool)
    hole[:, 60] = True  # beside the stars
    spoilt = np.where(hole, 60000, plain.image)
    order = np.lexsort([expected["x"] // STEP, expected["y"] // STEP])
    near = np.abs(expected["x"][order] - 60) > 20
    for image, mask in (
        (np.ma.MaskedArray(spoilt.astype("u2"), hole), plain.mask),
        (np.ma.MaskedArray(spoilt, hole), plain.mask),
        (spoilt, hole),
        (spoilt.astype(np.float32), hole.astype("u1")),
    ):
        exposure = Exposure(image=image, variance=plain.variance, mask=mask)
        table = measure_image(exposure, Options())
        assert (table.image.mask[hole] & int(Plane.INTRP)).all()
        assert_same(image, plain.variance, mask, expected, at=near)
    with pytest.raises(KernelArgumentError, match="mask has masked elements"):
        Exposure(image=plain.image, variance=plain.variance, mask=np.ma.MaskedArray(plain.mask, hole))


def test_what_astropy_reads(plain: Exposure, expected: Any, tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(plain.image.astype(np.float64))
    hdu.scale("int16", bscale=0.5, bzero=16384.0)
    hdu.header["BLANK"] = -32768
    hdu.data[5, 5:9] = -32768
    hdu.writeto(tmp_path / "scaled.fits")
    with fits.open(tmp_path / "scaled.fits") as units:
        image = units[0].data
        assert np.isnan(image[5, 5:9]).all()
        table = assert_same(image, plain.variance, plain.mask, expected)
    assert len(table)
    fits.writeto(tmp_path / "big.fits", plain.image)
    with fits.open(tmp_path / "big.fits") as units:
        assert not units[0].data.dtype.isnative
        assert_same(units[0].data, plain.variance, plain.mask, expected)


@pytest.mark.parametrize("way", ["RICE_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"])
def test_compressed_extensions(plain: Exposure, expected: Any, tmp_path: Path, way: str) -> None:
    squeezed = fits.CompImageHDU(plain.image.astype(np.int16), name="SCI", compression_type=way)
    fits.HDUList([fits.PrimaryHDU(), squeezed]).writeto(tmp_path / "squeezed.fits.fz")
    with fits.open(tmp_path / "squeezed.fits.fz") as units:
        assert_same(units["SCI"].data, plain.variance, plain.mask, expected)


def test_floats_with_a_border_of_nan_compressed_with_dither(plain: Exposure, expected: Any, tmp_path: Path) -> None:
    image = np.pad(plain.image.astype(np.float32), 7, constant_values=np.nan)
    squeezed = fits.CompImageHDU(image, compression_type="RICE_1", quantize_method=2, quantize_level=16)
    fits.HDUList([fits.PrimaryHDU(), squeezed]).writeto(tmp_path / "bordered.fits")
    with fits.open(tmp_path / "bordered.fits") as units:
        read = units[1].data
    variance = np.pad(plain.variance, 7, constant_values=np.nan)
    table = measure_image(Exposure(image=read, variance=variance, mask=np.zeros(read.shape, int)), Options()).table
    assert len(table) == len(expected)
    mine, theirs = (
        np.lexsort([(rows["x"] - by) // STEP, (rows["y"] - by) // STEP]) for rows, by in ((table, 7), (expected, 0))
    )
    np.testing.assert_allclose(table["x"][mine] - 7, expected["x"][theirs], atol=0.05)
    np.testing.assert_allclose(table["ap12_flux"][mine], expected["ap12_flux"][theirs], rtol=0.03)


@pytest.mark.parametrize(
    ("planes", "words"),
    [
        ({"image": np.zeros((3, 3), complex)}, "image has the type complex128"),
        ({"image": np.zeros(9)}, r"image has the shape \(9,\)"),
        ({"mask": np.zeros((2, 3), np.int32)}, r"mask has the shape \(2, 3\), the image \(3, 3\)"),
        ({"mask": np.full((3, 3), 2**40)}, "mask has the type int64 or values that do not fit"),
    ],
)
def test_what_is_no_image_is_refused(planes: dict[str, Any], words: str) -> None:
    good = {"image": np.zeros((3, 3)), "variance": np.ones((3, 3)), "mask": np.zeros((3, 3), np.int32)}
    with pytest.raises(KernelArgumentError, match=words):
        Exposure(**(good | planes))


def test_a_psf_of_any_type_is_the_same_psf(plain: Exposure) -> None:
    offset = np.arange(15) - 7
    stamp = np.exp(-(offset**2 + offset[:, None] ** 2) / 5.2)[None]
    frame = Frame(image=plain.image - 1000, noise=33.0)
    fluxes = [
        psf_photometry(
            frame, Psf(coefficients=one, order=0, x0=150, y0=150, scale_x=150, scale_y=150), [25.0], [25.0]
        ).fluxes["flux"][0]
        for one in (stamp, stamp.astype(">f8"), np.asfortranarray(stamp), stamp.astype(np.float32))
    ]
    np.testing.assert_allclose(fluxes, fluxes[0], rtol=1e-5)
    with pytest.raises(KernelArgumentError, match="coefficients have the type complex128"):
        Psf(coefficients=stamp.astype(complex), order=0, x0=0, y0=0, scale_x=1, scale_y=1)


def test_segments_of_any_type_and_positions_that_are_masked() -> None:
    image, segments = np.ones((21, 21)), np.zeros((21, 21), int)
    segments[8:13, 13:15] = 2
    frame = Frame(image=image, segments=segments)
    ellipse = ([10.0], [10.0], [4.0], [3.0], [0.0])
    for own in ([1], np.array([1], ">i8"), np.array([1], "u1")):
        assert ellipse_fluxes(frame, *ellipse, segment=own)["flux"][0] == pytest.approx(np.pi * 12)
    with pytest.raises(KernelArgumentError, match="segment has the type"):
        ellipse_fluxes(frame, *ellipse, segment=[1.5])
    with pytest.raises(KernelArgumentError, match="segment has the type"):
        ellipse_fluxes(frame, *ellipse, segment=[2**32 + 1])
    flux = aperture_fluxes(frame, np.ma.MaskedArray([10.0, 10.0], [False, True]), [10.0, 10.0], 3.0)["flux"]
    assert np.isfinite(flux[0])
    assert np.isnan(flux[1])


def test_rays_are_looked_for_in_bounded_time() -> None:
    image = np.random.default_rng(42).normal(0, 10, (1000, 1000))
    started = time.process_time()
    with pytest.raises(LimitError, match="more than one pixel in 20 is as sharp"):
        find_cosmic_rays(Frame(image=image, noise=1.0))
    assert time.process_time() - started < 30  # medians of all pixels take minutes
    flat = np.full((300, 300), 1000.0) + np.random.default_rng(43).normal(0, 30, (300, 300))
    table = measure_image(
        Exposure(image=flat, variance=np.full_like(flat, 1e-3), mask=np.zeros(flat.shape, int)), Options()
    )
    assert table.image.noise.scales.mean() == pytest.approx(9e5, rel=0.1)
    assert len(table.table) <= 1
