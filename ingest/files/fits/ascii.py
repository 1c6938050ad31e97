"""Columns of an ASCII table: fields of characters at fixed places of a line.

Two things that readers of FITS read differently are settled so: a number without a decimal point in a column ``Fw.d``
has it before its last d digits, as the standard says (cfitsio and STIL agree, astropy does not). A blank field is NULL
where TNULLn is blank; else a whole number is 0 (the standard and all readers), and a real number is not given: zero
says the standard, missing say astropy and STIL.

References
----------
FITS Standard 4.0, section 7.2, in particular 7.2.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.fits.columns import Source
from qserv_py.ingest.files.fits.forms import column_name
from qserv_py.ingest.files.fits.numbers import Scaling, cells_of, without_misfits
from qserv_py.ingest.files.fits.units import Keywords
from qserv_py.ingest.values.converted import ConvertedColumn, Misfits, numpy_mask

Array = npt.NDArray[Any]

_FORM = re.compile(r"([AI])([0-9]+)|([FED])([0-9]+)\.([0-9]+)")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_REAL = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:[ED]([+-]?[0-9]+)|([+-][0-9]+))?", re.IGNORECASE)
_PLAIN_WHOLE = r"^-?[0-9]{1,18}$"
_PLAIN_REAL = r"^[+-]?([0-9]+\.[0-9]*|\.[0-9]+)([EeDd][+-]?[0-9]+)?$"
_NOT_FINITE = ("nan", "inf", "infinity")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsciiColumn:
    """One column of an ASCII table."""

    name: str
    letter: str
    """Kind of the values: A for texts, I for whole numbers, F for real numbers."""

    at: int
    """Character of the line at which the column begins, from 0."""

    width: int
    decimals: int
    """Digits that stand behind the decimal point when a number is written without a point."""

    null: str | None
    """Field that means NULL, without the blanks around it (of a text: behind it)."""

    scaling: Scaling

    unread = ""
    descriptor = ""

    @property
    def kind(self) -> pa.DataType:
        """Type of its values."""
        return pa.string() if self.letter == "A" else pa.from_numpy_dtype(self.scaling.kind)

    def decode(self, rows: Array, source: Source) -> ConvertedColumn:
        """Return the values of some rows; ``rows`` are characters, shape (n, width of a line)."""
        cells = cells_of(rows, at=self.at, width=self.width)
        texts = source.texts.fixed(cells)
        if self.letter == "A":
            if self.null is None:
                return texts
            absent = numpy_mask(pc.equal(texts.values, self.null))
            return ConvertedColumn(without_misfits(texts.values, (Misfits(absent, ""),)), texts.misfits)
        fields = pc.fill_null(pc.ascii_trim(texts.values, characters=" "), "")
        blank = numpy_mask(pc.equal(fields, ""))
        absent = np.zeros(len(fields), dtype=np.bool_) if self.null is None else numpy_mask(pc.equal(fields, self.null))
        numbers, unfit = (self._whole if self.letter == "I" else self._real)(fields, blank, absent)
        result = self.scaling.decode(numbers)
        gone = Misfits(absent, "")
        zero = _found(Misfits((cells == 0).any(axis=1), "a number with a zero byte"))
        return ConvertedColumn(
            without_misfits(result.values, (gone, *unfit, *zero)), (*texts.misfits, *zero, *unfit, *result.misfits)
        )

    def _whole(self, fields: pa.Array, blank: Array, absent: Array) -> tuple[Array, tuple[Misfits, ...]]:
        plain = numpy_mask(pc.match_substring_regex(fields, _PLAIN_WHOLE)) & ~absent
        numbers = pc.if_else(pa.array(plain), fields, "0").cast(pa.int64()).to_numpy().copy()
        odd, large = np.zeros(len(fields), dtype=np.bool_), np.zeros(len(fields), dtype=np.bool_)
        for place in np.flatnonzero(~plain & ~absent & ~blank):
            text = fields[int(place)].as_py()
            odd[place] = not _WHOLE.fullmatch(text)
            value = 0 if odd[place] else int(text)
            large[place] = not -(1 << 63) <= value < 1 << 63
            numbers[place] = 0 if large[place] else value
        return numbers, _found(
            Misfits(odd, "not a whole number"), Misfits(large, f"outside {-(1 << 63)} to {(1 << 63) - 1}")
        )

    def _real(self, fields: pa.Array, blank: Array, absent: Array) -> tuple[Array, tuple[Misfits, ...]]:
        plain = numpy_mask(pc.match_substring_regex(fields, _PLAIN_REAL)) & ~absent
        with_e = pc.replace_substring_regex(pc.ascii_ltrim(fields, characters="+"), "[dD]", "e")
        numbers = pc.if_else(pa.array(plain), with_e, "0").cast(pa.float64()).to_numpy().copy()
        odd = np.zeros(len(fields), dtype=np.bool_)
        unclear = blank & ~absent
        for place in np.flatnonzero(~plain & ~absent & ~blank):
            value = self._number(fields[int(place)].as_py())
            odd[place] = value is None
            numbers[place] = 0.0 if value is None else value
        large = np.isinf(numbers) & numpy_mask(pc.match_substring_regex(fields, "[0-9]"))
        return numbers, _found(
            Misfits(odd, "not a number"),
            Misfits(large, "outside the range of an 8-byte floating point number"),
            Misfits(unclear, "a blank number: 0 by the standard, missing to many readers; TNULL = '' says the latter"),
        )

    def _number(self, text: str) -> float | None:
        """Return the number of a field as the standard reads it, None if it is none."""
        if text.lstrip("+-").lower() in _NOT_FINITE:
            return float(text)
        if not (found := _REAL.fullmatch(text)):
            return None
        sign, digits, exponent, bare = found.groups()
        shift = 0 if "." in digits else self.decimals
        return float(f"{sign}{digits}e{int(exponent or bare or 0) - shift}")


def ascii_columns(keywords: Keywords, notes: list[str]) -> list[AsciiColumn]:
    """Return the columns of an ASCII table.

    Parameters
    ----------
    notes
        Takes what should be known of keywords that mean nothing.

    Raises
    ------
    ContributionError
        If a column's keywords make no sense, or it reaches beyond the line.
    """
    return [_column(keywords, number, notes) for number in range(1, keywords.whole("TFIELDS") + 1)]


def _column(keywords: Keywords, number: int, notes: list[str]) -> AsciiColumn:
    form = _FORM.fullmatch(keywords.text(f"TFORM{number}").strip())
    if not form:
        raise keywords.wrong(f"TFORM{number}", "a format of ASCII tables, such as A8, I6 or F8.3")
    letter, width = form[1] or "F", int(form[2] or form[4])
    at = keywords.whole(f"TBCOL{number}") - 1
    if at < 0 or at + width > keywords.whole("NAXIS1"):
        raise ContributionError(
            f"{keywords.place}: column {number} has the characters {at + 1} to {at + width} of lines that have "
            f"{keywords.whole('NAXIS1')}",
            detail=f"TBCOL{number} and TFORM{number} say so.",
        )
    null = None
    name = column_name(keywords, number)
    if f"TNULL{number}" in keywords:
        value = keywords.value(f"TNULL{number}")
        is_whole = isinstance(value, int) and not isinstance(value, bool)  # unquoted text, as some write it
        null = str(value) if is_whole else keywords.text(f"TNULL{number}")
        if len(null) > width:
            notes.append(f'column "{name}": TNULL{number} = {null!r} is wider than its {width} characters')
    return AsciiColumn(
        name=name,
        letter=letter,
        at=at,
        width=width,
        decimals=int(form[5] or 0),
        null=null if letter == "A" or null is None else null.strip(),
        scaling=_scaling(keywords, number, letter),
    )


def _scaling(keywords: Keywords, number: int, letter: str) -> Scaling:
    if letter == "A":
        return Scaling(stored=np.dtype("i8"))
    scale, zero = keywords.number(f"TSCAL{number}", 1), keywords.number(f"TZERO{number}", 0)
    if scale == 0:
        raise keywords.wrong(f"TSCAL{number}", "a number other than 0")
    return Scaling(stored=np.dtype("i8" if letter == "I" else "f8"), scale=scale, zero=zero)


def _found(*unfit: Misfits) -> tuple[Misfits, ...]:
    return tuple(each for each in unfit if each.where.any())
