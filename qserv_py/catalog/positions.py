"""What is said of a coordinate, held against its use: a schema's word and a file's word are judged by the same rules.

A position of the catalogue is a right ascension or a declination, ICRS. Schemas and files say of their columns a unit,
a UCD, a frame and an equinox. Nothing said is nothing against it; whatever is said must fit, else the column is another
quantity, or in a frame that nobody here converts. FK5 of J2000, which lies within 0.04 arc seconds of ICRS, counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from qserv_py.catalog.angles import ANGLE_UNITS, HOUR, angle_unit
from qserv_py.catalog.model import PositionFormat


class Coordinate(StrEnum):
    """One of the two numbers of a position."""

    RA = "ra"
    DEC = "dec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a schema or a file says of the column of a coordinate; empty where it says nothing."""

    unit: str = ""
    ucd: str = ""
    """A UCD of any version: ``pos.eq.ra;meta.main``, ``POS_EQ_RA_MAIN``."""

    frame: str = ""
    """A name of ivoa.net/rdf/refframe, of a COOSYS or of RADESYS."""

    equinox: str = ""
    """``J2000``, ``1950.0``."""


_RIGHT = {Coordinate.RA: "pos.eq.ra", Coordinate.DEC: "pos.eq.dec"}
_OLD = {
    Coordinate.RA: frozenset({"pos_eq", "pos_eq_ra", "pos_eq_ra_main"}),
    Coordinate.DEC: frozenset({"pos_eq", "pos_eq_dec", "pos_eq_dec_main"}),
}
"""Words of UCD1, in lower case; all others of them are other quantities."""

_OLD_WORD = re.compile(r"[a-z0-9]+(_[a-z0-9/-]+)+")
_FITTING = frozenset({"pos", "pos.eq", "pos.barycenter", "pos.centroid"})
"""Further words of a UCD that a position may have."""

_BEHIND = "pos.frame"
"""A word that a position may have behind its first: alone it is the frame itself."""

_NEUTRAL = frozenset({"meta", "meta.main"})
"""Words that say nothing of the quantity."""

_OTHER_QUANTITIES = re.compile(
    r"arith\.(diff|factor|grad|rate|ratio|squared|sum|variation|zp)|meta\.code.*"
    r"|stat\.(error|variance|stdev|rms|mad|covariance|correlation|fit\.residual|fit\.omc|weight|snr).*"
)
"""Words behind the first that make of a coordinate its error, its difference from another, its rate."""

_ICRS = re.compile(r"icrs|icrf[23]?|gaia|j2000")
_OF_AN_EQUINOX = frozenset({"fk5", "eq_fk5", "equatorial", "unknown", ""})
_J2000 = re.compile(r"J?2000(\.0*)?", re.IGNORECASE)

_UNITS = {PositionFormat.HMS: (HOUR, "h:m:s"), PositionFormat.DMS: ("deg", "d:m:s")}
"""Units that sexagesimal texts may be said to be in."""

_CALLED = {
    coordinate: re.compile(rf"(_|coord_|s_|mean_?)?({words})_?(j?2000|icrs|deg|mean|main)?")
    for coordinate, words in (
        (Coordinate.RA, "ra|alpha|right_?ascension"),
        (Coordinate.DEC, "dec?|decl|delta|declination"),
    )
}
"""Names of coordinates in catalogues, in lower case."""

_CONVERT = "convert these before they are loaded"


def problem_of(coordinate: Coordinate, said: Said, *, form: PositionFormat, is_served: bool) -> str:
    """Return what contradicts that a column holds a coordinate, as the end of a sentence; or nothing.

    Parameters
    ----------
    form
        How the texts or numbers of the files are written.
    is_served
        Whether the column is that of the catalogue, which serves degrees whatever the files hold: a schema's.
    """
    return (
        _unit_problem(coordinate, said.unit, form, is_served=is_served)
        or _ucd_problem(coordinate, said.ucd)
        or _frame_problem(said.frame.strip(), said.equinox.strip())
    )


def fits_sexagesimal(unit: str, form: PositionFormat, *, is_served: bool) -> bool:
    """Tell whether texts of a sexagesimal format may be said to be in a unit."""
    allowed = _UNITS[form]
    written = unit.strip().strip("\"'").lower()
    return written in allowed or angle_unit(unit) in allowed or (is_served and angle_unit(unit) == "deg")


def _unit_problem(coordinate: Coordinate, unit: str, form: PositionFormat, *, is_served: bool) -> str:
    if not unit.strip():
        return ""
    if form is not PositionFormat.DEGREES:
        if fits_sexagesimal(unit, form, is_served=is_served):
            return ""
        allowed = dict.fromkeys([*(["deg"] if is_served else []), _UNITS[form][0]])
        return f"has the unit {unit}, and format {form} says otherwise; its unit is {' or '.join(allowed)}"
    known = angle_unit(unit)
    if known is None:
        return f'has the unit "{unit}", which no angle is in; it is one of {", ".join(ANGLE_UNITS)}'
    if coordinate is Coordinate.DEC and known == HOUR:
        return "has hours as its unit, which a declination is not counted in; is it deg?"
    return ""


def is_main(coordinate: Coordinate, ucd: str) -> bool:
    """Tell whether a UCD says that a column is the main coordinate of its table, not only that it may be."""
    words = set(_words(ucd))
    says = {_RIGHT[coordinate], "meta.main"} <= words or any(word.endswith("_main") for word in words)
    return says and not _ucd_problem(coordinate, ucd)


def is_named(coordinate: Coordinate, name: str) -> bool:
    """Tell whether catalogues call a coordinate so: ``RAJ2000``, ``_DEJ2000``, ``ALPHA_J2000``, ``ra_deg``."""
    return _CALLED[coordinate].fullmatch(name.lower()) is not None


def _words(ucd: str) -> list[str]:
    words = (word.strip().lower().removeprefix("ivoa:") for word in ucd.split(";"))
    return [word for word in words if word]


def _ucd_problem(coordinate: Coordinate, ucd: str) -> str:
    wrong = _wrong_word(coordinate, [word for word in _words(ucd) if word not in _NEUTRAL])
    if not wrong:
        return ""
    [other] = set(Coordinate) - {coordinate}
    if wrong == _RIGHT[other] or wrong in _OLD[other]:
        return f'has the UCD "{ucd}": are ra and dec swapped?'
    wanted = _RIGHT[coordinate]
    return f'has the UCD "{ucd}"; positions are ICRS, {wanted}: name the columns that hold those, or {_CONVERT}'


def _wrong_word(coordinate: Coordinate, words: list[str]) -> str:
    """Return the word of a UCD that is none of a coordinate; empty when all fit."""
    fitting = _FITTING | _OLD[coordinate] | {_RIGHT[coordinate]}
    for place, word in enumerate(words):
        if place and word == _BEHIND:
            continue
        is_position = word == "pos" or word.startswith("pos.") or _OLD_WORD.fullmatch(word) is not None
        if word not in fitting and (place == 0 or is_position or _OTHER_QUANTITIES.fullmatch(word)):
            return word
    return ""


def _frame_problem(frame: str, equinox: str) -> str:
    name = frame.lower()
    if _ICRS.fullmatch(name):
        return ""
    if name not in _OF_AN_EQUINOX:
        return f"is in the frame {frame}; positions are ICRS: {_CONVERT}"
    if equinox and not _J2000.fullmatch(equinox):
        of_frame = f" of the frame {frame}" if frame else ""
        return f"has the equinox {equinox}{of_frame}; positions are ICRS, or FK5 of J2000: {_CONVERT}"
    return ""
