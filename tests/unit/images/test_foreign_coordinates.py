"""Coordinates in headers of other programs are astropy's, or are refused: none is wrong without a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.coordinates import ICRS, SkyCoord
from astropy.io.fits import Header
from astropy.wcs import WCS

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.wcs_cards import wcs_of

PLAIN: dict[str, Any] = {
    "NAXIS": 2, "NAXIS1": 2048, "NAXIS2": 2048, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 1000.0,
    "CRPIX2": 900.0, "CRVAL1": 150.0, "CRVAL2": 2.2,
}  # fmt: skip
SCALES = {"CDELT1": -6e-5, "CDELT2": 5e-5}
MATRIX = {"CD1_1": -5e-5, "CD1_2": 1e-5, "CD2_1": 1e-5, "CD2_2": 5e-5}
SIP = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-5, "B_1_1": -2e-5}


def apart_arcsec(cards: dict[str, Any]) -> float:
    """Return how far what is read is from what astropy reads, at the most."""
    x, y = (values.ravel() for values in np.meshgrid(*[np.linspace(0, 2047, 9)] * 2))
    wcs = wcs_of(cards, name="one")
    assert wcs is not None
    theirs = WCS(Header(cards)).pixel_to_world(x, y).transform_to(ICRS())
    ours = SkyCoord(*wcs.to_sky(x, y), unit="deg")
    return float(ours.separation(theirs).arcsec.max())


@pytest.mark.parametrize(
    "cards",
    [
        MATRIX,
        MATRIX | {"CUNIT1": "deg", "CUNIT2": "deg", "LONPOLE": 180.0, "LATPOLE": 2.2, "RADESYS": "ICRS"},
        MATRIX | {"EQUINOX": 2000.0, "RADESYS": "FK5"},
        MATRIX | {"EQUINOX": 2000.0},
        SCALES,
        SCALES | {"CROTA2": 30.0},
        SCALES | {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8},
        MATRIX | SIP | {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"},
    ],
)
def test_what_is_read_is_what_astropy_reads(cards: dict[str, Any]) -> None:
    assert apart_arcsec(PLAIN | cards) < (0.03 if "EQUINOX" in cards else 1e-3)


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_distortion_that_the_projection_does_not_name_is_read_as_astropy_does(caplog: pytest.LogCaptureFixture) -> None:
    assert apart_arcsec(PLAIN | MATRIX | SIP) < 1e-3


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        (MATRIX | {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_1": 1.0}, "projection RA---TPV, DEC--TPV"),
        (MATRIX | {"EQUINOX": 1950.0}, "positions in FK4"),
        (MATRIX | {"RADECSYS": "FK4", "EQUINOX": 1950.0}, "positions in FK4"),
        (MATRIX | {"RADESYS": "FK5", "EQUINOX": 1975.0}, "the equinox 1975"),
        (MATRIX | {"LONPOLE": 90.0}, "LONPOLE of the WCS is 90"),
        (MATRIX | {"PV1_1": 1.0, "PV1_7": 1e-3}, "a distortion by PV1_1"),
        (MATRIX | {"CUNIT1": "arcsec", "CUNIT2": "arcsec"}, "CUNIT1 of the WCS is 'arcsec'"),
        (MATRIX | {"CPDIS1": "LOOKUP"}, "a distortion by CPDIS1"),
        (MATRIX | {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN"}, "projection DEC--TAN, RA---TAN"),
    ],
)
def test_what_is_not_read_is_refused(cards: dict[str, Any], words: str) -> None:
    with pytest.raises(ImageFileError, match=words):
        wcs_of(PLAIN | cards, name="one")
