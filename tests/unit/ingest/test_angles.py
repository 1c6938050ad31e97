"""Units of angles: astropy says how many degrees each is."""

from __future__ import annotations

import pytest
from astropy import units

from qserv_py.catalog.angles import angle_unit, degrees_per


@pytest.mark.parametrize(
    ("written", "format"),
    [
        *[(name, "vounit") for name in ("deg", "rad", "arcmin", "arcsec", "marcsec", "uarcsec", "mas")],
        *[(name, "fits") for name in ("deg", "rad", "arcmin", "arcsec", "mas")],
        *[(name, "cds") for name in ("deg", "rad", "arcmin", "arcsec", "mas", "°")],
        *[
            (name, None)
            for name in ("degree", "radian", "hourangle", "arcminute", "arcsecond", "uas", "µas", "hour angle")
        ],
    ],
)
def test_a_unit_is_as_many_degrees_as_astropy_says(written: str, format: str | None) -> None:
    oracle = units.Unit(written.replace("hour angle", "hourangle"), format=format)
    assert degrees_per(written) == pytest.approx(oracle.to(units.deg), rel=3e-16)


@pytest.mark.parametrize("written", ["h", "hr", "hour", "hours", "Hours", " h "])
def test_hours_are_those_of_a_right_ascension(written: str) -> None:
    assert degrees_per(written) == pytest.approx(units.hourangle.to(units.deg), rel=3e-16)


@pytest.mark.parametrize(("written", "unit"), [("'", units.arcmin), ('"', units.arcsec), ("degrees", units.deg)])
def test_signs_and_plurals_are_known_too(written: str, unit: units.UnitBase) -> None:
    assert degrees_per(written) == pytest.approx(unit.to(units.deg), rel=3e-16)


@pytest.mark.parametrize("written", ["DEG", "Degrees", " deg ", "degs"])
def test_names_are_known_in_any_case(written: str) -> None:
    assert angle_unit(written) == "deg"


@pytest.mark.parametrize(
    "written", ["", " ", "m", "pix", "H", "s", "min", "deg2", "sr", "deg/yr", "None", "km/s", "as", "parsec"]
)
def test_what_is_no_angle_has_no_degrees(written: str) -> None:
    assert degrees_per(written) is None
