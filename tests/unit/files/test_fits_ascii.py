"""ASCII tables of FITS: fields by the FITS standard 4.0, section 7.2, and as cfitsio's and STIL's readers have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fits_tables import fits_bytes, opened, read

from qserv_py.errors import ContributionError

NO_NUMBER, TOO_LARGE, BLANK = "not a number", "outside the range of an 8-byte", "a blank number"


def table(form: str, fields: list[bytes], **cards: object) -> bytes:
    """Return an ASCII table of one column ``x``, whose fields stand behind a character of no field."""
    width = 2 + len(fields[0])
    named = {"TTYPE1": "x", "TFORM1": form, "TBCOL1": 2, **{f"{key}1": value for key, value in cards.items()}}
    content = b"".join(b"|" + field + b"|" for field in fields)
    return fits_bytes({"NAXIS1": width, "NAXIS2": len(fields), "TFIELDS": 1, **named}, content, table="TABLE")


def given(tmp_path: Path, content: bytes) -> tuple[list[Any], list[tuple[int, str]]]:
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    values, rejected = read(path)
    return values["x"], [(row, reason) for row, _, reason in rejected]


@pytest.mark.parametrize(
    ("form", "fields", "cards", "values"),
    [
        ("A4", [b"ab  ", b"  ab", b"    "], {}, ["ab", "  ab", ""]),
        ("A4", [b"ab  ", b"none", b" nil"], {"TNULL": "none"}, ["ab", None, " nil"]),
        ("A4", [b"ab  ", b"    ", b"\0\0\0\0"], {"TNULL": ""}, ["ab", None, None]),
        ("I5", [b"   12", b"+5   ", b" -007"], {}, [12, 5, -7]),
        ("I5", [b"   12", b"  -99", b"-99  "], {"TNULL": "-99"}, [12, None, None]),
        ("I5", [b"   12", b" -99 "], {"TNULL": -99}, [12, None]),
        ("I5", [b"   12", b"     ", b"*****"], {"TNULL": "*****"}, [12, 0, None]),
        ("I5", [b"   12", b"     ", b"    0"], {"TNULL": " "}, [12, None, 0]),
        ("I19", [b"9223372036854775807", b"     -0000000000001", b"+000000000000000001"], {}, [2**63 - 1, -1, 1]),
        ("I20", [b"-9223372036854775808", b"00000000000000000001"], {}, [-(2**63), 1]),
        ("I5", [b"   12", b"   -1"], {"TZERO": 10, "TSCAL": 1}, [22, 9]),
        ("I5", [b"   12", b"   -1"], {"TZERO": b"0.5", "TSCAL": 2}, [24.5, -1.5]),
        ("F8.2", [b"    1.50", b"-.5     ", b"     5.0"], {}, [1.5, -0.5, 5.0]),
        ("F8.2", [b"     123", b"      -1", b"   12345"], {}, [1.23, -0.01, 123.45]),  # the point is implied
        ("F8.0", [b"     123", b"      -1", b"   12345"], {}, [123.0, -1.0, 12345.0]),
        ("E9.3", [b"1.5E+02  ", b"  1.5D-2 ", b"   1.5+2 "], {}, [150.0, 0.015, 150.0]),
        ("D9.3", [b"1.5e+02  ", b"  1.5d-2 ", b"   1500E0"], {}, [150.0, 0.015, 1.5]),
        ("E9.3", [b"     +1.5", b"  1.5E308", b"   .1E-9 "], {}, [1.5, 1.5e308, 1e-10]),
        ("E9.3", [b"      1.5", b"     -99.", b"  -99.   "], {"TNULL": "-99."}, [1.5, None, None]),
        ("E9.3", [b"      1.5", b"         "], {"TNULL": ""}, [1.5, None]),
        ("F4.1", [b" 1.5", b"-2.5"], {"TSCAL": 10, "TZERO": 1}, [16.0, -24.0]),
        ("F4.1", [b" inf", b"-INF"], {}, [np.inf, -np.inf]),  # astropy writes them so
    ],
)  # fmt: skip
def test_fields(
    tmp_path: Path, form: str, fields: list[bytes], cards: dict[str, object], values: list[Any]
) -> None:  # fmt: skip
    found, rejected = given(tmp_path, table(form, fields, **cards))
    assert not rejected
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("form", "field", "reason"),
    [
        ("I4", b"1.5 ", "not a whole number"),
        ("I4", b"1 2 ", "not a whole number"),
        ("I4", b"--2 ", "not a whole number"),
        ("I4", b"1_00", "not a whole number"),
        ("I19", b"9223372036854775808", "outside -9223372036854775808 to 9223372036854775807"),
        ("F6.2", b"1.5.2 ", NO_NUMBER),
        ("F6.2", b"1 .5  ", NO_NUMBER),
        ("F6.2", b"0x1.p0", NO_NUMBER),
        ("F6.2", b"1,5   ", NO_NUMBER),
        ("E8.2", b"1.0E+400", TOO_LARGE),
        ("E8.2", b"-1.0D999", TOO_LARGE),
        ("F6.2", b"      ", BLANK),
        ("F6.2", b"\xb2.5   ", "not utf-8"),
    ],
)
def test_fields_that_are_no_value_reject_their_row(tmp_path: Path, form: str, field: bytes, reason: str) -> None:
    one = b"1" if form[0] == "I" else b"1."
    found, rejected = given(tmp_path, table(form, [one.ljust(len(field)), field]))
    assert found == [1, None]
    assert rejected[0][0] == 2
    assert reason in rejected[0][1]


def test_nan_stays(tmp_path: Path) -> None:
    found, rejected = given(tmp_path, table("E5.1", [b"  NaN", b" 1.5 "]))
    assert not rejected
    assert np.isnan(found[0])


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"TFORM": "5A"}, "TFORM1 = '5A' is not a format of ASCII tables"),
        ({"TFORM": "I"}, "TFORM1 = 'I' is not a format of ASCII tables"),
        ({"TBCOL": 0}, "column 1 has the characters 0 to 4 of lines that have 7"),
        ({"TBCOL": 4}, "column 1 has the characters 4 to 8 of lines that have 7"),
        ({"TBCOL": -3}, "TBCOL1 = -3 is not a whole number from 0 to"),
        ({"TNULL": True}, "TNULL1 = True is not a text"),
        ({"TSCAL": "a"}, "TSCAL1 = 'a' is not a number"),
    ],
)
def test_keywords_that_make_no_sense(tmp_path: Path, cards: dict[str, object], message: str) -> None:
    with pytest.raises(ContributionError, match=message):
        given(tmp_path, table("I5", [b"    1"], **cards))


def test_fields_may_overlap_and_stand_in_any_order(tmp_path: Path) -> None:
    cards = {"NAXIS1": 6, "NAXIS2": 2, "TFIELDS": 2, "TFORM1": "I2", "TBCOL1": 4, "TFORM2": "A6", "TBCOL2": 1}
    path = tmp_path / "a.fits"
    path.write_bytes(fits_bytes(cards, b"ab 12\nxyz34\n", table="TABLE"))
    assert read(path) == ({"col1": [12, 34], "col2": ["ab 12\n", "xyz34\n"]}, [])


def test_a_null_that_no_field_can_hold_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(table("I2", [b" 1"], TNULL="-999"))
    assert ["TNULL1 = '-999' is wider than its 2 characters" in note for note in opened(path).notes] == [True]
