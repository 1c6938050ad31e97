"""Columns of FITS tables, byte by byte as the FITS standard 4.0 says: each value is right or its row rejected."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fits_tables import column, fits_bytes, opened, read

from qserv_py.errors import ContributionError, UserError

INT16_LEAST, INT64_LEAST, INT64_MOST = -(2**15), -(2**63), 2**63 - 1


def given(tmp_path: Path, content: bytes, **options: Any) -> tuple[list[Any], list[tuple[int, str]]]:
    """Return the values of the column ``x`` of a file, and the rejected rows with the reasons."""
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    values, rejected = read(path, **options)
    assert {name for _, name, _ in rejected} <= {"x"}
    return values["x"], [(row, reason) for row, _, reason in rejected]


def packed(format: str, *values: Any) -> list[bytes]:
    return [struct.pack(">" + format, value) for value in values]


@pytest.mark.parametrize(
    ("form", "code", "stored", "cards", "values"),
    [
        ("B", "B", [0, 7, 255], {"TNULL": 255}, [0, 7, None]),
        ("1B", "B", [0, 128, 255], {"TZERO": -128}, [-128, 0, 127]),
        ("1B", "B", [0, 128, 255], {"TZERO": -128, "TNULL": 0}, [None, 0, 127]),
        ("I", "h", [INT16_LEAST, 0, 32767], {}, [INT16_LEAST, 0, 32767]),
        ("I", "h", [INT16_LEAST, 0, 32767], {"TZERO": 32768}, [0, 32768, 65535]),
        ("I", "h", [INT16_LEAST, 0, 32767], {"TZERO": 32768.0, "TNULL": 0}, [0, None, 65535]),
        ("I", "h", [INT16_LEAST, 100, 200], {"TSCAL": 0.5, "TNULL": INT16_LEAST}, [None, 50.0, 100.0]),
        ("I", "h", [INT16_LEAST, 1, 2], {"TZERO": 100000}, [67232, 100001, 100002]),
        ("J", "i", [-(2**31), 0, 2**31 - 1], {"TZERO": 2**31}, [0, 2**31, 2**32 - 1]),
        ("J", "i", [-(2**31), 0, 5], {"TNULL": -(2**31), "TSCAL": 2, "TZERO": 1}, [None, 1.0, 11.0]),
        ("K", "q", [INT64_LEAST, 0, INT64_MOST], {"TZERO": 2**63}, [0, 2**63, 2**64 - 1]),
        ("K", "q", [INT64_LEAST, 0, INT64_MOST], {"TZERO": b"9.223372036854775808E18"}, [0, 2**63, 2**64 - 1]),
        ("K", "q", [INT64_LEAST, -1, INT64_MOST], {"TZERO": 2**63, "TNULL": -1}, [0, None, 2**64 - 1]),
        ("K", "q", [INT64_MOST, 2**62 + 1, 1], {"TNULL": INT64_MOST}, [None, 2**62 + 1, 1]),
        ("K", "q", [INT64_LEAST, 2**62 + 1, 1], {"TZERO": 1}, [INT64_LEAST + 1, 2**62 + 2, 2]),
        ("J", "i", [0, -1, 1], {"TZERO": 2**63}, [2**63, 2**63 - 1, 2**63 + 1]),
        ("E", "f", [0.1, np.inf, 3.0], {}, [float(np.float32(0.1)), np.inf, 3.0]),
        ("E", "f", [0.5, 1.5, 3.0], {"TSCAL": 3, "TZERO": 0.25}, [1.75, 4.75, 9.25]),
        ("D", "d", [0.1, -np.inf, 1e300], {"TNULL": 0}, [0.1, -np.inf, 1e300]),
        ("L", "c", [b"T", b"F", b"\0"], {}, [True, False, None]),
        ("X", "B", [0x80, 0x00, 0xFF], {}, [True, False, True]),
        ("1J", "i", [1, 2, 3], {"TDIM": "(1)"}, [1, 2, 3]),
        ("1D", "d", [1, 2, 3], {"TDIM": "(1,1)", "TDISP": "F8.3"}, [1.0, 2.0, 3.0]),
    ],
)
def test_numbers(
    tmp_path: Path, form: str, code: str, stored: list[Any], cards: dict[str, object], values: list[Any]
) -> None:
    found, rejected = given(tmp_path, column(form, packed(code, *stored), **cards))
    assert not rejected
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("form", "code", "stored", "cards", "values", "reason"),
    [
        ("L", "c", [b"T", b"1"], {}, [True, None], "neither T, F nor a zero byte"),
        ("L", "c", [b"T", b" "], {}, [True, None], "neither T, F nor a zero byte"),
        ("K", "q", [0, INT64_MOST], {"TZERO": 1}, [1, None], "with TZERO it is outside"),
        ("K", "q", [0, INT64_LEAST], {"TZERO": -1}, [-1, None], "with TZERO it is outside"),
        ("K", "q", [4, 2**53 + 1], {"TSCAL": 0.5}, [2.0, None], r"beyond 2\^53"),
        ("D", "d", [1.0, 1e300], {"TSCAL": b"1E10"}, [1e10, None], "outside the range of an 8-byte"),
    ],
)
def test_values_that_cannot_be_given_reject_their_row(
    tmp_path: Path, form: str, code: str, stored: list[Any], cards: dict[str, object], values: list[Any], reason: str
) -> None:
    found, rejected = given(tmp_path, column(form, packed(code, *stored), **cards))
    assert found == values
    assert [row for row, _ in rejected] == [2]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(rejected[0][1])


def test_nan_stays(tmp_path: Path) -> None:
    found, rejected = given(tmp_path, column("E", packed("f", 1.0, np.nan), TSCAL=2))
    assert not rejected
    assert found[0] == 2.0
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("form", "cells", "values"),
    [
        ("5A", [b"abc\0\0", b"\0\0\0\0\0", b"     "], ["abc", None, ""]),
        ("5A", [b"x\0yz ", b"  x  ", b"a b \0"], ["x", "  x", "a b "]),
        ("5A", [b"a \0yz", b"  \0\0\0", b"    \0"], ["a ", "  ", "    "]),
        ("3A", [b"\0ab", b"a\tb", "é!".encode()], [None, "a\tb", "é!"]),
        ("A", [b"a", b" ", b"\0"], ["a", "", None]),
        ("4A4", [b"abcd", b"0012", b"-1  "], ["abcd", "0012", "-1"]),
    ],
)
def test_texts(tmp_path: Path, form: str, cells: list[bytes], values: list[str | None]) -> None:
    assert given(tmp_path, column(form, cells)) == (values, [])


def test_encodings(tmp_path: Path) -> None:
    content = column("4A", [b"caf\xe9", b"tea ", b"\xc3\xa9  "])
    values, rejected = given(tmp_path, content)
    assert values == [None, "tea", "é"]
    assert rejected == [(1, "a text that is not utf-8; --encoding latin-1 reads any")]
    assert given(tmp_path, content, encoding="latin-1") == (["café", "tea", "Ã©"], [])
    assert given(tmp_path, column("2A", [b"\xc1\xc2"]), encoding="cp037") == (["AB"], [])
    with pytest.raises(UserError, match='"klingon" is no encoding'):
        given(tmp_path, content, encoding="klingon")


@pytest.mark.parametrize("letter", ["P", "Q"])
def test_texts_of_varying_length(tmp_path: Path, letter: str) -> None:
    pairs = [(3, 0), (0, 99999), (5, 6), (3, 3), (2, 4), (-1, 0), (2, 10), (1, -1)]
    cells = [struct.pack(">2i" if letter == "P" else ">2q", *pair) for pair in pairs]
    values, rejected = given(tmp_path, column(f"1{letter}A(5)", cells, heap=b"abcde \0xyzw"))
    assert values == ["abc", "", None, "de ", "e ", None, None, None]
    assert rejected == [(row, "its descriptor points outside of the heap of 11 bytes") for row in (6, 7, 8)]


def test_the_heap_may_begin_behind_a_gap(tmp_path: Path) -> None:
    content = column("1PA(2)", packed("q", 2 << 32), heap=b"--ab", THEAP=10)
    assert given(tmp_path, content) == (["ab"], [])


def test_the_heap_does_not_begin_in_the_rows(tmp_path: Path) -> None:
    with pytest.raises(ContributionError, match="THEAP = 7 is not a place behind the rows, which have 8 bytes"):
        given(tmp_path, column("1PA(2)", packed("q", 2 << 32), heap=b"ab", THEAP=7))


def test_values_on_the_heap_are_cut_into_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qserv_py.ingest.files.fits.reader._BATCH_BYTES", 32)
    texts = [b"x" * length for length in (3, 10, 40, 0, 1, 9, 33, 5)]
    places = np.cumsum([0, *map(len, texts)])
    cells = [struct.pack(">2i", len(text), place) for text, place in zip(texts, places, strict=False)]
    path = tmp_path / "a.fits"
    path.write_bytes(column("PA", cells, heap=b"".join(texts)))
    batches = list(opened(path).batches(("x",)))
    assert [batch.rows.num_rows for batch in batches] == [2, 1, 1, 2, 1, 1]  # 32 bytes hold the descriptors of 4 rows
    assert [value for batch in batches for value in batch.rows.column("x").to_pylist()] == [t.decode() for t in texts]
    assert [number for batch in batches for number in batch.numbers.tolist()] == list(range(1, 9))


def test_values_far_apart_on_the_heap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qserv_py.ingest.files.fits.heap._GAPS_READ", 4)
    cells = [struct.pack(">2i", *pair) for pair in [(2, 90), (1, 0), (3, 40)]]
    heap = b"a" + bytes(39) + b"bcd" + bytes(47) + b"ef"
    assert given(tmp_path, column("PA", cells, heap=heap)) == (["ef", "a", "bcd"], [])


def test_values_in_any_order_on_the_heap_take_the_memory_of_their_bytes(tmp_path: Path) -> None:
    """Some lie behind, some over each other, some have no bytes; each is compared with its own slice of the heap."""
    chosen = np.random.default_rng(5)
    heap = bytes(chosen.integers(33, 127, 4_000_000, dtype=np.uint8))
    sizes = [0, 1, 4000, *chosen.integers(0, 1000, 8000).tolist()]
    places = [int(chosen.integers(0, len(heap) - size)) for size in sizes]
    path = tmp_path / "a.fits"
    path.write_bytes(column("QA", [struct.pack(">2q", *pair) for pair in zip(sizes, places, strict=True)], heap=heap))
    batches = opened(path).batches(("x",))
    tracemalloc.start()
    found = next(batches).rows.column("x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.to_pylist() == [heap[at : at + size].decode() for at, size in zip(places, sizes, strict=True)]
    assert peak < 4 * len(heap)


def test_a_text_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    cells = [struct.pack(">2q", *pair) for pair in [(2, 2**31), (2**31, 0)]]
    path.write_bytes(column("QA", cells).replace(b"PCOUNT  =                    0", b"PCOUNT  =           2147483650"))
    os.truncate(path, path.stat().st_size + 2**31 + 2880)  # without blocks on the disk
    values, rejected = read(path)
    assert values == {"x": [None, None]}
    assert rejected == [(2, "x", "it has more than 2147483647 bytes")]


@pytest.mark.parametrize(
    ("form", "heap", "values"),
    [("PJ", struct.pack(">2i", 5, -6), [5, -6]), ("QL", b"TF", [True, False]), ("PX", b"\x80\0", [True, False])],
)
def test_single_numbers_on_the_heap(tmp_path: Path, form: str, heap: bytes, values: list[Any]) -> None:
    code, size = (">2q" if form[0] == "Q" else ">2i"), len(heap) // 2
    cells = [struct.pack(code, 1, place * size) for place in range(2)]
    assert given(tmp_path, column(form, cells, heap=heap)) == (values, [])
    with pytest.raises(ContributionError, match="holds arrays of 0 to 1 elements, not single values"):
        given(tmp_path, column(form, [cells[0], struct.pack(code, 0, 0)], heap=heap))


@pytest.mark.parametrize(
    ("form", "size", "cards", "what"),
    [
        ("3J", 12, {}, "arrays of 3 elements"),
        ("6E", 24, {"TDIM": "(2,3)"}, r"arrays of shape \(2, 3\)"),
        ("8X", 1, {}, "arrays of 8 bits"),
        ("C", 8, {}, "complex numbers"),
        ("M", 16, {}, "complex numbers"),
        ("1PC(1)", 8, {}, "complex numbers"),
        ("6A", 6, {"TDIM": "(3,2)"}, "arrays of 2 texts"),
        ("6A2", 6, {}, "arrays of 3 texts"),
        ("6A:SSTR3", 6, {}, "arrays of 2 texts"),
        ("6A", 6, {"TDIM": "(3)"}, r"texts of 6 characters in the shape \(3,\)"),
    ],
)
def test_what_is_not_single(tmp_path: Path, form: str, size: int, cards: dict[str, object], what: str) -> None:
    path = tmp_path / "a.fits"
    sizes = {"NAXIS1": 4 + size, "NAXIS2": 2, "TFIELDS": 2}
    named = {"TTYPE1": "id", "TFORM1": "J", "TTYPE2": "x", "TFORM2": form}
    content = {**sizes, **named, **{f"{key}2": value for key, value in cards.items()}}
    path.write_bytes(fits_bytes(content, bytes(2 * (4 + size))))
    assert opened(path).names == ("id", "x")
    assert read(path) == ({"id": [0, 0]}, [])
    with pytest.raises(ContributionError, match=f'"x" of .* holds {what}, not single values'):
        read(path, "id", "x")


def test_columns_without_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    named = {"TTYPE1": "none", "TFORM1": "0J", "TTYPE2": "x", "TFORM2": "B", "TTYPE3": "empty", "TFORM3": "0A"}
    path.write_bytes(fits_bytes({"NAXIS1": 1, "NAXIS2": 2, "TFIELDS": 3, **named}, b"\1\2"))
    assert read(path) == ({"x": [1, 2], "empty": ["", ""]}, [])
    with pytest.raises(ContributionError, match='"none" of .* holds no values, not single values'):
        read(path, "none")


@pytest.mark.parametrize(
    ("form", "cards", "message"),
    [
        ("Z", {}, "TFORM1 = 'Z' is not a format of binary tables"),
        ("2PJ", {}, "TFORM1 = '2PJ' is not a format"),
        ("J", {"TNULL": "9"}, "TNULL1 = '9' is not a whole number"),
        ("J", {"TNULL": b"9.5"}, "TNULL1 = 9.5 is not a whole number"),
        ("J", {"TZERO": "2147483648"}, "TZERO1 = '2147483648' is not a number"),
        ("J", {"TSCAL": 0}, "TSCAL1 = 0 is not a number other than 0"),
        ("J", {"TNULL": b"!?"}, "keyword TNULL1 cannot be read"),
        ("4A", {"TDIM": "4x1"}, r"TDIM1 = '4x1' is not a shape"),
        ("2J", {}, "a row has 4 bytes, its columns have 8"),
        ("J", {"TFORM": 5}, "TFORM1 = 5 is not a text"),
        ("J", {"TTYPE": b"'\xe9'"}, "keyword TTYPE1 cannot be read"),
        ("J", {"ZTABLE": True}, ""),
    ],
)
def test_keywords_that_make_no_sense(tmp_path: Path, form: str, cards: dict[str, object], message: str) -> None:
    if "ZTABLE" in cards:
        content = column(form, [bytes(4)]).replace(b"TTYPE1  = 'x       '", b"ZTABLE  =          T")
        message = "is a compressed table"
    else:
        content = column(form, [bytes(4)], **cards)
    with pytest.raises(ContributionError, match=message):
        given(tmp_path, content)


def test_keywords_that_mean_nothing_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    for form, cards, told in (
        ("D", {"TNULL": -999}, "TNULL1 = -999 means nothing, NaN is NULL in floating point columns"),
        ("8A", {"TNULL": "none"}, "TNULL1 = 'none' means nothing, only whole numbers have one"),
        ("2I", {}, ""),
        ("K", {"TNULL": 2**63}, "is no number that the column can hold, so it has no NULL"),
    ):
        path.write_bytes(column(form, [bytes(4 if form == "2I" else 8)] * 2, **cards))
        notes = opened(path).notes
        assert len(notes) == bool(told)
        assert all(told in note for note in notes)


@pytest.mark.parametrize("rows", [2, 10**9, 2**62])
def test_more_rows_than_a_file_can_have(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(fits_bytes({"NAXIS1": 2000, "NAXIS2": rows, "TFIELDS": 1, "TFORM1": "2000A"}, bytes(2000)))
    with pytest.raises(ContributionError, match=f"HDU 1 is cut off, without {rows - 1:,} of {rows:,} rows"):
        opened(path)


def test_repeated_keywords(tmp_path: Path) -> None:
    content = column("J", [bytes(4)])
    same = content.replace(b"TFIELDS =", b"NAXIS1  =                    4".ljust(80) + b"TFIELDS =", 1)
    other = content.replace(b"TFIELDS =", b"TFORM1  = '1J'".ljust(80) + b"TFIELDS =", 1)
    fitted = [text[:2880] + text[2880:5760] + text[5840:] for text in (same, other)]  # 80 fewer blanks behind END
    assert given(tmp_path, fitted[0]) == ([0], [])
    with pytest.raises(ContributionError, match="HDU 1 has the keyword TFORM1 twice"):
        given(tmp_path, fitted[1])


def test_names(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    forms = {f"TFORM{number}": "B" for number in range(1, 4)}
    sizes = {"NAXIS1": 3, "NAXIS2": 1, "TFIELDS": 3}
    path.write_bytes(fits_bytes({**sizes, **forms, "TTYPE1": "Ra  ", "TTYPE2": "ra"}, b"abc"))
    assert opened(path).names == ("Ra", "ra", "col3")
    path.write_bytes(fits_bytes({**sizes, **forms, "TTYPE1": "ra", "TTYPE3": "ra"}, b"abc"))
    with pytest.raises(ContributionError, match='names column "ra" more than once'):
        opened(path)


def test_long_names_go_on_in_the_next_card(tmp_path: Path) -> None:
    long = "n" * 100
    card = f"'{long[:60]}&'".ljust(70) + "CONTINUE  '" + long[60:] + "'"
    path = tmp_path / "a.fits"
    path.write_bytes(column("B", [b"a"], TTYPE=card.encode().ljust(150)))
    assert opened(path).names == (long,)


def test_tables_without_rows_have_types(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    cards = {"NAXIS1": 10, "NAXIS2": 0, "TFIELDS": 2, "TTYPE1": "x", "TFORM1": "I", "TZERO1": 32768, "TFORM2": "PA"}
    path.write_bytes(fits_bytes(cards, b""))
    batches = list(opened(path).batches(("x", "col2")))
    assert [str(batch.rows.schema.field("x").type) for batch in batches] == ["uint16"]
    assert batches[0].rows.num_rows == 0


def test_what_the_header_says_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(
        column("D", packed("d", 1.0), TUNIT="deg", TUCD="pos.eq.ra;meta.main", TCOMM="of the barycentre").replace(
            b"TFIELDS ", b"RADESYS = 'FK5     '".ljust(80) + b"TFIELDS ", 1
        )[:-80]
    )
    assert opened(path).described["x"] == {
        "unit": "deg", "ucd": "pos.eq.ra;meta.main", "description": "of the barycentre", "frame": "FK5"
    }  # fmt: skip
