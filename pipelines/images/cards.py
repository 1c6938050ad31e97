"""Headers as mappings: what a FITS file keeps of them, and how they come back.

Every value comes back as it was, floating-point numbers to the last bit (FITS allows more digits than most writers
use). NaN is a card without a value. Cards that describe the file and not the image stay with the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
from astropy.io import fits

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.exposure import HeaderValue

COMMENTS = ("COMMENT", "HISTORY")
"""Cards without a value; the lines of a header's are one text here."""

_OF_THE_FILE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|EXTNAME|EXTVER|EXTLEVEL|INHERIT"
    r"|CHECKSUM|DATASUM|LONGSTRN|TFIELDS|Z(IMAGE|TABLE|SIMPLE|EXTEND|BITPIX|NAXIS\d*|TILE\d+|CMPTYPE|NAME\d+|VAL\d+)|"
)
_RESERVED = ("END", "CONTINUE", "HIERARCH")
_PLAIN = re.compile(r"[A-Z0-9_-]{1,8}")
_LONG = re.compile(r"[!-<>-~]+( [!-<>-~]+)*")  # of HIERARCH: words of ASCII without an equals sign
_TEXT = re.compile(r"[ -~]*")
_CARD = 80
_LINE = 72  # characters of a comment in a card


def header_of(cards: Mapping[str, HeaderValue]) -> fits.Header:
    """Return the FITS header of a mapping.

    Raises
    ------
    ImageFileError
        If FITS has no card for a keyword or a value; names it.
    """
    header = fits.Header()
    seen: dict[str, str] = {}
    for written, value in cards.items():
        key = written.upper().removeprefix("HIERARCH ")
        if _OF_THE_FILE.fullmatch(key):
            continue
        if key in seen:
            raise ImageFileError(f'the header has "{seen[key]}" and "{written}", which are one keyword in FITS')
        seen[key] = written
        if key in COMMENTS:
            _append_comment(header, key, value)
        else:
            header.append(_card(key, value), end=True)
    return header


def cards_of(*headers: fits.Header) -> dict[str, HeaderValue]:
    """Return the mapping of FITS headers; where several have a keyword, the first counts."""
    cards: dict[str, HeaderValue] = {}
    for header in headers:
        for card in header.cards:
            key = str(card.rawkeyword).upper()  # not astropy's reading of "a: 1" as keyword a with value 1
            if _OF_THE_FILE.fullmatch(key):
                continue
            if key in COMMENTS:
                cards.setdefault(key, "\n".join(str(line) for line in header[key]))
            elif key not in cards:
                value = card.rawvalue
                cards[key] = math.nan if isinstance(value, fits.card.Undefined) else value
    return cards


def _card(key: str, value: object) -> fits.Card:
    if key in _RESERVED or not (_PLAIN.fullmatch(key) or _LONG.fullmatch(key)):
        raise ImageFileError(
            f'"{key}" cannot be a keyword of a FITS header', hint="Use ASCII letters, digits, - and _; no equals sign."
        )
    start = f"{key:<8}= " if _PLAIN.fullmatch(key) else f"HIERARCH {key} = "
    match value:
        case bool() | np.bool_():
            text = "T" if value else "F"
        case int() | np.integer():
            text = str(int(value))
        case float() | np.floating():
            text = _number(key, float(value))
        case str():
            return _text_card(key, start, value)
        case _:
            kind = type(value).__name__
            raise ImageFileError(f'header card "{key}" is a {kind}; FITS knows text, numbers and truth values')
    image = f"{start}{text:>20}" if len(start) + 20 <= _CARD else start + text
    if len(image) > _CARD:
        raise ImageFileError(
            f'header card "{key}" with its value {text} is longer than the {_CARD} characters of a card'
        )
    return fits.Card.fromstring(image)


def _number(key: str, value: float) -> str:
    if math.isinf(value):
        raise ImageFileError(f'header card "{key}" is infinite, which FITS cannot say', hint="Leave the card out.")
    return "" if math.isnan(value) else repr(value).upper()


def _text_card(key: str, start: str, value: str) -> fits.Card:
    if not _TEXT.fullmatch(value):
        raise ImageFileError(f'header card "{key}" is {value!r}; FITS takes printable ASCII characters only')
    marks = [mark.replace("'", "''") for mark in value]
    if len(start) + len("".join(marks)) + 2 <= _CARD:
        return fits.Card.fromstring(f"{start}'{''.join(marks):8}'")
    room = _CARD - len(start) - len("''&")
    if room < 2:
        raise ImageFileError(f'header card "{key}" has no room for its value in the {_CARD} characters of a card')
    cards, more = [], True
    while more:
        piece = ""
        while marks and len(piece) + len(marks[0]) <= room:
            piece += marks.pop(0)
        more = bool(marks) or piece.endswith("&")  # a text that ends so needs one more card, an empty one
        cards.append(f"{start}'{piece}{'&' if more else ''}'")
        start, room = "CONTINUE  ", _CARD - len("CONTINUE  ''&")
    return fits.Card.fromstring("".join(card.ljust(_CARD) for card in cards))


def _append_comment(header: fits.Header, key: str, value: object) -> None:
    for line in str(value).split("\n"):
        if not _TEXT.fullmatch(line):
            raise ImageFileError(
                f'header card "{key}" has the line {line!r}; FITS takes printable ASCII characters only'
            )
        for start in range(0, max(len(line), 1), _LINE):
            header.append(fits.Card(key, line[start : start + _LINE]), end=True)
