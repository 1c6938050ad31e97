"""Algorithms that can be exchanged: further measurements of somebody else's, and the model of the PSF."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.galsim_fields import draw, exposed, grid_of_stars

from qserv_py.errors import ConfigError
from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.single_frame import measure
from qserv_py.pipelines.single_frame.calibrate_image import Measured, Options, measure_image
from qserv_py.pipelines.single_frame.characterisation import characterise

SHAPE = (200, 200)


def peak(sources: measure.Sources) -> None:
    """Measure the brightest of the nearest pixels."""
    column, row = np.rint(sources.x).astype(int), np.rint(sources.y).astype(int)
    sources.table["peak"] = np.asarray(sources.frame.image)[row, column]


def meddles(sources: measure.Sources) -> None:
    """Change what others measured."""
    sources.table["psf_flux"] *= 2


@pytest.fixture(scope="module")
def exposure() -> Exposure:
    random = np.random.default_rng(9)
    truth = grid_of_stars(random, shape=SHAPE, step=32, bright=18.0, faint=21.0)
    made: Exposure = exposed(draw(truth, shape=SHAPE), random)
    return made


def measured(exposure: Exposure, *, further: tuple[str, ...] = (), **characters: Any) -> Measured:
    options = Options(
        characterise=characterise.Options(**characters), measure=measure.Options(radii_pixels=(6.0,), further=further)
    )
    return measure_image(exposure, options)


def test_a_measurement_of_somebody_else_adds_columns_and_changes_nothing(exposure: Exposure) -> None:
    plain, more = measured(exposure).table, measured(exposure, further=(f"{__name__}:peak",)).table
    assert set(more.colnames) - set(plain.colnames) == {"peak"}
    for name in plain.colnames:
        np.testing.assert_array_equal(plain[name], more[name])
    bright = np.asarray(more["psf_flux"]) > 1e4
    assert bright.sum() > 10
    assert np.all(np.asarray(more["peak"])[bright] > 0.02 * np.asarray(more["psf_flux"])[bright])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:peak", 'there is no measurement "nowhere:peak"'),
        (f"{__name__}:peek", "there is no measurement"),
        ("peak", 'there is no measurement "peak"'),
        (f"{__name__}:SHAPE", "is no function"),
        (f"{__name__}:meddles", 'changes the column "psf_flux"'),
    ],
)
def test_what_is_no_measurement_is_refused(exposure: Exposure, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        measured(exposure, further=(name,))


def test_the_model_of_the_psf_is_a_choice(exposure: Exposure) -> None:
    from_stars, gaussian = measured(exposure), measured(exposure, psf_model="gaussian")
    assert from_stars.image.used.any()
    assert not gaussian.image.used.any()
    assert not np.asarray(gaussian.table["psf_modelled"]).any(), "and rows say so"
    size = [one.image.fwhm_pixels for one in (from_stars, gaussian)]
    assert size[0] == pytest.approx(size[1], rel=0.03)
    stamp = gaussian.image.psf.at([100.0], [100.0])[0]
    half = np.exp(-4 * np.log(2) * 1 / size[1] ** 2)
    assert stamp[12, 13] / stamp[12, 12] == pytest.approx(half, rel=0.02), "a Gaussian as wide as the stars"
