"""Tables that astropy writes come back as they were; damaged files are refused or give rows, never a traceback."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fits_tables import opened, read

from qserv_py.errors import ContributionError

DATA = Path(__file__).parents[1] / "data" / "fits"

_TYPES = {
    "B": ("u1", None), "I": ("i2", None), "J": ("i4", None), "K": ("i8", None),
    "sB": ("i1", -(2**7)), "uI": ("u2", 2**15), "uJ": ("u4", 2**31), "uK": ("u8", 2**63),
    "E": ("f4", None), "D": ("f8", None), "L": ("?", None),
}  # fmt: skip
_TEXTS = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6), st.sampled_from(["", " ", "a ", "   "])
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fits")


@st.composite
def columns(draw: Any, rows: int) -> tuple[fits.Column, list[Any]]:
    """Give a column of astropy's, and the values that it must have."""
    letter = draw(st.sampled_from([*_TYPES, "A", "PA"]))
    if letter in ("A", "PA"):
        texts = draw(st.lists(_TEXTS, min_size=rows, max_size=rows))
        if letter == "A":  # astropy leaves out blanks at the end but one, and fills with zero bytes, so "" is NULL
            kept = [text.rstrip(" ") or " " if text else None for text in texts]
            return fits.Column("x", "6A", array=np.array(texts)), kept
        return fits.Column("x", "PA()", array=np.array(texts, dtype=object)), texts
    kind, zero = _TYPES[letter]
    if kind == "?":
        values = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
        return fits.Column("x", "L", array=np.array(values)), values
    if kind[0] == "f":
        numbers = st.floats(width=8 * int(kind[1]))  # type: ignore[arg-type]
    else:
        limits = np.iinfo(kind)
        numbers = st.one_of(st.integers(int(limits.min), int(limits.max)), st.sampled_from([limits.min, 0, limits.max]))
    values = [np.dtype(kind).type(value).item() for value in draw(st.lists(numbers, min_size=rows, max_size=rows))]
    null = None
    if kind[0] in "iu" and values and draw(st.booleans()):
        null = draw(st.sampled_from(values)) - (zero or 0)
        if zero and null in (63, 16959, 999999):  # what astropy writes, see docs/reference/fits-files.md
            null = None
    made = fits.Column("x", letter[-1], array=np.array(values, dtype=kind), bzero=zero, null=null)
    return made, [None if null is not None and value - (zero or 0) == null else value for value in values]


@st.composite
def tables(draw: Any) -> list[tuple[fits.Column, list[Any]]]:
    rows = draw(st.integers(0, 12))
    made = draw(st.lists(columns(rows), min_size=1, max_size=6))
    for number, (column, _) in enumerate(made):
        column.name = f"c{number}"
    return made


@settings(max_examples=60)
@given(table=tables())
def test_tables_of_astropy_come_back(folder: Path, table: list[Any]) -> None:
    path = folder / "a.fits"
    fits.BinTableHDU.from_columns([column for column, _ in table]).writeto(path, overwrite=True)
    found, rejected = read(path)
    assert not rejected
    for (_, values), mine in zip(table, found.values(), strict=True):
        assert len(mine) == len(values)
        for value, other in zip(values, mine, strict=True):
            is_nan = isinstance(value, float) and math.isnan(value)
            assert math.isnan(other) if is_nan else other == value and type(other) is type(value)


def _check_foreseen(error: ContributionError) -> None:
    """Fail when a library's exception was translated, which nobody foresaw."""
    assert "cannot be read as fits" not in str(error), error.detail


def damaged(content: bytes, places: list[tuple[float, int]], cut: float) -> bytes:
    changed = bytearray(content)
    for place, byte in places:
        changed[int(place * (len(content) - 1))] = byte
    return bytes(changed[: int(cut * len(changed))])


@pytest.mark.parametrize(
    "name", ["fitsio-ascii.fits", "fitsio-heap.fits", "fitsio-nulls.fits", "stilts-fits-plus.fits"]
)
@settings(max_examples=60)
@given(
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5),
    cut=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_damaged_files_are_refused_or_read(
    folder: Path, name: str, places: list[tuple[float, int]], cut: float
) -> None:
    path = folder / "a.fits"
    path.write_bytes(damaged((DATA / name).read_bytes(), places, cut))
    try:
        reader = opened(path)
        values, _ = read(path)
    except ContributionError as error:
        _check_foreseen(error)
        return
    assert {len(column) for column in values.values()} <= {reader.total_rows}


_OF_TABLE = ("XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP")
_OF_COLUMN = ("TFORM2", "TTYPE2", "TNULL2", "TSCAL2", "TZERO2", "TDIM2", "TBCOL2")
_KEYWORDS = st.sampled_from(_OF_TABLE + _OF_COLUMN)
_WRITTEN = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.sampled_from(["'1J'", "'9A'", "'PA(3)'", "'1QD'", "'(2,2)'", "'F5.2'", "''", "'", "T", "1D5", "9" * 60]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)


@pytest.mark.parametrize("name", ["fitsio-ascii.fits", "fitsio-heap.fits", "fitsio-nulls.fits"])
@settings(max_examples=60)
@given(keyword=_KEYWORDS, written=_WRITTEN)
def test_odd_keywords_are_refused_or_read(folder: Path, name: str, keyword: str, written: str) -> None:
    card = f"{keyword:<8}= {written}".ljust(80)[:80].encode()
    content = io.BytesIO((DATA / name).read_bytes())
    end = content.getvalue().index(b"END".ljust(80), 2880)
    place = content.getvalue().find(f"{keyword:<8}=".encode(), 2880)
    content.seek(place if place >= 0 else end)
    content.write(card if place >= 0 else card + b"END".ljust(80))
    path = folder / "a.fits"
    path.write_bytes(content.getvalue())
    try:
        read(path)
    except ContributionError as error:
        _check_foreseen(error)
