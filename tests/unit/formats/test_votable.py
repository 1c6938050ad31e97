"""VOTables as astropy reads them, in each serialisation: types, NULLs, odd text, arrays, broken answers."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse
from support.answers import Rows, column, stream_of, written

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.czar.formats import find_format
from qserv_py.errors import EvaluationError, WorkerUnavailableError

SERIALISATIONS = ["votable", "votable/b", "votable/td"]
every_serialisation = pytest.mark.parametrize("name", SERIALISATIONS)


def read(name: str, columns: Sequence[OutputColumn], rows: Rows, **settings: Any) -> Any:
    return parse(io.BytesIO(written(name, columns, rows, **settings)), verify="exception")


def one(name: str, kind: DataType, values: Sequence[Any]) -> Any:
    return read(name, [column("x", kind)], [[value] for value in values]).get_first_table().array["x"]


@every_serialisation
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (DataType.BYTE, [0, 255, None, -1]),
        (DataType.SHORT, [0, 2**15 - 1, -(2**15) + 1, None]),
        (DataType.INT, [0, 2**31 - 1, -(2**31) + 1, None]),
        (DataType.LONG, [0, 2**63 - 1, -(2**63) + 1, None]),
        (DataType.BOOLEAN, [True, False, None]),
    ],
)
def test_whole_numbers(name: str, kind: DataType, values: list[Any]) -> None:
    found = one(name, kind, values)
    assert [None if value is np.ma.masked else int(value) for value in found] == values


@pytest.mark.parametrize("kind", [DataType.SHORT, DataType.INT, DataType.LONG])
def test_the_least_number_is_no_null(kind: DataType) -> None:
    least = {DataType.SHORT: -(2**15), DataType.INT: -(2**31), DataType.LONG: -(2**63)}[kind]
    for name in ("votable", "votable/td"):
        assert [int(value) for value in one(name, kind, [least, 0])] == [least, 0]
    with pytest.raises(EvaluationError, match=f'(?m)^column "x" holds {least}, which means NULL in VOTable BINARY$'):
        one("votable/b", kind, [least, 0])


@every_serialisation
@pytest.mark.parametrize("kind", [DataType.FLOAT, DataType.DOUBLE])
def test_real_numbers(name: str, kind: DataType) -> None:
    values = [0.0, -1.5, math.inf, -math.inf, 0.1, 1e-30, math.nan, None]
    found = np.asarray(one(name, kind, values).data)
    assert found[:6].tolist() == np.array(values[:6], dtype=found.dtype).tolist()
    assert np.isnan(found[6:]).all()


def test_nan_is_no_null() -> None:
    """By its bit in BINARY2, by its word in TABLEDATA; astropy masks both, so the bytes are looked at."""
    root = ElementTree.fromstring(written("votable/td", [column("x", DataType.DOUBLE)], [[math.nan], [None]]))
    assert [cell.text for cell in root.findall(".//{*}TD")] == ["NaN", None]


@every_serialisation
@pytest.mark.parametrize("kind", [DataType.CHAR, DataType.STRING, DataType.UNICODE, DataType.TEXT])
def test_text(name: str, kind: DataType) -> None:
    values = ["", "abc", "<&>\"']]>", "two\nlines", " blanks ", "tab\tand\rreturn", None, "plain again"]
    found = [str(value) for value in one(name, kind, values)]
    if name == "votable/td":  # astropy strips cells
        values = [value and value.strip() for value in values]
    assert found[:6] + found[7:] == values[:6] + values[7:]


def test_blanks_stay_in_tabledata() -> None:
    root = ElementTree.fromstring(written("votable/td", [column("x", DataType.TEXT)], [[" a\r"], ["\n"]]))
    assert [cell.text for cell in root.findall(".//{*}TD")] == [" a\r", "\n"]


@every_serialisation
def test_unicode_text(name: str) -> None:
    values = ["", "abc", "é λ", "é 🔭 beyond the first plane", None, "plain again"]
    found = [str(value) for value in one(name, DataType.UNICODE, values)]
    assert found[:4] + found[5:] == values[:4] + values[5:]


@every_serialisation
@pytest.mark.parametrize("kind", [kind for kind in DataType if kind.is_text and kind is not DataType.ASCII])
def test_any_text_keeps_its_characters(name: str, kind: DataType) -> None:
    """Readers take VOTable's char for ASCII: astropy refuses other bytes in a binary stream, stilts changes them."""
    assert [str(value) for value in one(name, kind, ["é🔭x", "abc"])] == ["é🔭x", "abc"]


@pytest.mark.parametrize("odd", ["\x00", "a\x1fb", "\ufffe", "é\uffff"])
def test_what_xml_cannot_hold_is_refused(odd: str) -> None:
    shown = re.escape(repr(odd))
    with pytest.raises(EvaluationError, match=f'(?m)^column "x" holds {shown}, which VOTable TABLEDATA cannot hold$'):
        written("votable/td", [column("x", DataType.TEXT)], [["a"], [odd]])
    assert [str(value) for value in one("votable", DataType.TEXT, ["a", odd])] == ["a", odd]


def test_what_xml_cannot_hold_in_words() -> None:
    document = read(
        "votable/td", [column("n\x01", DataType.TEXT, description="d\x02")], [["a"]], infos=(("Q", "\x03"),)
    )
    table = document.get_first_table()
    assert (table.fields[0].name, table.fields[0].description) == ("n\ufffd", "d\ufffd")
    assert document.resources[0].infos[1].value == "\ufffd"


@every_serialisation
def test_times_and_bytes(name: str) -> None:
    columns = [column("t", DataType.TIMESTAMP), column("b", DataType.BINARY)]
    rows = [[datetime(2020, 1, 2, 3, 4, 5, 678), b"\0\xff"], [datetime(1, 1, 1), None], [None, b""]]
    table = read(name, columns, rows).get_first_table()
    assert table.fields[0].xtype == "timestamp"
    assert [str(value) for value in table.array["t"]][:2] == [
        "2020-01-02T03:04:05.000678",
        "0001-01-01T00:00:00.000000",
    ]
    assert np.asarray(table.array["b"][0]).tolist() == [0, 255]
    assert all(not np.ma.compressed(value).size for value in table.array["b"][1:])


ARRAYS = {
    "p": pa.list_(pa.float64()),
    "c": pa.list_(pa.float64(), 3),
    "s": pa.list_(pa.float64()),
    "n": pa.list_(pa.int64()),
    "f": pa.list_(pa.float32()),
}
ARRAY_COLUMNS = [
    column("p", DataType.DOUBLE, xtype="point", unit="deg"),
    column("c", DataType.DOUBLE, xtype="circle"),
    column("s", DataType.DOUBLE, xtype="polygon"),
    column("n", DataType.LONG),
    column("f", DataType.FLOAT),
]
ARRAY_ROWS = [
    [[1.5, -2.5], [1, 2, 3], [0, 0, 1, 0, 1, 1], [1, None, 3], [0.5]],
    [None, None, None, None, None],
    [[0, 90], [4, 5, 6], [0, 0, 1, 0, 1, 1, 0.5, 2], [], [math.inf, math.nan, None]],
]


@every_serialisation
def test_arrays(name: str) -> None:
    table = read(name, ARRAY_COLUMNS, ARRAY_ROWS, arrays=ARRAYS).get_first_table()
    assert [field.arraysize for field in table.fields] == ["2", "3", "*", "*", "*"]
    assert [field.datatype for field in table.fields] == ["double", "double", "double", "long", "float"]
    assert [field.xtype for field in table.fields] == ["point", "circle", "polygon", None, None]
    first, none, last = table.array
    assert [np.asarray(first[key]).tolist() for key in "pcs"] == ARRAY_ROWS[0][:3]
    assert first["n"].tolist() == [1, None, 3]
    assert np.ma.getmaskarray(none["p"]).all() or np.isnan(np.ma.getdata(none["p"])).all()
    assert [np.ma.compressed(np.ma.atleast_1d(none[key])).size for key in "snf"] == [0, 0, 0]
    assert len(last["s"]) == 8
    assert np.array_equal(np.ma.getdata(last["f"]), [math.inf, math.nan, math.nan], equal_nan=True)


def test_tabledata_of_an_array_that_is_null() -> None:
    text = written("votable/td", ARRAY_COLUMNS, ARRAY_ROWS[1:2], arrays=ARRAYS).decode()
    assert "<TR><TD>NaN NaN</TD><TD>NaN NaN NaN</TD><TD></TD><TD></TD><TD></TD></TR>" in text


def test_an_array_of_another_size() -> None:
    with pytest.raises(EvaluationError, match=r'(?m)^column "p" holds an array of 3 elements, its values have 2$'):
        written("votable", [ARRAY_COLUMNS[0]], [[[1, 2, 3]]], arrays={"p": ARRAYS["p"]})


def test_what_is_known_of_a_column() -> None:
    known = column("f", DataType.FLOAT, unit="nJy", ucd="phot.flux", description="a < b & c")
    [field] = read("votable", [known], []).get_first_table().fields
    assert (field.name, str(field.unit), field.ucd, field.description) == ("f", "nJy", "phot.flux", "a < b & c")


@every_serialisation
def test_no_rows_and_odd_names(name: str) -> None:
    columns = [column(text, DataType.INT) for text in ("a", "A_2", "q\"<&>'", "é", " ", "1")]
    # astropy's strict reading takes no letters beyond ASCII in an ID, though XML does
    table = parse(io.BytesIO(written(name, columns, []))).get_first_table()
    assert [field.name for field in table.fields] == [about.name for about in columns]
    assert len(table.array) == 0


@every_serialisation
def test_many_columns(name: str) -> None:
    columns = [column(f"c{number}", DataType.DOUBLE) for number in range(1600)]
    rows = [[float(row * number) if number != 7 else None for number in range(1600)] for row in range(5)]
    table = read(name, columns, rows).get_first_table().array
    assert [float(value) for value in table["c1599"]] == [0.0, 1599.0, 3198.0, 4797.0, 6396.0]
    assert np.ma.getmaskarray(table["c7"]).all()
    assert not np.ma.getmaskarray(table["c8"]).any()


def test_infos() -> None:
    query = "SELECT \"a\" FROM t\n\tWHERE b < '&'"
    document = read("votable", [column("a", DataType.INT)], [], infos=(("QUERY", query), ("JOB", "j1")))
    infos = [(info.name, info.value) for info in document.resources[0].infos]
    assert infos == [("QUERY_STATUS", "OK"), ("QUERY", query), ("JOB", "j1")]


@every_serialisation
def test_overflow_stands_after_the_table(name: str) -> None:
    text = written(name, [column("a", DataType.INT)], [[1], [2]], is_cut=True).decode()
    overflow = '<INFO name="QUERY_STATUS" value="OVERFLOW">'
    assert text.index("</TABLE>") < text.index(overflow) < text.index("</RESOURCE>")
    assert len(parse(io.BytesIO(text.encode())).get_first_table().array) == 2


@every_serialisation
def test_an_answer_that_breaks_off_is_whole_xml(name: str) -> None:
    columns = [column("a", DataType.INT), column("t", DataType.TEXT)]
    chunks: list[bytes] = []
    with pytest.raises(WorkerUnavailableError, match="gone"):
        chunks.extend(find_format(name).write(stream_of(columns, [[k, "x" * k] for k in range(9)], fails_after=7)))
    document = parse(io.BytesIO(b"".join(chunks)), verify="exception")
    assert document.get_first_table().array["a"].tolist() == list(range(7))
    error = ElementTree.fromstring(b"".join(chunks)).findall(".//{*}RESOURCE/{*}INFO")[-1]
    assert (error.get("name"), error.get("value")) == ("QUERY_STATUS", "ERROR")
    assert error.text == 'worker "w2" <is> gone\nHINT: Try again & again.'


@every_serialisation
def test_an_answer_that_fails_at_once_writes_nothing(name: str) -> None:
    source = find_format(name).write(stream_of([column("a", DataType.INT)], [], fails_after=0))
    with pytest.raises(WorkerUnavailableError):
        next(source)


def test_a_defect_does_not_tell_its_details() -> None:
    stream = stream_of([column("a", DataType.INT)], [[1]])

    def batches() -> Any:
        yield from stream.batches
        raise ZeroDivisionError("secret")

    chunks: list[bytes] = []
    with pytest.raises(ZeroDivisionError):
        chunks.extend(find_format("votable").write(replace(stream, batches=batches())))
    assert b'value="ERROR">an internal error ended the query</INFO>' in chunks[-1]
    assert b"secret" not in b"".join(chunks)
