"""The units (HDUs) of a FITS file: what the header of each says, where its data lies, and whether all of it is there.

The walk from header to header is done here and not by astropy, which ends it in silence where a header is damaged. Of a
header only the keywords that describe tables are read; astropy reads their values.

References
----------
FITS Standard 4.0 (2018), sections 3, 4.1, 4.4.1 and 7.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from astropy.io.fits import Card
from astropy.io.fits.card import Undefined
from astropy.io.fits.verify import VerifyError

from qserv_py.counts import counted
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.decompressed import FileBytes

BLOCK = 2880
"""Bytes that a header, and the data after it, are filled up to a multiple of."""

_CARD = 80
_LARGEST = float("inf")
_TOO_MANY = 1 << 63
_BITPIX = (8, 16, 32, 64, -32, -64)
_TABLES = {"BINTABLE": "BINTABLE", "A3DTABLE": "BINTABLE", "TABLE": "TABLE"}
_READ = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS[0-9]*|PCOUNT|GCOUNT|GROUPS|TFIELDS|THEAP|EXTNAME|EXTVER|DATASUM|ZTABLE|ZIMAGE|XT_ICOL|XT_NCOL"
    r"|RADE(CSYS|SYS|[1-9][0-9]*)|EQUI(NOX|[1-9][0-9]*)"
    r"|(XT )?T(TYPE|FORM|BCOL|NULL|SCAL|ZERO|DIM|UNIT|UCD|COMM|CTYP)[1-9][0-9]*"
)
_WIDE = re.compile(rb"HIERARCH (XT T[A-Z]+[0-9]+) *= ")
"""Keywords of columns beyond 998 by STIL's convention."""

_TOLD = re.compile(r"DATASUM|(XT )?T(UNIT|UCD|COMM|CTYP)[1-9][0-9]*|RADE(CSYS|SYS|[1-9][0-9]*)|EQUI(NOX|[1-9][0-9]*)")
"""Keywords that only describe: one that cannot be read is treated as missing."""


@dataclass(frozen=True, slots=True)
class Keywords:
    """The keywords of one header that describe a table."""

    place: str
    """Name of the file and number of the unit, for messages."""

    values: Mapping[str, object]
    repeated: Mapping[str, tuple[object, object]]
    """Keywords that stand twice with different values; that is an error where one of them is needed."""

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.repeated

    def value(self, name: str, default: object = None) -> object:
        """Return a value of any type."""
        if name in self.repeated:
            one, other = self.repeated[name]
            raise ContributionError(f"{self.place} has the keyword {name} twice", detail=f"{one!r} and {other!r}")
        return self.values.get(name, default)

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a whole number from 0 on that has 63 bits."""
        value = self.value(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _TOO_MANY:
            raise self.wrong(name, "a whole number from 0 to 2^63 - 1")
        return value

    def text(self, name: str) -> str:
        """Return a text without blanks at its end; empty when it is not there."""
        value = self.value(name, "")
        if not isinstance(value, str):
            raise self.wrong(name, "a text")
        return value.rstrip()

    def number(self, name: str, default: int) -> int | float:
        """Return a number."""
        value = self.value(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
            raise self.wrong(name, "a number")
        return value

    def flag(self, name: str) -> bool:
        """Return whether it is there and true."""
        return self.value(name, False) is True

    def wrong(self, name: str, needed: str) -> ContributionError:
        """Return the error for a value that a keyword cannot have."""
        if name not in self.values:
            return ContributionError(f"{self.place} has no keyword {name}", detail=f"It must be {needed}.")
        return ContributionError(f"{self.place}: {name} = {self.values[name]!r} is not {needed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit of a file."""

    number: int
    """Number of the unit, the primary one being 0."""

    keywords: Keywords
    data_at: int
    data_bytes: int

    @property
    def end(self) -> int:
        """Byte at which the data of the unit end, without what fills up the last block."""
        return self.data_at + self.data_bytes

    @property
    def table(self) -> str:
        """``BINTABLE`` or ``TABLE``; empty for what is no table, such as an image (a compressed one, too)."""
        name = str(self.keywords.value("XTENSION", "")).rstrip()
        return "" if self.keywords.flag("ZIMAGE") else _TABLES.get(name, "")


def units_of(file: FileBytes) -> Iterator[Unit]:
    """Yield the units of a file, the last of which may be cut off.

    Raises
    ------
    ContributionError
        If it is no FITS file, or a header is cut off or does not say how long its data is.
    """
    at, number = 0, 0
    while _begins_unit(file, at, number):
        place = f"{file.path}, HDU {number}"
        cards, data_at = _header(file, at, place)
        keywords = _keywords(cards, place)
        if number == 0 and not keywords.flag("SIMPLE"):
            raise ContributionError(
                f"{file.path} says that it does not follow the FITS standard", detail="SIMPLE is not T"
            )
        length = _data_bytes(keywords)
        yield Unit(number=number, keywords=keywords, data_at=data_at, data_bytes=length)
        at, number = data_at + length + -length % BLOCK, number + 1


def _begins_unit(file: FileBytes, at: int, number: int) -> bool:
    """Return whether a unit begins at a place; other bytes behind the last unit are not looked at."""
    begin = file.read(at, min(9, file.size - at)) if at < file.size else b""
    if number == 0:
        if begin != b"SIMPLE  =":
            raise ContributionError(
                f"{file.path} is no FITS file",
                detail="It does not begin with SIMPLE.",
                hint="--format says what a file is when its suffix does not.",
            )
        return True
    return begin == b"XTENSION="


def _header(file: FileBytes, at: int, place: str) -> tuple[list[bytes], int]:
    """Return the cards of a header, and where its data begins."""
    cards: list[bytes] = []
    while at + _CARD <= file.size:
        block = file.read(at, min(BLOCK, file.size - at))
        at += BLOCK
        for start in range(0, len(block) - _CARD + 1, _CARD):
            card = block[start : start + _CARD]
            if card[:8] == b"END     ":
                return cards, at
            cards.append(card)
    raise ContributionError(f"{place}: the header has no end", hint="The file is cut off.")


def _keywords(cards: list[bytes], place: str) -> Keywords:
    values: dict[str, object] = {}
    repeated: dict[str, tuple[object, object]] = {}
    for keyword, value in _values(cards, place):
        if values.setdefault(keyword, value) != value:
            repeated[keyword] = (values[keyword], value)
    return Keywords(place, {key: value for key, value in values.items() if key not in repeated}, repeated)


def _values(cards: list[bytes], place: str) -> Iterator[tuple[str, object]]:
    """Yield the keywords that describe tables, with their values."""
    for number, card in enumerate(cards):
        keyword = card[:8].decode("latin-1").rstrip()
        if keyword == "HIERARCH" and (wide := _WIDE.match(card)):
            keyword = wide[1].decode()
        if not _READ.fullmatch(keyword):
            continue
        last = number + 1
        while last < len(cards) and cards[last][:10] == b"CONTINUE  ":
            last += 1
        try:
            value = _value(b"".join(cards[number:last]))
        except (ValueError, VerifyError) as error:
            if _TOLD.fullmatch(keyword):
                continue
            raise ContributionError(
                f"{place}: keyword {keyword} cannot be read", detail=" ".join(str(error).split())
            ) from error
        if not isinstance(value, Undefined):
            yield keyword, value


def _value(image: bytes) -> object:
    if image[8:10] != b"= " and not _WIDE.match(image):
        raise ValueError("it has no value")
    if not all(32 <= byte < 127 for byte in image):
        raise ValueError("there are characters beside printable ASCII")
    value: object = Card.fromstring(image).value
    return value


def _data_bytes(keywords: Keywords) -> int:
    """Return the length of a unit's data, without what fills up its last block."""
    bitpix = keywords.value("BITPIX")
    if bitpix not in _BITPIX:
        raise keywords.wrong("BITPIX", f"one of {', '.join(map(str, _BITPIX))}")
    sides = [keywords.whole(f"NAXIS{axis}") for axis in range(1, keywords.whole("NAXIS") + 1)]
    if not sides:
        return 0
    if sides[0] == 0 and keywords.flag("GROUPS"):  # random groups, the predecessor of tables
        sides = sides[1:]
    elements = keywords.whole("GCOUNT", 1) * (keywords.whole("PCOUNT", 0) + math.prod(sides))
    return abs(int(str(bitpix))) // 8 * elements


def oddities(file: FileBytes, units: Sequence[Unit], chosen: Unit) -> Iterator[str]:
    """Yield what is odd of a file beside the table that is read."""
    last = units[-1]
    if last.end > file.size and last is not chosen:
        yield f"HDU {last.number} of {file.path} is cut off"
    behind = file.size - (last.end + -last.end % BLOCK)
    if behind > 0:
        yield f"{counted(behind, 'byte')} passed over behind HDU {last.number} of {file.path}: no HDU begins there"


def check_whole(file: FileBytes, unit: Unit) -> None:
    """Raise ContributionError if the data of a table is cut off; says how many rows."""
    lost = unit.end - file.size
    if lost <= 0:
        return
    rows, width = unit.keywords.whole("NAXIS2"), unit.keywords.whole("NAXIS1")
    held = max(0, file.size - unit.data_at)
    whole = min(rows, held // width) if width else rows
    what = f"{rows - whole:,} of {counted(rows, 'row')}" if whole < rows else "its heap"
    raise ContributionError(
        f"{unit.keywords.place} is cut off, without {what}",
        detail=f"The file is {counted(lost, 'byte')} too short.",
        hint="Copy the file again.",
    )


def names_of(unit: Unit) -> tuple[str, ...]:
    """Return what a table may be called: EXTNAME, and EXTNAME,EXTVER as cfitsio writes it."""
    name = str(unit.keywords.values.get("EXTNAME", "")).strip()
    version = unit.keywords.values.get("EXTVER")
    if not name:
        return ()
    return (name, f"{name},{version}") if isinstance(version, int) else (name,)
