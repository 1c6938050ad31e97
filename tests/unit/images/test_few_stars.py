"""Images with too few stars for a PSF give rows with flags, not nothing; real images are among them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from support.galsim_fields import draw, exposed, grid_of_stars, rows_near, sources, summary_row

from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.single_frame.calibrate_image import Options, measure_image
from qserv_py.pipelines.single_frame.tables.source_table import source_table

IMAGES = Path(__file__).parents[4] / "shared" / "data" / "images"
NOISE = np.float32(30.0)


def rows_of(exposure: Exposure) -> Any:
    measured = measure_image(exposure, Options()).table
    measured["astrometry_used"] = measured["photometry_used"] = np.zeros(len(measured), bool)
    return source_table(measured, summary_row())


def test_few_stars_have_rows_with_flags() -> None:
    random = np.random.default_rng(31)
    truth = grid_of_stars(random, shape=(200, 200), step=70, bright=18, faint=20)
    rows = rows_of(exposed(draw(truth, shape=(200, 200)), random))
    near = rows_near(rows, truth, within=1)
    assert [len(found) for found in near] == [1] * len(truth)
    rows = rows[np.concatenate(near)]
    assert rows["psfFlux_flag"].all()
    assert rows["invalidPsfFlag"].all()
    assert np.isnan(rows["extendedness"]).all()
    assert not rows["ap12Flux_flag"].any()
    np.testing.assert_allclose(rows["psfFlux"], truth["flux"], rtol=0.2)
    np.testing.assert_allclose(rows["ap12Flux"], truth["flux"], rtol=0.1)


def test_stars_of_a_crowd_make_a_psf() -> None:
    random = np.random.default_rng(32)
    truth = sources(random, shape=(190, 190), n_stars=360, brightest=17, faintest=22)
    measured = measure_image(exposed(draw(truth, shape=(190, 190)), random), Options())
    assert measured.image.used.sum() > 15
    bright = truth["flux"] > 10 ** (-0.4 * (19.5 - 32.0))
    near = rows_near(measured.table, truth[bright], within=2)
    assert np.mean([len(rows) > 0 for rows in near]) > 0.75  # 3,000 in a million pixels are as bright or brighter
    rows = measured.table[[rows[0] for rows in near if len(rows)]]
    true = truth["flux"][bright][[len(rows) > 0 for rows in near]]
    assert np.median(rows["psf_flux"] / true) == pytest.approx(1, abs=0.15)
    assert np.nanmedian(rows["ap12_flux"] / true) > 1.5  # neighbours fill the aperture


@pytest.mark.parametrize("name", ["emmi-small", "gc-2mass-h", "m13-1", "m67-plate", "spitzer-irac"])
def test_real_images_have_rows(name: str) -> None:
    path = IMAGES / f"{name}.fits"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that astropy does not like
        pixels = fits.getdata(path).astype(np.float32)
    if name != "m13-1":  # which has few stars
        middle = pixels.shape[0] // 2
        pixels = pixels[max(0, middle - 90) : middle + 90, :180]
    middle = np.nanmedian(pixels)
    noise = 1.4826 * np.nanmedian(np.abs(pixels - middle))
    number = []
    for image in (pixels, 2 * middle - pixels):
        variance = np.full(image.shape, noise**2, np.float32)
        number.append(len(rows_of(Exposure(image=image, variance=variance, mask=np.zeros(image.shape, np.int32)))))
    assert number[0] > 5
    assert number[1] < 0.5 * number[0] or name == "m13-1"  # whose background is a grid of columns
