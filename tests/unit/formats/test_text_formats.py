"""CSV, TSV, JSON, HTML and the table for people, read again by what users read them with."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from support.answers import column, stream_of, written

from qserv_py.catalog.types import DataType
from qserv_py.czar.formats import find_format
from qserv_py.errors import WorkerUnavailableError

COLUMNS = (
    column("id", DataType.LONG, ucd="meta.id"),
    column("flux", DataType.DOUBLE, unit="nJy"),
    column("mag", DataType.FLOAT),
    column('text, "quoted"', DataType.UNICODE, description="a < b"),
    column("good", DataType.BOOLEAN),
    column("at", DataType.TIMESTAMP),
    column("stamp", DataType.BINARY),
    column("place", DataType.DOUBLE, xtype="point", unit="deg"),
    column("id_2", DataType.SHORT),
)
ARRAYS = {"place": pa.list_(pa.float64())}
ROWS = [
    (2**63 - 1, 0.1, 0.1, "a", True, datetime(2020, 1, 2, 3, 4, 5, 6), b"\x00\xff", [1.5, 2], 1),
    (-(2**63), math.inf, -math.inf, "é 🔭", False, datetime(1, 1, 1), b"", [0, None], -(2**15)),
    (0, math.nan, math.nan, ' "x", \n\ty', None, None, None, None, None),
    (None, None, None, None, None, None, None, None, None),
    (1, 1e-300, 1.5, "", True, datetime(2020, 1, 1), b"a", [-1, 1e300], 3),
]


def made(name: str, **settings: Any) -> str:
    return written(name, COLUMNS, ROWS, arrays=ARRAYS, **settings).decode()


@pytest.mark.parametrize(("name", "delimiter", "end"), [("csv", ",", "\r\n"), ("tsv", "\t", "\n")])
def test_delimited(name: str, delimiter: str, end: str) -> None:
    text = made(name)
    assert text.endswith(f"{delimiter}3{end}")
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert header == [about.name for about in COLUMNS]
    assert rows[0] == [
        "9223372036854775807",
        "0.1",
        "0.1",
        "a",
        "true",
        "2020-01-02T03:04:05.000006",
        "00ff",
        "1.5 2.0",
        "1",
    ]
    assert rows[1][1:4] == ["Infinity", "-Infinity", "é 🔭"]
    assert rows[1][7] == "0.0 NULL"
    assert rows[2][1:4] == ["NaN", "NaN", ' "x", \n\ty']
    assert rows[3] == [""] * 9
    assert rows[4][:4] == ["1", "1e-300", "1.5", ""]
    assert len(rows) == len(ROWS)
    assert made(f"{name}-no-header") == text[len(text.split(end)[0]) + len(end) :]


def test_csv_tells_null_from_empty() -> None:
    columns = [column("n", DataType.INT), column("t", DataType.TEXT)]
    assert (
        written("csv-no-header", columns, [[1, None], [2, ""], [None, "x y"], [4, " "]])
        == b'1,\r\n2,""\r\n,x y\r\n4," "\r\n'
    )


@pytest.mark.parametrize("kind", [DataType.INT, DataType.TEXT])
def test_csv_of_one_column_has_no_empty_lines(kind: DataType) -> None:
    """Readers skip those, so a row would be lost."""
    text = written("csv", [column("x", kind)], [[None], [None]]).decode()
    assert text == 'x\r\n""\r\n""\r\n'
    assert len(pd.read_csv(io.StringIO(text))) == 2


@pytest.mark.parametrize(
    ("kind", "empty", "arrays"),
    [(DataType.BINARY, b"", {}), (DataType.DOUBLE, [], {"x": pa.list_(pa.float64())})],
)
def test_csv_of_one_column_tells_of_empty_values(kind: DataType, empty: Any, arrays: dict[str, pa.DataType]) -> None:
    assert written("csv", [column("x", kind)], [[empty]], arrays=arrays) == b'x\r\n""\r\n'


def test_csv_is_read_by_arrow_and_pandas() -> None:
    columns = [about for about in COLUMNS if not about.name.startswith("id")]
    text = written("csv", columns, [row[1:8] for row in ROWS], arrays=ARRAYS)
    table = pa_csv.read_csv(
        io.BytesIO(text),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            null_values=[""],
            quoted_strings_can_be_null=False,
            strings_can_be_null=True,
            column_types={"flux": pa.float64(), "at": pa.timestamp("us")},
        ),
    )
    assert repr(table["flux"].to_pylist()) == repr([row[1] for row in ROWS])
    assert table["at"].to_pylist() == [row[5] for row in ROWS]
    assert table['text, "quoted"'].to_pylist() == [row[3] for row in ROWS]
    frame = pd.read_csv(io.BytesIO(text))
    assert frame["flux"].tolist()[:2] == [0.1, math.inf]


@pytest.mark.parametrize("name", ["csv", "tsv", "json", "html", "table"])
def test_no_rows(name: str) -> None:
    text = written(name, COLUMNS, [], arrays=ARRAYS).decode()
    if name == "json":
        assert json.loads(text)["data"] == []
    elif name == "html":
        assert "<tbody>\n</tbody>" in text
    else:
        assert text.count("\n") == (2 if name == "table" else 1)


def refuse(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


def test_json() -> None:
    document = json.loads(made("json", infos=(("QUERY", 'a "q"\n'),)), parse_constant=refuse)
    assert document["infos"] == [{"name": "QUERY", "value": 'a "q"\n'}]
    assert document["metadata"][0] == {
        "name": "id",
        "datatype": "long",
        "ucd": "meta.id",
        "unit": None,
        "description": None,
    }
    assert document["metadata"][1] == {
        "name": "flux",
        "datatype": "double",
        "unit": "nJy",
        "description": None,
    }
    assert document["metadata"][3]["description"] == "a < b"
    time = {"name": "at", "datatype": "char", "arraysize": "*", "xtype": "timestamp"}
    assert time.items() <= document["metadata"][5].items()
    assert document["metadata"][7]["arraysize"] == "2"
    assert document["data"][0] == [
        2**63 - 1,
        0.1,
        0.1,
        "a",
        True,
        "2020-01-02T03:04:05.000006",
        "00ff",
        [1.5, 2],
        1,
    ]
    assert document["data"][1][1:4] == ["Infinity", "-Infinity", "é 🔭"]
    assert document["data"][1][7] == [0, None]
    assert document["data"][2][1:4] == ["NaN", "NaN", ' "x", \n\ty']
    assert document["data"][3] == [None] * 9
    assert len(document["data"]) == len(ROWS)
    assert document["status"] == "OK"


def test_json_of_every_control_character() -> None:
    odd = "".join(map(chr, range(0x21))) + '"\\/\x7f\u2028\ufffe'
    document = json.loads(written("json", [column(odd, DataType.TEXT)], [[odd], ["plain"], [odd + "é"]]))
    assert document["data"] == [[odd], ["plain"], [odd + "é"]]
    assert document["metadata"][0]["name"] == odd


@pytest.mark.parametrize(("name", "mark"), [("json", '"status": "OVERFLOW"'), ("html", "There are more rows")])
def test_overflow(name: str, mark: str) -> None:
    assert mark in made(name, is_cut=True)
    assert mark not in made(name)


class Cells(HTMLParser):
    """Takes the texts of cells, and demands that elements are closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"td", "th"}:
            self.cells.append("")
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and {"td", "th"} & set(self.open):
            self.cells[-1] += data


def test_html() -> None:
    hostile = "<script>alert('x')</script>&amp;\x00"
    columns = [column(hostile, DataType.TEXT, unit=hostile, description='" onload="x'), column("n", DataType.INT)]
    text = written("html", columns, [[hostile, 1], [None, None]], infos=((hostile, hostile),)).decode()
    assert "<script" not in text
    assert ' onload="' not in text
    parser = Cells()
    parser.feed(text)
    assert parser.open == []
    shown = hostile.replace("\x00", "\ufffd")
    assert parser.cells == [shown * 2, "n", shown, "1", "", ""]


def test_table_for_people() -> None:
    lines = made("table").splitlines()
    assert len(lines) == 2 + len(ROWS), "a line break in a value does not break the line"
    assert lines[0].split()[0] == "id"
    assert "00ff" in lines[2]
    assert lines[5] == ""
    assert " 1.5  " in lines[6]
    assert (
        written("table", [column("x", DataType.DOUBLE)], [[1.0], [None], [-20.0]]) == b"    x\n-----\n  1.0\n\n-20.0\n"
    )


def test_table_cuts_long_values_and_hides_control_characters() -> None:
    text = written("table", [column("text", DataType.TEXT)], [["x" * 500], ["\x1b[31mred\u202e"]]).decode()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(len(line) for line in text.splitlines()) == 60
    assert text.splitlines()[2].endswith("x…")


@pytest.mark.parametrize("name", ["csv", "tsv", "json", "html", "table", "parquet", "arrow"])
def test_an_answer_that_breaks_off_raises(name: str) -> None:
    chunks: list[bytes] = []
    with pytest.raises(WorkerUnavailableError):
        chunks.extend(
            find_format(name).write(stream_of([column("a", DataType.INT)], [[k] for k in range(9)], fails_after=7))
        )
    assert chunks or name == "parquet", "what came before was written; a row group of Parquet was not whole"
    assert not find_format(name).tells_errors
    assert not b"".join(chunks).endswith((b"}\n", b"</html>\n", b"PAR1"))


@pytest.mark.parametrize("name", ["csv", "tsv", "json", "html", "table"])
def test_many_columns(name: str) -> None:
    columns = [column(f"c{number}", DataType.INT) for number in range(1600)]
    text = written(name, columns, [list(range(1600))] * 3).decode()
    if name == "json":
        assert json.loads(text)["data"] == [list(range(1600))] * 3
    else:
        assert text.count("1599") >= 3
