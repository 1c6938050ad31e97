"""Units: what IN_UNIT multiplies by, and the unit of a product.

Units are texts, as the catalogue has them. astropy reads them; importing it takes half a second, so that is left until
a query needs two units at once. A column's unit may be in any of the spellings that archives use, a unit that a user
writes must be VOUnit.
"""

from __future__ import annotations

import math
import re
import warnings
from functools import lru_cache
from typing import Any

MAX_UNIT = 100
"""Characters of a unit."""

_LARGE_NUMBER = re.compile(r"(?<![\d.])\d{5,}")
"""astropy raises ten to powers as they come: ``10**999999999`` would never end."""

_SPELLINGS = ("vounit", "cds", "fits", "ogip", "generic")
"""How astropy is asked to read a column's unit, in turn."""


class UnitError(ValueError):
    """A unit that cannot be read or be converted."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def product(left: str, right: str) -> str | None:
    """Return the unit of a product; None when it cannot be written."""
    if not left or not right:
        return left or right
    return _combined(left, 1.0, right)


def power(unit: str, exponent: float) -> str | None:
    """Return the unit of a power; None when it cannot be written."""
    if not unit or exponent == 1:
        return unit
    return _combined("", 1.0, unit, exponent)


def quotient(left: str, right: str) -> str | None:
    """Return the unit of a quotient, empty for two of the same; None when it cannot be written."""
    if left == right:
        return ""
    return left if not right else _combined(left, 1.0, right, -1.0)


@lru_cache(maxsize=1024)
def _combined(left: str, left_exponent: float, right: str, right_exponent: float = 1.0) -> str | None:
    try:
        unit = _read_any(left) ** left_exponent * _read_any(right) ** right_exponent
        text: str = unit.to_string("vounit", deprecations="silent")
    except (UnitError, ValueError, TypeError, OverflowError):
        return None
    return text if len(text) <= MAX_UNIT else None


@lru_cache(maxsize=1024)
def conversion(given: str, wanted: str) -> tuple[float, float]:
    """Return what turns a value of one unit into one of another: a factor, and a shift to be added then.

    Parameters
    ----------
    given
        The unit of a column or of an expression.
    wanted
        The unit to convert to, as VOUnit writes it.

    Raises
    ------
    UnitError
        If a unit cannot be read, or the one cannot be converted into the other by a multiplication and an addition.
    """
    target = read_vounit(wanted)
    source = _read_any(given)
    if source == target:
        return 1.0, 0.0
    import astropy.units as u

    if isinstance(source, u.FunctionUnitBase):
        raise UnitError(
            f'the logarithmic unit "{given}" cannot be converted to "{wanted}"',
            hint="scisql_abMagToNanojansky and scisql_abMagToFlux take AB magnitudes."
            if source.physical_unit == u.AB
            else "",
        )
    try:
        # of an absolute temperature: degrees Celsius have another zero
        zero = float(source.to(target, 0.0, equivalencies=u.temperature()))
        factor = float(source.to(target, 1.0, equivalencies=u.temperature())) - zero if zero else source.to(target)
    except (u.UnitConversionError, u.UnitTypeError) as error:
        hint = ""
        if source == u.mag:
            hint = "A magnitude is no multiple of a flux; scisql_abMagToNanojansky takes AB magnitudes."
        raise UnitError(f'the unit "{given}" cannot be converted to "{wanted}"', hint=hint) from error
    return _as_decimal(float(factor)), zero


def _as_decimal(factor: float) -> float:
    """Return the short decimal that a factor is but for rounding; astropy makes 1000.0000000000001 of nano to pico."""
    short = float(f"{factor:.12g}")
    return short if abs(short - factor) <= 4 * math.ulp(factor) else factor


@lru_cache(maxsize=1024)
def read_vounit(text: str) -> Any:
    """Return a unit of astropy for what a user writes.

    Raises
    ------
    UnitError
        If it is not VOUnit, or no unit at all.
    """
    if not text.strip():
        raise UnitError("an empty unit is none", hint="Write a unit as VOUnit does, such as 'arcsec' or 'mas.yr**-1'.")
    unit = _read(text, "vounit")
    if unit is None:
        hint = "Write a unit as VOUnit does, such as 'arcsec' or 'mas.yr**-1'."
        for spelling in _SPELLINGS[1:]:
            meant = _read(text, spelling)
            if meant is not None and (written := _vounit(meant)):
                hint = f"As VOUnit it is written '{written}'."
                break
        raise UnitError(f'"{_shown(text)}" is not a unit of VOUnit', hint=hint)
    return unit


def _read_any(text: str) -> Any:
    for spelling in _SPELLINGS:
        unit = _read(text, spelling)
        if unit is not None:
            return unit
    raise UnitError(f'the unit "{_shown(text)}" is not understood')


def _read(text: str, spelling: str) -> Any:
    """Return a unit, None when the text is none in this spelling."""
    if len(text) > MAX_UNIT or _LARGE_NUMBER.search(text):
        return None
    import astropy.units as u

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # VOUnit calls Angstrom and erg deprecated; archives use them
        try:
            return u.Unit(text, format=spelling)
        except (ValueError, TypeError, ArithmeticError, KeyError, RecursionError):
            return None


def _vounit(unit: Any) -> str:
    try:
        return str(unit.to_string("vounit", deprecations="silent"))
    except (ValueError, TypeError):
        return ""


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
