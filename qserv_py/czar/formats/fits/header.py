"""The headers of a FITS file with one table."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from astropy.io import fits

from qserv_py.czar.formats.fits.columns import FitsColumn

BLOCK = 2880
"""Bytes that a header, and the data after it, are a multiple of."""

_CARD_TEXT = 70
"""Characters of a HISTORY card."""


_SIGNS = str.maketrans(
    {
        "\N{MICRO SIGN}": "u",
        "\N{GREEK SMALL LETTER MU}": "u",
        "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}": "Angstrom",
        "\N{ANGSTROM SIGN}": "Angstrom",
        "\N{DEGREE SIGN}": "deg",
        "\N{GREEK CAPITAL LETTER OMEGA}": "Ohm",
        "\N{OHM SIGN}": "Ohm",
    }
)
"""Signs that units may have, and how FITS writes them."""


def primary_header() -> bytes:
    """Return the header of a primary array that is not there."""
    cards = fits.Header()
    cards["SIMPLE"] = (True, "FITS")
    cards["BITPIX"] = 8
    cards["NAXIS"] = 0
    cards["EXTEND"] = True
    return _as_bytes(cards)


def header_of(
    columns: Sequence[FitsColumn],
    *,
    rows: int,
    width: int,
    heap: int,
    infos: Sequence[tuple[str, str]],
    why_cut: str,
) -> bytes:
    """Return the header of the table.

    Parameters
    ----------
    columns
        The columns, settled.
    rows, width
        Number of rows, and bytes of each.
    heap
        Bytes after the rows.
    infos
        Names and values that become HISTORY.
    why_cut
        Why rows were left out, which QSTATUS says; empty when none were.
    """
    cards = fits.Header()
    cards["XTENSION"] = "BINTABLE"
    cards["BITPIX"] = 8
    cards["NAXIS"] = 2
    cards["NAXIS1"] = (width, "bytes of a row")
    cards["NAXIS2"] = (rows, "rows")
    cards["PCOUNT"] = (heap, "bytes of the heap")
    cards["GCOUNT"] = 1
    cards["TFIELDS"] = (len(columns), "columns")
    for number, column in enumerate(columns, 1):
        _describe(cards, number, column)
    cards["QSTATUS"] = ("OVERFLOW", why_cut) if why_cut else ("OK", "OVERFLOW where rows are left out")
    for name, value in infos:
        for line in textwrap.wrap(_printable(f"{name}: {value}"), _CARD_TEXT):
            cards.add_history(line)
    return _as_bytes(cards)


def _describe(cards: fits.Header, number: int, column: FitsColumn) -> None:
    cards[f"TTYPE{number}"] = column.name
    cards[f"TFORM{number}"] = column.form
    if column.is_whole and column.has_null:
        cards[f"TNULL{number}"] = column.null
    about = column.about.column
    for keyword, text in (("TUNIT", _unit(about.unit)), ("TUCD", about.ucd), ("TCOMM", about.description)):
        if text := _printable(text).strip():
            cards[f"{keyword}{number}"] = text


def _unit(text: str) -> str:
    """Return a unit in ASCII; nothing rather than another unit."""
    plain = text.translate(_SIGNS)
    return plain if plain.isascii() else ""


def _printable(text: str) -> str:
    """Return text as a header can hold it: printable ASCII."""
    return "".join(character if " " <= character <= "~" else "?" for character in " ".join(text.split()))


def _as_bytes(cards: fits.Header) -> bytes:
    return str(cards.tostring()).encode("ascii")
