"""What TFORMn and its companions say of the columns of a binary table.

References
----------
FITS Standard 4.0, sections 7.3.1 and 7.3.2.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.fits.columns import BITS, BinaryColumn
from qserv_py.ingest.files.fits.numbers import CONVENTIONS, FLOATS, INTEGERS, Scaling, scaling_of
from qserv_py.ingest.files.fits.units import Keywords

_FORM = re.compile(r"([0-9]*)([LXBIJKAEDCM])(.*)")
_HEAPED_FORM = re.compile(r"([01]?)([PQ])([LXBIJKAEDCM])(.*)")
_SHAPE = re.compile(r"\( *[0-9]+ *(, *[0-9]+ *)*\)")
_SUBSTRINGS = re.compile(r"[0-9]+|:SSTR([0-9]+)(/[0-9]+)?")
_ASTROPY_NULLS = {"B": 63, "I": 16959, "J": 999999, "K": 999999}
"""TNULLn of masked columns as astropy writes them: its fill value 999999 in as many bits. In columns of unsigned
numbers it means the number after TZEROn was applied, against the standard."""

_DESCRIPTOR_BYTES = {"P": 8, "Q": 16}


def binary_columns(keywords: Keywords, notes: list[str]) -> list[BinaryColumn]:
    """Return the columns of a binary table.

    Parameters
    ----------
    notes
        Takes what should be known of keywords that mean nothing.

    Raises
    ------
    ContributionError
        If a column's keywords make no sense, or their widths are not that of a row.
    """
    columns: list[BinaryColumn] = []
    at = 0
    for number in range(1, keywords.whole("TFIELDS") + 1):
        column = _column(keywords, number, at, notes)
        columns.append(column)
        at += column.width
    if at != keywords.whole("NAXIS1"):
        raise ContributionError(
            f"{keywords.place}: a row has {keywords.whole('NAXIS1')} bytes, its columns have {at}",
            detail="NAXIS1 is not the sum of what the TFORMn say.",
        )
    return columns


def widened(keywords: Keywords) -> Keywords:
    """Return the keywords of a table with all of its columns, also those that STIL puts beyond the 999 that FITS has.

    The last column that FITS knows contains them then, as bytes; TTYPE1000 and its companions stand behind
    ``HIERARCH XT``.
    """
    if "XT_ICOL" not in keywords:
        return keywords
    container = keywords.whole("XT_ICOL")
    of_container = re.compile(rf"T[A-Z]+{container}")
    own = {key: value for key, value in keywords.values.items() if not of_container.fullmatch(key)}
    further = {key.removeprefix("XT "): value for key, value in keywords.values.items() if key.startswith("XT ")}
    return replace(keywords, values=own | further | {"TFIELDS": keywords.whole("XT_NCOL")})


def column_name(keywords: Keywords, number: int) -> str:
    """Return the name of a column; one without a name is called as astropy and STIL do."""
    return keywords.text(f"TTYPE{number}") or f"col{number}"


def _column(keywords: Keywords, number: int, at: int, notes: list[str]) -> BinaryColumn:
    form = keywords.text(f"TFORM{number}").strip()
    name = column_name(keywords, number)
    if heaped := _HEAPED_FORM.fullmatch(form):
        repeat, descriptor, letter, _ = heaped.groups()
        count = int(repeat or 1)
        width = count * _DESCRIPTOR_BYTES[descriptor]
        unread = "no values" if not count else _complex(letter)
    elif plain := _FORM.fullmatch(form):
        descriptor, letter, count = "", plain[2], int(plain[1] or 1)
        width = (count * BITS[letter] + 7) // 8
        unread = _why_not(keywords, number, letter, count, plain[3])
    else:
        raise keywords.wrong(f"TFORM{number}", "a format of binary tables, such as 1J or 20A")
    scaling = _scaling(keywords, number, name, letter, notes)
    return BinaryColumn(
        name=name, letter=letter, at=at, width=width, descriptor=descriptor, unread=unread, scaling=scaling
    )


def _why_not(keywords: Keywords, number: int, letter: str, count: int, rest: str) -> str:
    """Return what a column that is not heaped holds instead of single values."""
    shape = _shape(keywords, number)
    if letter == "A":
        substrings = _SUBSTRINGS.fullmatch(rest)
        width = int(substrings[1] or substrings[0]) if substrings else count
        if shape and math.prod(shape) != count:
            return f"texts of {count} characters in the shape {shape}"
        texts = math.prod(shape[1:]) if shape else -(-count // width) if width else 1
        return f"arrays of {texts} texts" if texts != 1 and count else ""
    if count == 0:
        return "no values"
    if count > 1:
        elements = {"X": "bits"}.get(letter, "elements")
        fits = len(shape) > 1 and math.prod(shape) == count
        return f"arrays of shape {shape}" if fits else f"arrays of {count} {elements}"
    return _complex(letter)


def _complex(letter: str) -> str:
    return "complex numbers" if letter in "CM" else ""


def _shape(keywords: Keywords, number: int) -> tuple[int, ...]:
    """Return TDIMn, the fastest axis first; empty when it is not there."""
    text = keywords.text(f"TDIM{number}").strip()
    if text and not _SHAPE.fullmatch(text):
        raise keywords.wrong(f"TDIM{number}", "a shape, such as (4,5)")
    return tuple(int(side) for side in text.strip("()").split(",")) if text else ()


def _scaling(keywords: Keywords, number: int, name: str, letter: str, notes: list[str]) -> Scaling | None:
    """Return what the numbers of a column mean; None when they are none."""
    null = f"TNULL{number}"
    if letter not in INTEGERS and null in keywords:
        why = "NaN is NULL in floating point columns" if letter in FLOATS else "only whole numbers have one"
        notes.append(f'column "{name}": {null} = {keywords.value(null)!r} means nothing, {why}')
    if letter not in INTEGERS and letter not in FLOATS:
        return None
    scale, zero = keywords.number(f"TSCAL{number}", 1), keywords.number(f"TZERO{number}", 0)
    if scale == 0:
        raise keywords.wrong(f"TSCAL{number}", "a number other than 0")
    stands_for_null = _null(keywords, number, name, letter, notes) if letter in INTEGERS else None
    return scaling_of(letter, scale=scale, zero=zero, null=stands_for_null)


def _null(keywords: Keywords, number: int, name: str, letter: str, notes: list[str]) -> int | None:
    """Return the stored number that means NULL, if there is one and the column can hold it."""
    key = f"TNULL{number}"
    if key not in keywords:
        return None
    value = keywords.value(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise keywords.wrong(key, "a whole number")
    physical = _after_zero(letter, value, keywords.number(f"TSCAL{number}", 1), keywords.number(f"TZERO{number}", 0))
    if physical is not None:
        notes.append(f'column "{name}": {key} = {value} is the number after TZERO, as astropy writes it')
        return physical
    if not _holds(letter, value):
        notes.append(f'column "{name}": {key} = {value} is no number that the column can hold, so it has no NULL')
        return None
    return value


def _after_zero(letter: str, value: int, scale: int | float, zero: int | float) -> int | None:
    """Return the stored number for a TNULLn that is meant after TZEROn was applied; None if it is meant as stored."""
    is_convention = scale == 1 and float(zero).is_integer() and (letter, int(zero)) in CONVENTIONS
    if not is_convention or (value != _ASTROPY_NULLS[letter] and _holds(letter, value)):
        return None
    return value - int(zero) if _holds(letter, value - int(zero)) else None


def _holds(letter: str, value: int) -> bool:
    limits = np.iinfo(INTEGERS[letter])
    return bool(limits.min <= value <= limits.max)
