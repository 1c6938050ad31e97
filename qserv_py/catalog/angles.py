"""Units of angles: what files and schemas call them, and how many degrees each is.

Positions are served in degrees. Schemas (``ivoa:unit``, ``fits:tunit``) and files (TUNIT, VOTable's ``unit``) may hold
them in another unit: whoever reads one calls ``in_degrees`` and needs no second table of names.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

HOUR = "hourangle"
"""The unit of right ascensions that count hours."""

_SPELLINGS: dict[str, tuple[float, float, tuple[str, ...]]] = {
    "deg": (1.0, 1.0, ("degree", "degrees", "degs", "°")),
    "rad": (180.0 / math.pi, 1.0, ("radian", "radians")),
    HOUR: (15.0, 1.0, ("h", "hr", "hour", "hours", "hour angle")),
    "arcmin": (1.0, 60.0, ("arcminute", "arcminutes", "'", "\u2032")),
    "arcsec": (1.0, 3600.0, ("arcsecond", "arcseconds", '"', "\u2033", "''")),
    "mas": (1.0, 3.6e6, ("marcsec", "milliarcsec", "milliarcsecond", "milliarcseconds")),
    "uas": (1.0, 3.6e9, ("uarcsec", "microarcsec", "microarcsecond", "microarcseconds", "\u00b5as", "\u03bcas")),
}
"""For each unit: degrees in it, as a number over another so that both are exact but for rad; and its other names."""

ANGLE_UNITS = tuple(_SPELLINGS)
"""The names of the units."""

_NAMES = {name: unit for unit, (*_, others) in _SPELLINGS.items() for name in (unit, *others)}

_SHORTEST_IN_ANY_CASE = 3
"""Shorter names are of one case: H is the henry."""


def angle_unit(unit: str) -> str | None:
    """Return the one name here of a unit of angles, or None when the text names none.

    Parameters
    ----------
    unit
        As a file or a schema writes it: ``deg``, ``Degrees``, ``h``, ``"``. Blanks around it do not count.
    """
    written = unit.strip()
    if len(written) >= _SHORTEST_IN_ANY_CASE:
        written = written.lower()
    return _NAMES.get(written)


def degrees_per(unit: str) -> float | None:
    """Return how many degrees a unit of angles is, or None when the text names none (``m``, ``pix``, nothing at all).

    Hours are those of a right ascension: 15 degrees.

    References
    ----------
    VOUnits 1.1 section 2.3, FITS 4.0 table 4.
    """
    name = angle_unit(unit)
    return None if name is None else _SPELLINGS[name][0] / _SPELLINGS[name][1]


def in_degrees(values: FloatArray, unit: str) -> FloatArray:
    """Return angles in degrees, rounded once: 3,600,000 mas are exactly one.

    Parameters
    ----------
    values
        Angles in the unit, shape (n,); NaN stays.
    unit
        One that ``angle_unit`` knows; ValueError for others.
    """
    name = angle_unit(unit)
    if name is None:
        raise ValueError(f'"{unit}" is no unit of angles')
    times, over, _ = _SPELLINGS[name]
    return values * times / over
