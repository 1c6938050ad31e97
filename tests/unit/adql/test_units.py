"""Units as archives write them, as IN_UNIT takes them, and what lies between two of them."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import time
from fractions import Fraction

import pytest
from support.catalogs import plan, resolved

from qserv_py.adql import units
from qserv_py.adql.tree import InUnit, Select
from qserv_py.errors import AdqlError
from qserv_py.planner.explain import explain


@pytest.mark.parametrize(
    ("given", "wanted", "factor", "shift"),
    [
        ("deg", "arcsec", 3600, 0),
        ("deg", "deg", 1, 0),
        ("deg", "rad", 0.017453292519943295, 0),
        ("nJy", "Jy", 1e-9, 0),
        ("nJy", "W.m**-2.Hz**-1", 1e-35, 0),
        ("mas/yr", "deg.yr**-1", 1 / 3.6e6, 0),
        ("mas.yr-1", "arcsec/yr", 1e-3, 0),
        ("km s^-1", "m/s", 1000, 0),
        ("erg/s/cm^2", "W.m**-2", 1e-3, 0),
        ("erg / (s cm2)", "erg.s**-1.cm**-2", 1, 0),
        ("10-20W/m2", "W.m**-2", 1e-20, 0),
        ("0.1nm", "nm", 0.1, 0),
        ("Angstrom", "nm", 0.1, 0),
        ("uas", "mas", 1e-3, 0),
        ("deg**2", "arcmin**2", 3600, 0),
        ("d", "h", 24, 0),
        ("mag", "mmag", 1000, 0),
        ("deg_C", "K", 1, 273.15),
        ("K", "mK", 1000, 0),
        ("ct", "ct", 1, 0),
    ],
)
def test_conversions(given: str, wanted: str, factor: float, shift: float) -> None:
    assert units.conversion(given, wanted) == (pytest.approx(factor, rel=1e-14), pytest.approx(shift, rel=1e-14))


@pytest.mark.parametrize(
    ("left", "right", "product", "quotient"),
    [
        ("nJy", "", "nJy", "nJy"),
        ("", "yr", "yr", "yr**-1"),
        ("mas/yr", "yr", "mas", "mas.yr**-2"),
        ("deg", "deg", "deg**2", ""),
        ("nJy", "what?", None, None),
    ],
)
def test_combinations(left: str, right: str, product: str | None, quotient: str | None) -> None:
    assert (units.product(left, right), units.quotient(left, right)) == (product, quotient)


REFUSED = """\
SELECT IN_UNIT(gFlux, ¦'deg') FROM Object => the unit "nJy" cannot be converted to "deg"
SELECT IN_UNIT(gFlux, ¦'banana') FROM Object => "banana" is not a unit of VOUnit
SELECT IN_UNIT(gFlux, ¦'') FROM Object => an empty unit is none
SELECT IN_UNIT(gFlux, ¦' ') FROM Object => an empty unit is none
SELECT IN_UNIT(gFlux, ¦label) FROM Object => the unit of IN_UNIT must be a text constant
SELECT IN_UNIT(gFlux, ¦1) FROM Object => the unit of IN_UNIT must be a text constant
SELECT ¦IN_UNIT(gFlux, NULL) FROM Object => the unit of IN_UNIT must be a text constant
SELECT IN_UNIT(gFlux, ¦'J' || 'y') FROM Object => the unit of IN_UNIT must be a text constant
SELECT IN_UNIT(¦nObs, 'deg') FROM Object => IN_UNIT needs a value whose unit is known
SELECT IN_UNIT(¦5, 'deg') FROM Object => IN_UNIT needs a value whose unit is known
SELECT IN_UNIT(¦gFlux / rFlux, 'deg') FROM Object => IN_UNIT needs a value whose unit is known
SELECT IN_UNIT(¦gFlux + ra, 'deg') FROM Object => IN_UNIT needs a value whose unit is known
SELECT IN_UNIT(¦label, 'deg') FROM Object => IN_UNIT needs a number, found VARCHAR
SELECT ¦IN_UNIT(gFlux) FROM Object => IN_UNIT has the wrong arguments
SELECT ¦IN_UNIT(gFlux, 'Jy', 2) FROM Object => IN_UNIT has the wrong arguments
SELECT IN_UNIT(scisql_nanojanskyToAbMag(gFlux), ¦'nJy') FROM Object => the unit "mag" cannot be converted to "nJy"
SELECT nObs FROM Object WHERE IN_UNIT(ra, ¦'10**999999999.deg') > 1 => "10**999999999.deg" is not a unit of VOUnit
"""


@pytest.mark.parametrize(("marked", "message"), [line.split(" => ") for line in REFUSED.splitlines()])
def test_refusals(marked: str, message: str) -> None:
    with pytest.raises(AdqlError) as caught:
        resolved(marked.replace("¦", ""))
    assert caught.value.message == message
    assert caught.value.offset == marked.index("¦")


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("IN_UNIT(rFlux, 'erg/s/cm2/Hz')", "As VOUnit it is written 'erg.Hz**-1.s**-1.cm**-2'."),
        ("IN_UNIT(rFlux, 'banana')", "Write a unit as VOUnit does, such as 'arcsec' or 'mas.yr**-1'."),
        ("IN_UNIT(2, 'deg')", "A pure number has no unit."),
        ("IN_UNIT(nObs, 'deg')", "The columns' units are in the schema."),
        (
            "IN_UNIT(scisql_nanojanskyToAbMag(gFlux), 'nJy')",
            "A magnitude is no multiple of a flux; scisql_abMagToNanojansky takes AB magnitudes.",
        ),
    ],
)
def test_hints(expression: str, hint: str) -> None:
    with pytest.raises(AdqlError) as caught:
        resolved(f"SELECT {expression} FROM Object")
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "m**" * 30, "10**999999999", "1e999999999m", "m" * 100_000, "9" * 5000, "m**(1/0)", "'" * 7, "²"],
    ids=range(9),
)
def test_hostile_units_end_soon(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(units.UnitError) as caught:
        units.conversion("deg", text)
    assert len(str(caught.value)) < 100
    assert units.product("deg", text) is None
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("plain", "converted"),
    [
        ("ra BETWEEN 10 AND 20", "IN_UNIT(ra, 'deg') BETWEEN 10 AND 20"),
        ("ra BETWEEN 10 AND 20", "IN_UNIT(ra, 'arcmin') BETWEEN 600 AND 1200"),
        ("dec > 80", "IN_UNIT(dec, 'arcsec') > 288000"),
        ("DISTANCE(ra, dec, 10, 20) < 0.5", "IN_UNIT(DISTANCE(ra, dec, 10, 20), 'arcmin') < 30"),
        ("NOT DISTANCE(ra, dec, 10, 20) > 50", "NOT 180000 < IN_UNIT(DISTANCE(ra, dec, 10, 20), 'arcsec')"),
    ],
)
def test_conversions_do_not_hide_a_region(plain: str, converted: str) -> None:
    plans = [plan(f"SELECT objectId FROM Object WHERE {condition}") for condition in (plain, converted)]
    assert plans[0].chunks == plans[1].chunks < plans[1].chunks_known


def test_conversions_do_not_hide_neighbours() -> None:
    text = "SELECT a.objectId FROM Object a JOIN Object b ON {} WHERE a.ra < 20"
    distance = "DISTANCE(a.ra, a.dec, b.ra, b.dec)"
    conditions = (f"{distance} < 0.001", f"IN_UNIT({distance}, 'arcsec') < 3.6")
    plans = [plan(text.format(condition)) for condition in conditions]
    assert [stage.name for stage in plans[0].stages] == [stage.name for stage in plans[1].stages] == ["s1"]
    assert plans[0].chunks == plans[1].chunks < plans[1].chunks_known


def test_the_same_unit_is_nothing_to_do() -> None:
    shown = explain(plan("SELECT IN_UNIT(dec, 'deg') AS d FROM Object WHERE objectId = 7"))
    assert '"object"."dec" AS "d"' in shown


def test_the_unit_of_an_item_is_the_one_asked_for() -> None:
    query = resolved("SELECT IN_UNIT(dec, 'arcsec') AS d FROM Object").query
    assert isinstance(query, Select)
    assert isinstance(query.items[0].expr, InUnit)
    assert query.items[0].expr.factor == pytest.approx(3600)


def test_astropy_is_not_imported_before_it_is_needed() -> None:
    code = "import sys; import qserv_py.adql.blocks.resolve; assert 'astropy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


_TENS = {"p": -12, "n": -9, "u": -6, "m": -3, "c": -2, "d": -1, "": 0, "da": 1, "h": 2, "k": 3, "M": 6, "G": 9, "T": 12}


@pytest.mark.parametrize("base", ["Jy", "m", "s", "pc", "arcsec"])
def test_prefixes_are_powers_of_ten(base: str) -> None:
    """As no rounding of astropy's makes them: 1e-9 / 1e-12 is not 1000 in doubles."""
    for given, wanted in itertools.product(_TENS, _TENS):
        exact = Fraction(10) ** (_TENS[given] - _TENS[wanted])
        assert units.conversion(f"{given}{base}", f"{wanted}{base}") == (float(exact), 0.0), (given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted", "exact"),
    [
        ("deg", "arcsec", 3600),
        ("arcsec", "deg", Fraction(1, 3600)),
        ("d", "s", 86400),
        ("a", "d", Fraction("365.25")),
        ("km.s**-1", "m.s**-1", 1000),
        ("au", "m", 149597870700),
        ("deg", "rad", Fraction(math.pi) / 180),
        ("rad", "arcsec", 648000 / Fraction(math.pi)),
    ],
)
def test_factors_are_the_nearest_doubles(given: str, wanted: str, exact: Fraction) -> None:
    factor, _ = units.conversion(given, wanted)
    assert abs(factor - float(exact)) <= math.ulp(float(exact))
