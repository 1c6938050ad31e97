"""FITS tables as astropy reads them: widths, NULLs, the heap, headers, limits."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.units import Unit
from support import fits_tables
from support.answers import Rows, column, stream_of, written

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.czar.formats import find_format
from qserv_py.errors import EvaluationError, UserError, WorkerUnavailableError


def read(columns: Sequence[OutputColumn], rows: Rows, **settings: Any) -> Any:
    """Return the table's HDU; astropy finds the file in order."""
    document = written("fits", columns, rows, **settings)
    assert len(document) % 2880 == 0
    opened = fits.open(io.BytesIO(document))
    opened.verify("exception")
    assert len(opened) == 2
    return opened[1]


@pytest.mark.parametrize(
    ("kind", "letter", "values"),
    [
        (DataType.BYTE, "1I", [0, 255, None, -1]),
        (DataType.SHORT, "1I", [0, 2**15 - 1, -(2**15), None]),
        (DataType.INT, "1J", [0, 2**31 - 1, -(2**31), None]),
        (DataType.LONG, "1K", [0, 2**63 - 1, -(2**63), None]),
    ],
)
def test_whole_numbers(kind: DataType, letter: str, values: list[int | None]) -> None:
    hdu = read([column("x", kind)], [[value] for value in values])
    assert hdu.header["TFORM1"] == letter
    null = hdu.header["TNULL1"]
    assert null not in values
    assert [None if value == null else value for value in hdu.data["x"].tolist()] == values


def test_no_null_no_tnull() -> None:
    assert "TNULL1" not in read([column("x", DataType.INT)], [[1], [2]]).header


def test_no_number_left_for_null() -> None:
    rows = [[value - 2**15] for value in range(64)] + [[None]]
    with pytest.raises(UserError, match='(?m)^column "x" has NULLs, but FITS has no number left to write them as$'):
        written("fits", [column("x", DataType.SHORT)], rows)


@pytest.mark.parametrize("kind", [DataType.FLOAT, DataType.DOUBLE])
def test_real_numbers(kind: DataType) -> None:
    values = [0.0, -1.5, math.inf, -math.inf, 0.1, math.nan, None]
    found = read([column("x", kind)], [[value] for value in values]).data["x"]
    assert np.array_equal(found, np.array([*values[:5], math.nan, math.nan], dtype=found.dtype), equal_nan=True)


def test_booleans() -> None:
    document = written("fits", [column("x", DataType.BOOLEAN)], [[True], [False], [None]])
    assert document[2880 * 2 : 2880 * 2 + 3] == b"TF\0"


def test_text_times_and_bytes() -> None:
    columns = [
        column("s", DataType.STRING),
        column("u", DataType.UNICODE),
        column("t", DataType.TIMESTAMP),
        column("b", DataType.BINARY),
    ]
    rows = [
        ["abc", "~ !", datetime(2020, 1, 2, 3, 4, 5, 6), b"\0\xff\x01"],
        ["", "two lines", None, b""],
        [None, None, datetime(1, 1, 1), None],
        ["longest of all", "", datetime(2020, 1, 1), b"\x07"],
    ]
    hdu = read(columns, rows)
    assert [hdu.header[f"TFORM{number}"] for number in range(1, 5)] == ["14A", "9A", "26A", "1QB(3)"]
    assert list(hdu.data["s"]) == ["abc", "", "", "longest of all"]
    assert list(hdu.data["u"]) == ["~ !", "two lines", "", ""]
    assert list(hdu.data["t"])[:2] == ["2020-01-02T03:04:05.000006", ""]
    assert [np.asarray(value).tolist() for value in hdu.data["b"]] == [[0, 255, 1], [], [], [7]]


@pytest.mark.parametrize("odd", ["é", "🔭", "two\nlines", "a\tb", "\x7f"])
def test_what_fits_cannot_hold_is_refused(odd: str) -> None:
    shown = re.escape(repr(odd))
    with pytest.raises(EvaluationError, match=f'(?m)^column "x" holds {shown}, which a text of FITS cannot hold$'):
        read([column("x", DataType.TEXT)], [["a"], [odd]])


def test_a_long_text_goes_to_the_heap() -> None:
    """Else every row would have its width."""
    rows = [["x" * 5000], ["y"], [None], ["z" * 7]]
    hdu = read([column("x", DataType.TEXT), column("n", DataType.INT)], [[*row, 1] for row in rows])
    assert hdu.header["TFORM1"] == "1QA(5000)"
    assert hdu.header["NAXIS1"] == 20
    assert ["".join(value) for value in hdu.data["x"]] == ["x" * 5000, "y", "", "z" * 7]


@pytest.mark.parametrize("longest", [1, 2, 3, 1001])
def test_texts_come_back_as_they_were(tmp_path: Path, longest: int) -> None:
    """NULL, nothing and blanks are three different things, in the rows as on the heap."""
    texts = [None, "", " ", "a"[:longest], ("b" * longest)[:-1] + " ", " " * longest, "c" * longest, None, ""]
    path = tmp_path / "a.fits"
    path.write_bytes(written("fits", [column("x", DataType.TEXT)], [[text] for text in texts]))
    assert fits_tables.read(path) == ({"x": texts}, [])
    with fits.open(path) as opened:
        assert opened[1].header["TFORM1"] == (f"{longest + 1}A" if longest < 1000 else f"1QA({longest})")
    only = ["", None]
    path.write_bytes(written("fits", [column("x", DataType.TEXT)], [[text] for text in only]))
    assert fits_tables.read(path) == ({"x": only}, [])


def test_arrays() -> None:
    arrays = {"p": pa.list_(pa.float64()), "s": pa.list_(pa.float64()), "n": pa.list_(pa.int32())}
    columns = [
        column("p", DataType.DOUBLE, xtype="point"),
        column("s", DataType.DOUBLE, xtype="polygon"),
        column("n", DataType.INT),
    ]
    rows = [[[1, 2], [1, 2, 3], [1, 7]], [None, None, None], [[3, 4], [], [-(2**31)]], [[5, 6], [9, 9], []]]
    hdu = read(columns, rows, arrays=arrays)
    assert [hdu.header[f"TFORM{number}"] for number in (1, 2, 3)] == ["2D", "1QD(3)", "1QJ(2)"]
    assert np.array_equal(hdu.data["p"], [[1, 2], [math.nan] * 2, [3, 4], [5, 6]], equal_nan=True)
    assert [np.asarray(value).tolist() for value in hdu.data["s"]] == [[1, 2, 3], [], [], [9, 9]]
    assert "TNULL3" not in hdu.header, "astropy's Table.read fails on it"
    assert [np.asarray(value).tolist() for value in hdu.data["n"]] == [[1, 7], [], [-(2**31)], []]


@pytest.mark.filterwarnings("ignore:It is strongly recommended")
@pytest.mark.parametrize("name", ["x" * 63, "x" * 80, "y" * 300, "a'b" * 30])
def test_long_names(name: str) -> None:
    """Astropy fails on a whole file with a name that does not fit into one card."""
    document = written("fits", [column(name, DataType.INT), column(name + "z", DataType.INT)], [[1, 2]])
    first, second = Table.read(io.BytesIO(document), format="fits").colnames
    assert name.startswith(first)
    assert len(first) >= 31
    assert second == f"{first}_2" or second == name + "z"


@pytest.mark.parametrize("unit", ["µm", "μJy", "Å", "Ω"])
def test_units_with_signs(unit: str) -> None:
    document = written("fits", [column("x", DataType.INT, unit=unit)], [[1]])
    assert Table.read(io.BytesIO(document), format="fits")["x"].unit == Unit(unit)


def test_a_unit_that_fits_cannot_hold_is_left_out() -> None:
    assert "TUNIT1" not in read([column("x", DataType.INT, unit="☉")], [[1]]).header


def test_names() -> None:
    columns = [column(text, DataType.INT) for text in ("a", "A", "a", "é t", "it's", "a_2", " ")]
    names = read(columns, [[1] * 7]).columns.names
    assert names == ["a", "A_3", "a_4", "_ t", "it's", "a_2", "_"]
    assert len({name.lower() for name in names}) == len(names)


def test_header() -> None:
    known = column(
        "f", DataType.FLOAT, unit="nJy", ucd="phot.flux", description="flux é of \n" + "a very long story " * 9
    )
    query = "SELECT 'it''s'\nFROM " + "t" * 200
    hdu = read([known], [[1.0]], infos=(("QUERY", query),), is_cut=True)
    assert (hdu.header["TUNIT1"], hdu.header["TUCD1"]) == ("nJy", "phot.flux")
    assert hdu.header["TCOMM1"].startswith("flux ? of a very long story")
    assert hdu.header["QSTATUS"] == "OVERFLOW"
    assert "".join(hdu.header["HISTORY"]).replace(" ", "") == f"QUERY: {query}".replace(" ", "").replace("\n", "")


def test_no_rows() -> None:
    columns = [column("n", DataType.INT), column("t", DataType.TEXT), column("b", DataType.BINARY)]
    hdu = read(columns, [])
    assert hdu.header["NAXIS2"] == 0
    assert len(hdu.data) == 0


def test_many_columns() -> None:
    columns = [column(f"c{number}", DataType.SHORT) for number in range(1000)]
    hdu = read(columns[:999], [list(range(999))])
    assert hdu.data[0][998] == 998
    with pytest.raises(UserError, match="(?m)^the answer has 1000 columns, a FITS table at most 999$"):
        written("fits", columns, [list(range(1000))])


def test_an_answer_that_breaks_off_writes_nothing() -> None:
    source = find_format("fits").write(stream_of([column("x", DataType.INT)], [[k] for k in range(9)], fails_after=7))
    with pytest.raises(WorkerUnavailableError):
        next(source)


def test_an_array_of_another_size() -> None:
    with pytest.raises(EvaluationError, match="holds an array of 3 elements, its values have 2"):
        written(
            "fits", [column("p", DataType.DOUBLE, xtype="point")], [[[1, 2, 3]]], arrays={"p": pa.list_(pa.float64())}
        )


def test_the_spool_is_where_it_was_asked_for(tmp_path: Path) -> None:
    stream = stream_of([column("x", DataType.INT)], [[k] for k in range(9)])
    place = tmp_path / "spill"
    assert b"".join(find_format("fits").write(replace(stream, spool_dir=place))).startswith(b"SIMPLE  =")
    assert list(place.iterdir()) == [], "it has no name, so nothing of it is left"
